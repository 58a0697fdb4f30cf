"""The benchmark of early stopping stops where it says, and counts what that costs."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import early_stopping
from benchmarks.stopping_rules import ALARM, STOPPING_RULES, Course, patience, stop_when, stopped
from benchmarks.trainings import Training, run_training, trainings
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.records import Verdict
from tests.builders import overfitting
from tests.conftest import Tracking


def course(val_loss: list[float]) -> Course:
    rows = tuple({"val_loss": value, "train_loss": 1 / (i + 1)} for i, value in enumerate(val_loss))
    return Course("made", rows, np.array(val_loss), None, None)


@pytest.mark.parametrize(
    ("val_loss", "n_steps", "stop"),
    [([3, 2, 1, 2, 2, 2], 2, 4), ([3, 2, 1, 2, 0.5, 2], 3, -1), ([3, np.nan, np.nan, 1], 2, 2), ([1, 1, 1], 2, 2)],
)
def test_patience_counts_steps_without_a_new_best(val_loss: list[float], n_steps: int, stop: int) -> None:
    assert patience(course(val_loss), n_steps) == stop


def test_what_a_stop_costs_and_saves() -> None:
    losses = [3.0, 2.0, *[2.5] * 10, 1.0, *[1.5] * 7]  # a plateau, and then the best step
    found = stopped(course(losses))
    early, never = found.by_rule["patience 5"], found.by_rule["patience 20"]
    assert (early.stopped, early.kept) == (True, False)
    assert early.lost == pytest.approx(0.5)
    assert early.saved == pytest.approx((20 - 7) / 20)
    assert (never.stopped, never.kept, never.lost, never.saved) == (False, True, 0.0, 0.0)
    assert found.kind == "rises"
    assert stopped(course([3.0, 2.0, 1.0])).kind == "improves"
    assert stopped(course([*np.linspace(2, 1, 10), *[1.01] * 20])).kind == "levels off"


def test_the_stop_is_that_of_the_callbacks(here: Tracking) -> None:
    curves = overfitting(1.5, n=80)
    rows = tuple({key: values[i] for key, values in curves.items()} for i in range(80))
    alarms: tuple[Verdict, ...] = ("overfitting", "loss_overfitting", "diverged")
    with TrainingLog(Options(stop_when=alarms), name="net", run_id=here.new_run()) as log:
        for i, row in enumerate(rows):
            log.log(i, row)
            if log.should_stop:
                break
    assert log.should_stop
    assert stop_when(Course("made", rows, np.array(curves["val_loss"]), None, None), alarms) == i
    assert ALARM in STOPPING_RULES


@pytest.mark.frameworks
@pytest.mark.filterwarnings(
    "ignore:.*implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras, of torch
def test_every_kind_of_training_learns() -> None:
    kinds = {one.name: one for one in trainings(quick=True) if one.data == "cancer" and not one.noise}
    assert len(kinds) == 6
    for one in kinds.values():
        trained = run_training(Training(**{**vars(one), "n_steps": 4}))
        assert len(trained.rows) == 4
        assert set(trained.rows[0]) == {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}
        assert trained.rows[-1]["train_loss"] < trained.rows[0]["train_loss"], one.name


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curves = overfitting(1.5)
    lines = [f"a,{i},{t},{v}" for i, (t, v) in enumerate(zip(curves["train_loss"], curves["val_loss"], strict=True))]
    (tmp_path / "curves.csv").write_text("\n".join(["curve_id,step,train_loss,validation_loss", *lines]))
    (tmp_path / "labels.csv").write_text("set,curve_id,label\nours,a,overfit\n")
    plan = [Training("sklearn", "SGDClassifier", "wine", 0.0, 0, 12, 1)]
    monkeypatch.setattr(early_stopping, "trainings", lambda **_: plan)
    page = tmp_path / "page.md"
    assert early_stopping.main(["--data", str(tmp_path), "--output", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "## Labelled curves of others" in text
    assert "| sklearn SGDClassifier | 1 |" in text
    assert f"| {ALARM} | 100.0 % (1 of 1) |" in text
    assert early_stopping.main(["--data", str(tmp_path / "nowhere")]) == 2
