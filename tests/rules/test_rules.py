"""Every rule: its manual, its thresholds, its outcome for whatever a run can hold."""

from dataclasses import MISSING, fields
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossacc_mlflow.comparison import COMPARISON_RULES
from lossacc_mlflow.rules import RULES, Question, apply_rules, decide_discrepancy, decide_verdict, headline
from lossacc_mlflow.rules.trn import NotLearning
from tests.builders import make_run

ALL = (*RULES, *COMPARISON_RULES)


def test_codes_are_unique() -> None:
    assert len({rule.code for rule in ALL}) == len(ALL)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.code)
def test_manual_explains_every_threshold(rule: Question) -> None:
    manual = type(rule).__doc__ or ""
    for part in ("How it is detected", "Why it matters", "What to do", "Parameters"):
        assert part in manual
    for field in fields(rule):
        assert field.default is not MISSING
        if not isinstance(field.default, Question):
            assert field.name in manual


_VALUES = st.lists(st.sampled_from([nan, inf, -inf, 0.0, -1.0, 1e-300, 0.1, 0.9, 1.0, 98.1, 1e300]), max_size=30)
_KEYS = st.sampled_from(["train_loss", "val_loss", "train_accuracy", "val_accuracy", "test_loss", "val_log_loss"])


@given(curves=st.dictionaries(_KEYS, _VALUES), n_classes=st.sampled_from([None, 2, 10]))
def test_no_run_breaks_a_rule(curves: dict[str, list[float]], n_classes: int | None) -> None:
    run = make_run(curves, n_classes=n_classes)
    findings = apply_rules(run)
    assert [f.code for f in findings] == [rule.code for rule in RULES]
    verdict = decide_verdict(run, findings)
    decide_discrepancy(run, findings)
    assert headline(verdict, findings)
    finite = {key for key, values in curves.items() if sum(abs(v) < inf for v in values) >= 5}
    splits = {key.split("_")[0] for key in finite}
    if "train" not in splits or not splits & {"val", "test"}:
        assert verdict in ("not_enough_information", "diverged")


def test_a_rule_answers_for_a_run_once_and_for_each_threshold_anew() -> None:
    run = make_run({"val_accuracy": [0.15, 0.15]}, n_classes=10, n_validation=100_000)
    assert NotLearning().ask(run) is NotLearning().ask(run)
    assert not NotLearning().is_flagged(run)
    assert NotLearning(min_gain=0.1).is_flagged(run)
    assert NotLearning().ask(make_run()).status == "not_applicable"
