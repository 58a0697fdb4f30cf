"""The headline metrics of a run."""

from math import isfinite, isnan

from lossacc_mlflow.curves import held_out_split, is_over_steps, loss_curve, quality_curve, summarize_curve
from lossacc_mlflow.keys import OWN_PREFIX
from lossacc_mlflow.records import Curve, Diagnosis
from lossacc_mlflow.rules.base import JUDGED_SPLITS
from lossacc_mlflow.smoothing import shape_of

__all__ = ["headline_metrics"]

_ONSET_CODES = ("FIT001", "FIT002", "TRN002", "DIS001")


def headline_metrics(diagnosis: Diagnosis) -> dict[str, float]:
    """Compute the at most fifteen ``lossacc/`` metrics of a run.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    dict of str to float
        Finite values only: what is not known is left out.
    """
    run = diagnosis.run
    held_out = held_out_split(run)
    loss, quality = loss_curve(run, held_out), quality_curve(run, held_out)
    judged = next((run.predictions[s] for s in JUDGED_SPLITS if s in run.predictions), None)
    metrics: dict[str, float | None] = {
        **_best("loss", loss),
        **_best("r2" if quality is not None and quality.metric.name == "r2" else "accuracy", quality),
        "generalization_gap_loss": _gap(loss, loss_curve(run, "train")),
        "generalization_gap_accuracy": _gap(quality, quality_curve(run, "train")),
        "onset_step": next((f.step for f in diagnosis.flagged if f.code in _ONSET_CODES), None),
        "n_flagged": len(diagnosis.flagged),
    }
    numbers = next((run.regressions[s] for s in JUDGED_SPLITS if s in run.regressions), None)
    if numbers is not None and judged is None:
        metrics.setdefault("best_r2", numbers.r2)
        metrics.setdefault("best_loss", numbers.mse)
    if judged is not None:
        metrics.setdefault("best_loss", judged.log_loss)
        metrics.setdefault("best_accuracy", judged.accuracy)
        for name in ("loss_correct", "loss_incorrect", "loss_share_incorrect", "ece", "temperature"):
            metrics[name] = getattr(judged, name)
        metrics["calibration_loss"] = judged.calibration_loss
        metrics["refinement_loss"] = judged.refinement_loss
    return {OWN_PREFIX + name: float(value) for name, value in metrics.items() if value is not None and isfinite(value)}


def _best(name: str, curve: Curve | None) -> dict[str, float]:
    """Best value and its step; scores against training-set size have a last value and no step."""
    if curve is None or shape_of(curve) is None:
        return {}
    summary = summarize_curve(curve)
    if not is_over_steps(curve):
        return {f"best_{name}": summary.last}
    return {f"best_{name}": summary.best, f"best_{name}_step": summary.best_step}


def _gap(validation: Curve | None, train: Curve | None) -> float | None:
    """How much worse validation ends than train, positive whatever the metric's direction."""
    if validation is None or train is None or validation.metric != train.metric:
        return None
    ends = shape_of(validation), shape_of(train)
    if ends[0] is None or ends[1] is None:
        return None
    gap = ends[0].end - ends[1].end
    return None if isnan(gap) else -gap if validation.metric.greater_is_better else gap
