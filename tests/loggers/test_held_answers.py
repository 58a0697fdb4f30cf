"""Predictions stay of the steps that were asked for; at the end, of the weights that the training ends with."""

from collections.abc import Iterator

import mlflow
import numpy as np
import pytest

from lossacc_mlflow.loggers.held_answers import HeldAnswers
from lossacc_mlflow.loggers.options import Options, Predictions
from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.predictions import PredictionBuffer
from lossacc_mlflow.store import read_run
from tests.conftest import Tracking

_LOSSES = (0.9, 0.4, 0.5, 0.6, 0.7)


class Watched(PredictionBuffer):
    """A buffer that knows whether it has been closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True
        super().close()


@pytest.fixture
def run_id(here: Tracking) -> Iterator[str]:
    with mlflow.start_run(here.new_run()) as run:
        yield run.info.run_id


def _answers(step: int) -> Watched:
    """Answers whose confidence tells the step."""
    buffer = Watched()
    confidence = 0.6 + 0.05 * step
    buffer.add(np.zeros(20, int), np.tile([confidence, 1 - confidence], (20, 1)))
    return buffer


@pytest.mark.parametrize(
    ("predictions", "restored", "kept"),
    [
        ("last", None, [4]),
        ("last", 1, [1]),
        ("best", None, [1]),
        ("best", 1, [1]),
        (2, None, [1, 3, 4]),
        (2, 1, [1, 3]),  # those of step 1 are there already, and the training does not end with step 4
        (3, 1, [1, 2]),
    ],
)
def test_what_is_kept(run_id: str, predictions: Predictions, restored: int | None, kept: list[int]) -> None:
    buffers = [_answers(step) for step in range(len(_LOSSES))]
    with TrainingLog(Options(predictions=predictions), name="net", run_id=run_id) as log:
        held = HeldAnswers(log, is_regression=False, labels=["a", "b"])
        for step, (loss, buffer) in enumerate(zip(_LOSSES, buffers, strict=True)):
            is_best = loss == min(_LOSSES[: step + 1])
            held.take(step, buffer, val_loss=loss, may_be_restored=is_best and restored is not None)
        held.finish(restored)
    run = read_run(run_id)
    summary = run.predictions["validation"]
    if isinstance(predictions, int):
        assert run.by_step["validation"].step.tolist() == kept
    else:
        assert run.tags["lossacc.predictions_step"] == str(kept[-1])
        assert summary.mean_confidence == pytest.approx(0.6 + 0.05 * kept[-1])
    assert all(buffer.is_closed for buffer in buffers)


def test_without_answers_nothing_is_kept(run_id: str) -> None:
    with TrainingLog(Options(), name="net", run_id=run_id) as log:
        held = HeldAnswers(log, is_regression=False, labels=None)
        held.take(0, PredictionBuffer(), val_loss=0.5, may_be_restored=False)
        held.finish(None)
        held.finish(None)
    assert not read_run(run_id).predictions
