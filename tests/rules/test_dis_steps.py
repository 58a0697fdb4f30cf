"""A rising loss is split into calibration and refinement by what was predicted at each step."""

from collections.abc import Mapping
from math import nan

import numpy as np
import pytest
from numpy.typing import ArrayLike

from lossacc_mlflow.predictions import summarize_predictions
from lossacc_mlflow.records import Evidence, FloatArray, PredictionSteps
from lossacc_mlflow.rules.dis import LossUpAccuracyFlat
from lossacc_mlflow.rules.dis_steps import split_rise
from lossacc_mlflow.wording import number
from tests.builders import falling, make_run

_N = 60
_LOSS = np.array(falling(30, 2.0, 0.5) + list(np.linspace(0.5, 0.8, 30)))
_REFINED = np.linspace(1.0, 0.4, _N)
_FIGURES = {
    "log_loss": _LOSS,
    "refinement_loss": np.minimum(_REFINED, _LOSS),
    "accuracy": np.linspace(0.6, 0.9, _N),
    "loss_share_incorrect": np.full(_N, 0.75),
}


def _steps(**changed: FloatArray) -> PredictionSteps:
    return PredictionSteps("validation", np.arange(_N), {**_FIGURES, **changed})


def _run(by_step: PredictionSteps | None) -> tuple[str, str, Mapping[str, Evidence]]:
    curves: dict[str, ArrayLike] = {
        "train_loss": falling(_N, 2.0, 0.01),
        "val_loss": _LOSS,
        "train_accuracy": np.linspace(0.3, 1.0, _N),
        "val_accuracy": np.linspace(0.6, 0.9, _N),
    }
    run = make_run(curves, n_classes=10, by_step={} if by_step is None else {"validation": by_step})
    found = LossUpAccuracyFlat().check(run)
    assert found.status == "flagged"
    return found.message, found.advice, {e.name: e for e in found.evidence}


def test_only_calibration_rises_while_refinement_improves() -> None:
    message, advice, evidence = _run(_steps())
    assert "the loss rises since epoch 30 only through calibration" in message
    assert "refinement still improves" in message
    assert "After recalibration epoch 59 is the best: 0.405" in message
    assert advice.startswith("Keep epoch 59, and fit a temperature")
    assert evidence["best_step_after_recalibration"].value == 59
    parts = evidence["rise_from_calibration"].value + evidence["rise_from_refinement"].value
    assert parts == pytest.approx(_LOSS[-1] - _LOSS[29], abs=0.03)
    assert evidence["rise_from_refinement"].value < 0
    assert evidence["rise_over_wrong_answers"].value == pytest.approx(0.75 * 0.3, abs=0.02)


def test_shares_where_refinement_rises_too() -> None:
    refined = np.concatenate([_LOSS[:30] - 0.05, np.linspace(0.45, 0.55, 30)])
    message, advice, evidence = _run(_steps(refinement_loss=refined))
    by_calibration = evidence["rise_from_calibration"].value
    assert by_calibration == pytest.approx(0.2, abs=0.02)
    assert "is calibration (0.05" in message
    assert "and 0.0954 refinement (0.451 to 0.547)" in message
    assert "After recalibration epoch 30 is still the best." in message
    assert advice.startswith("For answers keep the last state")


@pytest.mark.parametrize(
    ("wrong_at_end", "said"),
    [
        (0.75, "wrong answers add {wrong} of the {total}"),
        (0.80, "wrong answers add {wrong}, right ones take {off} off"),
        (0.30, "right answers add {right}, wrong ones take {off} off"),
    ],
)
def test_who_pays_for_a_rise_is_never_said_to_pay_more_than_all_of_it(wrong_at_end: float, said: str) -> None:
    carried = np.concatenate([np.full(30, 0.48), np.linspace(0.48, wrong_at_end, 30)])
    message, _, evidence = _run(_steps(loss_share_incorrect=carried / _LOSS))
    wrong = evidence["rise_over_wrong_answers"].value
    total = evidence["rise_from_calibration"].value + evidence["rise_from_refinement"].value
    right = total - wrong
    figures = {"wrong": wrong, "right": right, "total": total, "off": -min(wrong, right)}
    assert f"; {said.format(**{k: number(v) for k, v in figures.items()})}." in message


@pytest.mark.parametrize("n", [6, 20, 60])
def test_a_loss_that_falls_to_its_last_step_has_not_risen(n: int) -> None:
    loss = np.geomspace(2.0, 0.1, n)
    figures = {"log_loss": loss, "refinement_loss": 0.8 * loss}
    assert split_rise(PredictionSteps("validation", np.arange(n), figures)) is None
    noisy = loss + 0.01 * np.random.default_rng(0).standard_normal(n)
    assert split_rise(PredictionSteps("validation", np.arange(n), {**figures, "log_loss": noisy})) is None
    risen = np.concatenate([loss, np.linspace(0.1, 0.3, n // 3 + 1)])
    found = split_rise(PredictionSteps("validation", np.arange(len(risen)), dict.fromkeys(figures, risen)))
    assert found is not None
    assert found.total == pytest.approx(0.2, abs=0.06)


def test_what_is_not_known_is_not_told() -> None:
    alone = _run(None)
    gone = np.full(_N, nan)
    for changed in ({"refinement_loss": gone}, {"log_loss": gone}, {"log_loss": np.linspace(2, 1, _N)}):
        assert _run(_steps(**changed))[0] == alone[0]
    assert split_rise(PredictionSteps("validation", np.arange(3), {"log_loss": _LOSS[:3]})) is None
    some = _LOSS.copy()
    some[[3, 40, 59]] = nan
    message = _run(_steps(log_loss=some, accuracy=gone, loss_share_incorrect=gone))[0]
    assert "only through calibration" in message
    assert "nan" not in message
    assert "accuracy of" not in message


def test_a_model_that_is_only_sharpened_rises_through_calibration() -> None:
    rng = np.random.default_rng(0)
    z = 1.5 * rng.standard_normal(2000)
    truth = (rng.random(2000) < 1 / (1 + np.exp(-z))).astype(int)
    summaries = [summarize_predictions(truth, 1 / (1 + np.exp(-b * z))) for b in np.geomspace(0.3, 4, 12)]
    names = ("log_loss", "refinement_loss", "accuracy", "loss_share_incorrect")
    figures = {name: np.array([getattr(s, name) for s in summaries]) for name in names}
    parts = split_rise(PredictionSteps("validation", np.arange(12), figures))
    assert parts is not None
    assert abs(parts.by_refinement) < 0.01 * parts.total
    assert "only through calibration" in parts.say()
