import csv
import json
from dataclasses import replace
from io import StringIO
from math import isclose, nan
from typing import Any

import numpy as np
import pytest

from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.render import (
    render_comparison_csv,
    render_diagnostics_table,
    render_pairs_csv,
    render_suspected_labels_csv,
    render_worst_predictions_csv,
)
from tests.render.examples import (
    HOSTILE,
    broken_comparison,
    broken_diagnosis,
    comparison,
    hostile_diagnosis,
    overfitted_run,
)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text)))


def test_worst_predictions_are_the_worst_and_their_shares_are_of_the_whole_loss() -> None:
    run = overfitted_run()
    samples, summary = run.samples["validation"], run.predictions["validation"]
    worst = rows(render_worst_predictions_csv(samples))
    assert len(worst) == 100
    losses = [float(row["loss"]) for row in worst]
    assert losses == sorted(losses, reverse=True)
    assert isclose(losses[0], -np.log(samples.p_true.min()))
    every = rows(render_worst_predictions_csv(samples, n=1000))
    assert isclose(sum(float(row["loss_share"]) for row in every), 1)
    assert isclose(sum(float(row["loss"]) for row in every) / 200, summary.log_loss)
    assert {row["y_true"] for row in every} >= {"cat", "dog"}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_zero_probabilities_cost_what_the_summary_says(dtype: type[np.floating[Any]]) -> None:
    proba = np.array([[1, 0], [1, 0], [0.5, 0.5]]).astype(dtype)
    summary, samples = judge_predictions(make_predictions([0, 1, 1], proba), temperature=False)
    worst = rows(render_worst_predictions_csv(samples))
    assert float(worst[0]["loss"]) == pytest.approx(-np.log(np.finfo(np.float64).eps))
    assert isclose(sum(float(row["loss"]) for row in worst) / 3, summary.log_loss, rel_tol=1e-6)


def test_equal_losses_are_ranked_by_confidence_and_then_stay_in_order() -> None:
    proba = np.array([[1.0, 0, 0], [0.6, 0, 0.4], [1, 0, 0], [0.5, 0, 0.5], [0.1, 0.8, 0.1]])
    _, samples = judge_predictions(make_predictions([1] * 5, proba, sample_id="abcde"), temperature=False)
    assert "".join(row["sample_id"] for row in rows(render_worst_predictions_csv(samples))) == "acbde"
    assert {row["label_issue"] for row in rows(render_worst_predictions_csv(samples))} == {""}


def test_a_loss_that_is_not_known_comes_last() -> None:
    made = make_predictions([0, 0, 0], [[0.2, 0.8], [0.9, 0.1], [0.4, 0.6]])
    _, samples = judge_predictions(made, temperature=False)
    unknown = replace(samples, p_true=np.array([nan, 0.9, 0.4]))
    worst = rows(render_worst_predictions_csv(unknown))
    assert [row["sample_id"] for row in worst] == ["2", "1", "0"]
    assert worst[2]["loss"] == worst[0]["loss_share"] == "nan"


def test_suspected_labels_are_the_marked_ones_with_what_they_should_be_and_cost() -> None:
    run = overfitted_run()
    samples, summary = run.samples["validation"], run.predictions["validation"]
    wrong = samples.y_pred != samples.y_true
    marked = replace(samples, label_issue=wrong)
    worst = rows(render_worst_predictions_csv(marked, n=200))
    suspected = rows(render_suspected_labels_csv(marked))
    assert list(suspected[0]) == [
        "sample_id", "given_label", "suggested_label", "p_true", "confidence", "loss", "loss_share",
    ]  # fmt: skip
    assert len(suspected) == wrong.sum() > 3
    assert [row["sample_id"] for row in suspected] == [
        row["sample_id"] for row in worst if row["label_issue"] == "True"
    ]
    assert {row["label_issue"] for row in worst} == {"True", "False"}
    position = int(suspected[0]["sample_id"].split("A")[1])
    given, suggested = samples.classes[samples.y_true[position]], samples.classes[samples.y_pred[position]]
    assert (suspected[0]["given_label"], suspected[0]["suggested_label"][:30]) == (given, suggested[:30])
    assert sum(float(row["loss_share"]) for row in suspected) == pytest.approx(summary.loss_share_incorrect)
    assert len(rows(render_suspected_labels_csv(marked, n=2))) == 2
    assert rows(render_suspected_labels_csv(samples)) == []


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-1+cmd", "@SUM(A1)", "\t=1", "\uff1d1", " =1"])
def test_formulas_are_disarmed_and_numbers_are_not(cell: str) -> None:
    proba = np.array([[0.9, 0.1], [0.8, 0.2]])
    made = make_predictions([0, 1], proba, labels=[0, 1], sample_id=[cell, "-17.5"])
    _, samples = judge_predictions(made, temperature=False)
    worst = rows(render_worst_predictions_csv(samples))
    assert {row["sample_id"] for row in worst} == {f"'{cell}", "-17.5"}
    suspected = rows(render_suspected_labels_csv(replace(samples, label_issue=np.array([True, False]))))
    assert [row["sample_id"] for row in suspected] == [f"'{cell}"]


def test_hostile_names_survive_csv_and_can_be_encoded() -> None:
    text = render_comparison_csv(comparison(HOSTILE, "b"))
    assert text.encode()
    assert HOSTILE[:30] in {row["name"][:30] for row in rows(text)}


def test_comparison_csv_leaves_the_unknown_empty_and_writes_nan() -> None:
    made = comparison("a", "b")
    known = rows(render_comparison_csv(made))
    assert known[0]["test_loss"] == ""
    assert float(known[0]["loss"]) == made.rows[0].loss
    assert "FIT001" in known[0]["findings"].split()
    assert (
        [bool(row["remarks"]) for row in known]
        == ["CMP005" in row["findings"].split() for row in known]
        == [False, True]
    )
    assert rows(render_comparison_csv(broken_comparison(nan)))[0]["loss"] == "nan"


def test_pairs_csv_has_four_rows_a_pair_that_sum_to_the_difference() -> None:
    made = comparison("a", "b")
    table = rows(render_pairs_csv(made))
    assert list(table[0])[:3] == ["name_a", "name_b", "split"]
    assert len(table) == 4 * len(made.pairs)
    assert isclose(sum(float(r["contribution"]) for r in table[:4]), float(table[0]["delta_loss"]), abs_tol=1e-12)


def test_diagnostics_table_is_what_mlflow_logs_and_has_the_same_rows_for_every_run() -> None:
    for diagnosis in (judge(overfitted_run()), hostile_diagnosis(), broken_diagnosis(nan)):
        table = json.loads(render_diagnostics_table(diagnosis))
        assert table["columns"] == ["diagnostic", "value"]
        assert all(len(row) == 2 and all(isinstance(cell, str) for cell in row) for row in table["data"])
    first, second = (json.loads(render_diagnostics_table(judge(overfitted_run(n)))) for n in ("a", "b"))
    assert [row[0] for row in first["data"]] == [row[0] for row in second["data"]]
    assert ["FIT001 Loss overfitting", "flagged since epoch 20"] in [
        [row[0], row[1].split(" (")[0]] for row in first["data"]
    ]
