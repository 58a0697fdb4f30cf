from dataclasses import replace

import numpy as np
import pytest

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import PredictionSteps
from lossacc_mlflow.store.steps import FIGURES, decode_steps, encode_steps, with_step

from .test_summaries import make_summary

WANTED = {
    "accuracy",
    "log_loss",
    "loss_correct",
    "loss_incorrect",
    "loss_share_incorrect",
    "ece",
    "brier",
    "temperature",
    "calibration_loss",
    "refinement_loss",
}


def make_steps(*steps: int) -> PredictionSteps:
    made = None
    for step in steps:
        made = with_step(made, step, "validation", replace(make_summary(), log_loss=1 / (step + 3)))
    assert made is not None
    return made


def test_every_number_of_a_summary_is_a_figure() -> None:
    assert set(FIGURES) >= WANTED
    assert not set(FIGURES) & {"bin_count", "classes", "notes", "sums", "loss_by_clip"}


def test_steps_are_sorted_and_the_last_written_counts() -> None:
    steps = make_steps(5, -1, 3, 5)
    again = with_step(steps, 3, "validation", replace(make_summary(), log_loss=9.0, temperature=None))
    assert again.step.tolist() == [-1, 3, 5]
    assert again.figures["log_loss"].tolist() == [1 / 2, 9.0, 1 / 8]
    np.testing.assert_array_equal(again.figures["temperature"], [1.5, np.nan, 1.5])


def test_figures_come_back_exactly() -> None:
    steps = with_step(make_steps(1, 20), 3, "validation", replace(make_summary(), temperature=None, ece=1e-300))
    body = encode_steps(steps)
    found = decode_steps(body, "validation", "iteration")
    assert (found.split, found.step_unit, found.step.tolist()) == ("validation", "iteration", [1, 3, 20])
    assert list(found.figures) == list(FIGURES)
    for name in FIGURES:
        np.testing.assert_array_equal(found.figures[name], steps.figures[name], err_msg=name)
    assert body.isascii()
    assert b"nan" not in body


def test_a_table_by_hand_is_read() -> None:
    found = decode_steps(b"epoch,step,log_loss\r\n1,3,0.5\r\n1,2,\r\n1,3,inf\r\n", "test")
    assert (found.step.tolist(), list(found.figures)) == ([2, 3], ["log_loss"])
    np.testing.assert_array_equal(found.figures["log_loss"], [np.nan, np.inf])
    assert len(decode_steps(b"step,log_loss\n", "test")) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"log_loss\n1\n",
        b"step,log_loss\n1,x\n",
        b"step,ece\n1.5,1\n",
        b"step,ece\n1\n",
        b"step\n%d\n" % 2**70,
    ],
)
def test_what_is_no_table_of_steps_is_refused(body: bytes) -> None:
    with pytest.raises(PredictionsError, match="test predictions over steps"):
        decode_steps(body, "test")


def test_a_thousand_steps_are_small() -> None:
    assert len(encode_steps(make_steps(*range(1_000)))) < 700_000
