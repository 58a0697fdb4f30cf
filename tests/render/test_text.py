from dataclasses import fields, replace
from math import inf, nan

import pytest

from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.records import Evidence, RunData
from lossacc_mlflow.render import (
    TABLE_COLUMNS,
    render_comparison_text,
    render_manual,
    render_table,
    render_text,
)
from lossacc_mlflow.render.format import evidence_value
from lossacc_mlflow.rules import RULES, Question, Rule
from lossacc_mlflow.wording import percent
from tests.builders import make_curve
from tests.render.examples import (
    HOSTILE,
    broken_comparison,
    broken_diagnosis,
    comparison,
    hostile_diagnosis,
    overfitted_run,
)


def test_text_leads_with_the_verdict_and_shows_numbers_beside_thresholds() -> None:
    text = render_text(judge(overfitted_run()))
    lines = text.splitlines()
    assert lines[0] == "mlp (run id-mlp)"
    assert lines[1].split(None, 1) == ["verdict", lines[1].split(None, 1)[1]]
    assert "Overfitting in the loss only" in lines[1]
    assert "FIT001 Loss overfitting" in text
    assert "(threshold 10.0 %)" in text
    assert "since" in text
    assert "epoch 20" in text
    assert "what to do" in text
    assert max(map(len, lines)) <= 100


def test_the_gravest_finding_comes_first() -> None:
    diagnosis = judge(overfitted_run())
    note, error = (replace(diagnosis.finding("FIT001"), level=level, title=level) for level in ("note", "error"))
    text = render_text(replace(diagnosis, findings=(note, *diagnosis.findings, error)))
    assert text.index("ERROR FIT001") < text.index("WARNING FIT001") < text.index("NOTE FIT001")


def test_text_of_a_hostile_run_is_printable_line_by_line() -> None:
    for text in (render_text(hostile_diagnosis()), render_comparison_text(comparison(HOSTILE, "b"))):
        assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_text_stands_numbers_that_are_not_finite(value: float) -> None:
    assert ("nan" if value != value else "inf") in render_text(broken_diagnosis(value))  # noqa: PLR0124  (NaN)
    assert render_comparison_text(broken_comparison(value))
    assert len(render_table([broken_diagnosis(value)])[0]) == len(TABLE_COLUMNS)


def test_text_without_information_names_keys_and_a_way_out() -> None:
    curve = replace(make_curve("train_accuracy", [0.9]), key="acc\nuracy")
    text = render_text(judge(RunData("r1", "svc", curves=(curve,), other_keys=("my_metric",) * 30)))
    assert "Not enough information" in text
    assert "acc uracy (train accuracy)" in text
    assert "and 10 more" in text
    assert "--key 'my_key=validation:log_loss'" in " ".join(text.split())


def test_table_takes_predictions_before_curves() -> None:
    run = overfitted_run()
    with_predictions, without = render_table([judge(run), judge(replace(run, predictions={}, samples={}))])
    assert with_predictions[1] == percent(run.predictions["validation"].accuracy)
    assert without[1:3] == ("90.0 %", "0.900")
    assert without[0] == "mlp"
    assert without[5] == "epoch 20"


def test_comparison_text_explains_every_pair() -> None:
    made = comparison("calm", "sharp")
    text = render_comparison_text(made)
    for part in ("A = ", "both right", "only B right", "exact McNemar", "after temperature"):
        assert part in text


def test_what_the_comparison_found_about_one_run_follows_the_table() -> None:
    made = comparison("calm", "sharp")
    text = " ".join(render_comparison_text(made).split())
    assert [row.name for row in made.rows if row.remarks] == ["sharp"]
    assert text.index("best step") < text.index("'sharp' is 'calm' once more")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_manual_shows_docstring_and_thresholds_in_force(rule: Rule) -> None:
    manual = render_manual(rule)
    assert manual.startswith(f"# {rule.code}: {rule.title} (")
    assert (type(rule).__doc__ or "").split("\n", maxsplit=1)[0] in manual
    for field in fields(rule):
        assert f"| {field.name} " in manual or isinstance(getattr(rule, field.name), Question)


def test_manual_follows_a_changed_threshold() -> None:
    loss_overfitting = next(rule for rule in RULES if rule.code == "FIT001")
    assert "0.123" in render_manual(replace(loss_overfitting, max_rise=0.123))  # type: ignore[call-arg]  # a field of this rule


def test_evidence_for_people() -> None:
    assert evidence_value(Evidence("rise", nan, 0.1, "nats")) == "nan"
    assert evidence_value(Evidence("steps_since_best", 3, None, "epoch")) == "3 epochs"
    assert evidence_value(Evidence("best_step", 3, None, "epoch")) == "epoch 3"
    assert evidence_value(Evidence("share", 0.25, None, "fraction")) == "25.0 %"
