"""A run far behind its siblings is told so, why, and what to do; the best one never is."""

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lossacc_mlflow.comparison import BehindSiblings
from lossacc_mlflow.records import RunData
from tests.comparison.builders import compared, named_run

_RULE = BehindSiblings()
_N = 40
_STEPS = np.arange(_N)


def _loss(rate: float, floor: float = 0.1) -> NDArray[np.float64]:
    """A loss that falls exponentially to a floor."""
    loss: NDArray[np.float64] = floor + (2.0 - floor) * np.exp(-rate * _STEPS)
    return loss


def _run(name: str, rate: float = 0.5, floor: float = 0.1, **more: Any) -> RunData:  # noqa: ANN401  (fields of RunData)
    loss = _loss(rate, floor)
    return named_run(name, {"train_loss": loss, "val_loss": loss, "val_accuracy": 1 - loss / 2.2}, **more)


def _siblings(*runs: RunData) -> list[RunData]:
    return [_run("good"), _run("fine", 0.4), _run("well", 0.3), *runs]


def _without_accuracy(runs: Sequence[RunData]) -> list[RunData]:
    return [replace(r, curves=tuple(c for c in r.curves if c.metric.name != "accuracy")) for r in runs]


def test_slow_and_plateaued_are_told_apart() -> None:
    comparison = compared(_siblings(_run("slow", 0.02), _run("stuck", 0.5, 0.9)), _RULE)
    found = comparison.findings[0]
    assert (found.code, found.status, found.split, found.step) == ("CMP006", "flagged", "validation", _N - 1)
    assert "2 of 5 comparable runs are far behind their siblings: slow 'slow' (" in found.message
    assert "plateaued 'stuck' (" in found.message
    rows = {row.name: row for row in comparison.rows}
    assert all(("CMP006" in row.findings) == (row.name in {"slow", "stuck"}) for row in comparison.rows)
    assert (
        "'slow' is slow: validation accuracy 55.5 % by epoch 39, where 'good' had reached 95.5 %"
        in (rows["slow"].remarks[0])
    )
    assert "and had passed 55.5 % by epoch 2." in rows["slow"].remarks[0]
    assert "Loss 0.980 against 0.100." in rows["slow"].remarks[0]
    assert rows["slow"].remarks[0].endswith("Raise the learning rate of a slow run, or train on.")
    assert (
        rows["stuck"]
        .remarks[0]
        .endswith("Lower the learning rate of a run that has plateaued, or take a larger model.")
    )
    evidence = {e.name: e.value for e in found.evidence}
    assert (evidence["runs_behind"], evidence["slow_runs"], evidence["plateaued_runs"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("name", "lr", "rate", "floor", "sentence", "advice"),
    [
        (
            "slow",
            "1e-5",
            0.02,
            0.1,
            "Its learning_rate 1e-5 is 100 times smaller than that of 'good' (0.001).",
            "Raise",
        ),
        ("slow", "0.1", 0.02, 0.1, "Its learning_rate 0.1 is 100 times larger than that of 'good' (0.001).", "Train a"),
        ("stuck", "0.1", 0.5, 0.9, "Its learning_rate 0.1 is 100 times larger than that of 'good' (0.001).", "Lower"),
        (
            "stuck",
            "1e-5",
            0.5,
            0.9,
            "Its learning_rate 1e-5 is 100 times smaller than that of 'good' (0.001).",
            "Raise",
        ),
    ],
)
def test_learning_rates_are_named_and_decide_the_advice(
    name: str, lr: str, rate: float, floor: float, sentence: str, advice: str
) -> None:
    good = _run("good", params={"learning_rate": "0.001"})
    runs = [good, _run("fine", 0.4), _run(name, rate, floor, params={"learning_rate": lr})]
    found = compared(runs, _RULE).findings[0]
    assert sentence in found.message
    assert found.advice.startswith(advice)


def test_learning_rates_of_two_optimisers_are_not_compared() -> None:
    good = _run("good", params={"lr": "0.001", "optimizer": "adam"})
    slow = _run("slow", 0.02, params={"lr": "0.1", "optimizer": "sgd"})
    assert " times " not in compared([good, _run("fine", 0.4), slow], _RULE).findings[0].message


@pytest.mark.parametrize(("gap", "status"), [(0.049, "clear"), (0.051, "flagged")])
def test_threshold_of_the_accuracy(gap: float, status: str) -> None:
    good, other = (named_run(str(r), {"val_accuracy": np.minimum(r * _STEPS, 0.8)}) for r in (0.05, 0.04))
    behind = named_run("behind", {"val_accuracy": (1 - gap) * np.minimum(0.05 * _STEPS, 0.8)})
    assert compared([good, other, behind], _RULE).findings[0].status == status


@pytest.mark.parametrize(("ratio", "status"), [(1.24, "clear"), (1.26, "flagged")])
def test_threshold_of_the_loss_where_no_accuracy_is_known(ratio: float, status: str) -> None:
    runs = [named_run("good", {"val_loss": _loss(0.5)}), named_run("fine", {"val_loss": _loss(0.4)})]
    found = compared([*runs, named_run("behind", {"val_loss": ratio * _loss(0.5)})], _RULE).findings[0]
    assert found.status == status
    assert status == "clear" or "1.26 times as much" in found.message


def test_noise_explains_as_much() -> None:
    rng = np.random.default_rng(0)
    clean = 0.8 * (1 - np.exp(-0.5 * _STEPS))
    curves = [clean, clean - 0.001, 0.93 * clean]
    quiet = [named_run(str(i), {"val_accuracy": c}) for i, c in enumerate(curves)]
    noisy = [
        named_run(str(i), {"val_accuracy": np.clip(c + rng.normal(0, 0.1, _N), 0, 1)}) for i, c in enumerate(curves)
    ]
    assert compared(quiet, _RULE).findings[0].status == "flagged"
    assert compared(noisy, _RULE).findings[0].status == "clear"


def test_a_short_run_is_held_against_what_siblings_had_by_then() -> None:
    slow = _run("slow", 0.02)
    short = replace(slow, curves=tuple(replace(c, step=c.step[:5], value=_loss(0.5)[:5]) for c in slow.curves[:2]))
    assert compared(_without_accuracy([*_siblings(), short]), _RULE).findings[0].status == "clear"


def test_overfitted_siblings_do_not_excuse() -> None:
    """By its end a slow run may have the lowest loss; what its siblings had reached before counts."""
    rising = np.concatenate([_loss(0.5)[:20], np.linspace(0.1, 2.0, 20)])
    runs = [named_run(name, {"val_loss": rising * k}) for name, k in (("a", 1.0), ("b", 1.1))]
    found = compared([*runs, named_run("slow", {"val_loss": _loss(0.04)})], _RULE).findings[0]
    assert "'slow' is slow" in found.message


@pytest.mark.parametrize(("n", "status"), [(2, "not_applicable"), (3, "flagged")])
def test_groups_that_are_too_small(n: int, status: str) -> None:
    runs = [_run("slow", 0.02), _run("good"), _run("fine", 0.4)]
    assert compared(runs[:n], _RULE).findings[0].status == status


def test_twins_are_one_sibling() -> None:
    assert compared([_run("slow", 0.02), _run("good"), _run("again")], _RULE).findings[0].status == "not_applicable"


@pytest.mark.parametrize(
    "change",
    [
        {"n_classes": 10},
        {"tags": {"lossacc.samples.validation": "other"}},
    ],
)
def test_runs_on_other_data_are_no_siblings(change: dict[str, Any]) -> None:
    runs = [replace(_run("slow", 0.02), **change), _run("good"), _run("fine", 0.4)]
    assert compared(runs, _RULE).findings[0].status == "not_applicable"


def test_what_cannot_be_compared() -> None:
    diverged = _run("diverged", 0.02)
    diverged = replace(
        diverged, curves=(*diverged.curves[1:], replace(diverged.curves[0], value=np.append(_loss(0.5)[:-1], nan)))
    )
    percent = _run("percent")
    percent = replace(percent, curves=(replace(percent.curves[2], value=100 * percent.curves[2].value),))
    short = named_run("short", {"val_accuracy": [0.1] * 4})
    comparison = compared(_siblings(diverged, percent, short), _RULE)
    assert comparison.findings[0].status == "clear"
    assert not any(row.remarks for row in comparison.rows)
    negative = [named_run(str(i), {"val_loss": -_loss(0.1 * i)}) for i in range(1, 5)]
    assert compared(negative, _RULE).findings[0].status == "clear"
    assert compared([], _RULE).findings[0].status == "not_applicable"


def test_noise_leaves_undecided_whether_a_run_still_learns() -> None:
    loss = np.linspace(1.0, 0.9, _N) * (1 + 0.1 * (-1.0) ** _STEPS)
    noisy = named_run("noisy", {"train_loss": loss, "val_accuracy": 0.5 * (1 - np.exp(-0.5 * _STEPS))})
    comparison = compared(_siblings(noisy), _RULE)
    assert "undecided 'noisy' (50.0 %)" in comparison.findings[0].message
    assert "'noisy' is far behind: " in comparison.findings[0].message
    assert comparison.findings[0].advice.startswith("Too noisy to tell")


def test_what_makes_a_run_slow() -> None:
    runs = _siblings(_run("slow", 0.02))
    strict = replace(_RULE, min_fall=0.5, min_fall_share=0.5)
    rules = (
        _RULE,
        replace(_RULE, window=0.0),
        strict,
        replace(strict, min_fall=0.02),
        replace(strict, min_fall_share=0.1),
    )
    kinds = [[s.kind for s in rule.find(runs)] for rule in rules]
    assert kinds == [["slow"], ["plateaued"], ["plateaued"], ["slow"], ["slow"]]
    late = _loss(0.02)
    late[-6:] = late[-7] + 0.01
    stopped = named_run("stopped", {"train_loss": late, "val_loss": late, "val_accuracy": 1 - late / 2.2})
    assert [s.kind for s in _RULE.find(_siblings(stopped))] == ["plateaued"]
    assert [s.kind for s in replace(_RULE, last_part=0.2).find(_siblings(stopped))] == ["slow"]
