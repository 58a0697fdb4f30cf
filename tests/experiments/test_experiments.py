"""Every job of MLproject is there and says what must come out; what comes out is checked where the jobs run."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from experiments.data import load_data, with_noisy_labels, with_shuffled_labels
from experiments.job import Expected, find_deviations
from experiments.models import by_epoch
from experiments.softmax import NaiveSoftmaxRegression
from lossacc_mlflow.comparison import COMPARISON_RULES
from lossacc_mlflow.records import Diagnosis, Finding, RunData
from lossacc_mlflow.rules import RULES
from tests.conftest import Tracking

_ROOT = Path(__file__).parents[2]
_PROJECT = (_ROOT / "MLproject").read_text(encoding="utf-8")
_NAMES = re.findall(r'command: "python -m experiments\.(\w+)"', _PROJECT)
_VERDICTS = {
    "diverged",
    "not_enough_information",
    "not_learning",
    "overfitting",
    "loss_overfitting",
    "underfitting",
    "unstable",
    "still_improving",
    "healthy",
}


def _module(name: str) -> ModuleType:
    return import_module(f"experiments.{name}")


@pytest.mark.parametrize("name", _NAMES)
def test_entry_point_declares_what_must_come_out(name: str) -> None:
    module = _module(name)
    expected = getattr(module, "EXPECTED", {})
    assert set(expected) <= set(module.RECIPES)
    assert {code for run in expected.values() for code in run.codes} <= {rule.code for rule in RULES}
    assert set(getattr(module, "COMPARISON", ())) <= {rule.code for rule in COMPARISON_RULES}
    assert module.__doc__
    # The main job and three_models have tests of their own: a job that says nothing at all is checked by nobody.
    assert set(expected) == set(module.RECIPES) or name in {"digits", "three_models"}


def test_entry_points_carry_the_names_of_their_experiments() -> None:
    named = re.findall(r'^  (\w+):\n    command: "python -m experiments\.(\w+)"', _PROJECT, flags=re.MULTILINE)
    assert [entry for entry, _ in named] == ["main", *_NAMES[1:]]


def test_every_verdict_is_made_real() -> None:
    expected = (run for name in _NAMES for run in getattr(_module(name), "EXPECTED", {}).values())
    assert {run.verdict for run in expected} == _VERDICTS


def test_ci_runs_every_experiment_with_the_number_of_its_models() -> None:
    listed = dict(re.findall(r"^(\w+) (\d+)$", (_ROOT / ".ci" / "run").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert listed == {name: str(len(_module(name).RECIPES)) for name in _NAMES if name != "digits"}


def _run_job(code: str, store: Tracking) -> "subprocess.CompletedProcess[str]":
    """Run a job in a process of its own: MLflow keeps its store and experiment for the whole process."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    environment |= {"MLFLOW_TRACKING_URI": store.uri, "PYTHONPATH": str(_ROOT)}
    return subprocess.run(  # noqa: S603  (code of this file)
        [sys.executable, "-c", code],
        cwd=store.database.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_job_runs_and_finds_what_it_declares(sqlite_store: Tracking) -> None:
    done = _run_job("from experiments import still_improving\nstill_improving.main()", sqlite_store)
    assert done.returncode == 0, done.stderr
    assert "still_improving" in done.stdout


def test_job_fails_where_something_else_comes_out(sqlite_store: Tracking) -> None:
    done = _run_job(
        "from experiments import still_improving\n"
        "from experiments.job import Expected\n"
        "still_improving.EXPECTED['100 steps'] = Expected('still_improving')\n"
        "still_improving.main()",
        sqlite_store,
    )
    assert done.returncode == 1
    assert "'100 steps': TRN006 must not be flagged; it is flagged: " in done.stderr


def test_deviations_are_told_code_by_code() -> None:
    findings = (
        Finding("FIT001", "title", "note", "flagged", "about FIT001"),
        Finding("FIT002", "title", "note", "clear", "about FIT002"),
        Finding("FIT003", "title", "note", "clear", "about FIT003"),
    )
    found = Diagnosis(RunData("1", "net"), "healthy", "none", "", findings)
    assert find_deviations([found], {"net": Expected("healthy", ("FIT001",))}) == ()
    assert find_deviations([found], {"net": Expected("healthy", undecided=("FIT001", "FIT002"))}) == ()
    wanted = {"net": Expected("overfitting", ("FIT002", "XYZ999")), "other": Expected("healthy")}
    assert find_deviations([found], wanted) == (
        "'other' was not diagnosed.",
        "'net': the verdict must be overfitting; it is healthy.",
        "'net': FIT001 must not be flagged; it is flagged: about FIT001",
        "'net': FIT002 must be flagged; it is clear: about FIT002",
        "'net': XYZ999 must be flagged; there is no such rule.",
    )


def test_labels_are_spoilt_where_it_is_said_and_nowhere_else() -> None:
    clean = load_data("digits")
    noisy, shuffled = with_noisy_labels(clean, 0.3), with_shuffled_labels(clean)
    for split in ("train", "validation"):
        assert 0.25 < (clean.parts[split].y != noisy.parts[split].y).mean() < 0.35
    np.testing.assert_array_equal(clean.parts["test"].y, noisy.parts["test"].y)
    np.testing.assert_array_equal(np.bincount(clean.parts["train"].y), np.bincount(shuffled.parts["train"].y))
    assert (clean.parts["train"].y == shuffled.parts["train"].y).mean() < 0.15
    np.testing.assert_array_equal(clean.parts["validation"].y, shuffled.parts["validation"].y)


def test_naive_softmax_is_right_until_it_overflows() -> None:
    data = load_data("digits")
    trained = by_epoch(NaiveSoftmaxRegression(learning_rate=0.1), data, n_epochs=5)
    assert trained.curves.values["val_accuracy"][-1] > 0.9
    lost = by_epoch(NaiveSoftmaxRegression(learning_rate=20), data, n_epochs=2)
    assert np.isnan(lost.curves.values["train_loss"]).all()
    assert not lost.proba


def test_features_are_scaled_by_the_training_part_alone() -> None:
    data = load_data("wine")
    train, validation = data.parts["train"], data.parts["validation"]
    np.testing.assert_allclose(train.X.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(train.X.std(axis=0), 1)
    assert np.abs(validation.X.mean(axis=0)).max() > 0.01
