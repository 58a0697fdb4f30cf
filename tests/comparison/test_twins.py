"""Twins are told from runs that are merely alike, and from networks that are dead alike."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from lossacc_mlflow.comparison import TwinRuns
from tests.builders import falling, make_curve
from tests.comparison.builders import compared, named_run

_RULE = TwinRuns()
_LOSS = np.array(falling(20))
_CURVES = {"train_loss": _LOSS, "val_accuracy": 1 - _LOSS / 3}


def test_same_seed_twice_is_one_observation() -> None:
    comparison = compared(
        [named_run("a", _CURVES), named_run("b", _CURVES), named_run("c", {"train_loss": 2 * _LOSS})], _RULE
    )
    found = comparison.findings[0]
    assert (found.code, found.status) == ("CMP005", "flagged")
    assert "'b' is 'a' once more: the same 2 curves to epoch 19." in found.message
    assert "change the seed" in found.advice
    rows = {row.name: row for row in comparison.rows}
    assert [("CMP005" in rows[name].findings, len(rows[name].remarks)) for name in "abc"] == [(0, 0), (1, 1), (0, 0)]


def test_params_that_made_no_difference_are_named() -> None:
    shared = {"dropout": "0.1", "run_name": "x", "lr": "1"}
    a = named_run("a", _CURVES, params=shared)
    b = named_run("b", _CURVES, params=shared | {"dropout": "0.5", "run_name": "y"})
    found = compared([a, b], _RULE).findings[0]
    assert "they differ in dropout ('0.5', '0.1'): that had no effect." in found.message
    assert "run_name" not in found.message
    assert "reaches the training at all" in found.advice


def test_the_beginning_of_a_longer_run() -> None:
    short = {key: values[:12] for key, values in _CURVES.items()}
    params = {"epochs": "12", "lr": "1"}
    runs = [named_run("short", short, params=params), named_run("long", _CURVES, params=params | {"epochs": "20"})]
    found = compared(runs, _RULE).findings[0]
    assert "'short' is the beginning of 'long': the same 2 curves up to epoch 11." in found.message
    assert "keep the longer one" in found.advice


def test_two_continuations_of_one_trunk_are_two_runs() -> None:
    other = np.concatenate([_LOSS[:12], 0.5 * _LOSS[12:]])
    runs = [named_run("trunk", {"val_loss": _LOSS[:12]})]
    runs += [named_run("a", {"val_loss": _LOSS}), named_run("b", {"val_loss": other})]
    assert [twin.run.name for twin in _RULE.find(runs)] == ["trunk"]


@pytest.mark.parametrize(("difference", "n_twins"), [(0.0, 1), (0.9, 1), (1.3, 0)])
def test_threshold_of_the_difference(difference: float, n_twins: int) -> None:
    apart = _LOSS.copy()
    apart[7] *= 1 + difference * _RULE.max_difference
    runs = [named_run("a", {"train_loss": _LOSS}), named_run("b", {"train_loss": apart})]
    assert len(_RULE.find(runs)) == n_twins


def test_float32_rounding_is_no_difference() -> None:
    rule = replace(_RULE, max_difference=0.0)
    runs = [named_run("a", {"train_loss": _LOSS}), named_run("b", {"train_loss": _LOSS.astype(np.float32)})]
    assert len(rule.find(runs)) == 1


@pytest.mark.parametrize(("n_values", "status"), [(4, "not_applicable"), (5, "flagged")])
def test_dead_networks_are_no_twins(n_values: int, status: str) -> None:
    values = [*range(1, n_values + 1), *[n_values] * 30]
    runs = [named_run(name, {"train_loss": values, "train_accuracy": [0.1] * len(values)}) for name in "ab"]
    assert compared(runs, _RULE).findings[0].status == status


def test_one_curve_that_differs_is_enough() -> None:
    runs = [named_run("a", _CURVES), named_run("b", _CURVES | {"val_accuracy": _LOSS})]
    assert compared(runs, _RULE).findings[0].status == "clear"
    shifted = replace(runs[0], run_id="c", curves=(make_curve("train_loss", _LOSS, step=range(1, 21)),))
    assert not _RULE.find([runs[0], shifted])


@pytest.mark.parametrize("end", [nan, inf])
def test_runs_that_end_alike_in_nan_are_twins(end: float) -> None:
    values = [*_LOSS, end]
    assert len(_RULE.find([named_run(name, {"train_loss": values}) for name in "ab"])) == 1
    assert not _RULE.find([named_run("a", {"train_loss": values}), named_run("b", {"train_loss": [*_LOSS, 1.0]})])


def test_without_curves_there_is_nothing_to_compare() -> None:
    assert compared([named_run("a", _CURVES), named_run("b", {"val_accuracy": [0.9]})], _RULE).findings[0].status == (
        "not_applicable"
    )
    assert _RULE.find([]) == ()
