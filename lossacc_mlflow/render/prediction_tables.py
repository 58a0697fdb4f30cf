"""Tables of a report about predictions: by class, by clip, by step, and of predicted numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, nan

from lossacc_mlflow.curves import summarize_curve
from lossacc_mlflow.keys import METRICS
from lossacc_mlflow.records import (
    ClassSummary,
    ClippedLoss,
    Curve,
    PredictionSteps,
    PredictionSummary,
    RegressionSummary,
    RunData,
    Split,
)
from lossacc_mlflow.render.format import quantity, shorten, signed, step_words
from lossacc_mlflow.render.rows import MOST_TELLING, SPLITS
from lossacc_mlflow.wording import number, percent

__all__ = ["Table", "class_table", "clip_table", "prediction_tables", "regression_table", "step_table"]

_MAX_CLASSES = 20
_SAME = 0.005


@dataclass(frozen=True, slots=True)
class Table:
    """One section of a page: its title, what to look for, heads of the columns, rows of text, and what is left out."""

    title: str
    lead: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: str = ""


def prediction_tables(run: RunData) -> list[Table]:
    """Write every table that a run's predictions allow.

    Parameters
    ----------
    run : RunData

    Returns
    -------
    list of Table
        In the order in which a page shows them.
    """
    found = [step_table(run.by_step[s]) for s in MOST_TELLING if s in run.by_step][:1]
    found += [class_table(run.predictions[s], s) for s in MOST_TELLING if s in run.predictions][:1]
    found += [clip_table([(s, run.predictions[s]) for s in SPLITS if s in run.predictions])]
    found += [regression_table([(s, run.regressions[s]) for s in SPLITS if s in run.regressions])]
    return [table for table in found if table is not None]


def class_table(summary: PredictionSummary, split: Split) -> Table | None:
    """Write the classes, those that carry most of the loss first; None where they are not known."""
    if not summary.classes:
        return None
    ordered = sorted(summary.classes, key=lambda c: (-c.loss_share if isfinite(c.loss_share) else 0.0, -c.n_samples))
    hidden = ordered[_MAX_CLASSES:]
    carried = sum(c.loss_share for c in hidden if isfinite(c.loss_share))
    never = sum(not c.n_predicted for c in ordered)
    foot = [f"{len(hidden):,} more classes carry {percent(carried)} of the loss."] if hidden else []
    foot += [f"{never:,} of {len(ordered):,} classes are never answered."] if never else []
    return Table(
        title=f"Classes ({split})",
        lead=(
            "The classes that carry most of the loss first. Recall is the share of a class that was found, precision "
            "the share of its answers that is right; a rare class with a low recall hardly shows in the accuracy."
        ),
        heads=("True class", "Samples", "Answered", "Recall", "Precision", "F1", "Mean loss", "Share of the loss"),
        rows=tuple(_class_row(c) for c in ordered[:_MAX_CLASSES]),
        foot=" ".join(foot),
    )


def _class_row(of: ClassSummary) -> tuple[str, ...]:
    return (
        shorten(of.label, 40) or "(empty)",
        f"{of.n_samples:,}",
        f"{of.n_predicted:,}",
        percent(of.recall),
        percent(of.precision),
        percent(of.f1),
        number(of.log_loss),
        percent(of.loss_share),
    )


def clip_table(summaries: Sequence[tuple[Split, PredictionSummary]]) -> Table | None:
    """Write the loss under every library's clip; None where it is the same under all."""
    known = [(split, s) for split, s in summaries if _differs(s.loss_by_clip)]
    if not known:
        return None
    names = list(dict.fromkeys((clip.name, clip.clip) for _, s in known for clip in s.loss_by_clip))
    losses = [{clip.name: clip.log_loss for clip in s.loss_by_clip} for _, s in known]
    zeros = ", ".join(f"{s.n_zero_probability:,} {split}" for split, s in known)
    return Table(
        title="The loss depends on the clip",
        lead=(
            "The same probabilities cost more or less, depending on the smallest probability that a library takes the "
            f"logarithm of. Samples whose true class got probability 0: {zeros}. Compare losses of one library only."
        ),
        heads=("Clip of", "Smallest probability", *(split for split, _ in known)),
        rows=tuple(
            (shorten(name, 40), number(clip) if clip > 0 else "none", *(number(of.get(name, nan)) for of in losses))
            for name, clip in names
        ),
    )


def _differs(clips: Sequence[ClippedLoss]) -> bool:
    losses = [clip.log_loss for clip in clips]
    return bool(losses) and max(losses) > min(losses) * (1 + _SAME)


_STEP_FIGURES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("Accuracy", "accuracy", percent),
    ("Log loss", "log_loss", number),
    ("Refinement", "refinement_loss", number),
    ("Calibration", "calibration_loss", signed),
    ("Right answers", "loss_correct", number),
    ("Wrong answers", "loss_incorrect", number),
    ("Temperature", "temperature", number),
    ("ECE", "ece", percent),
)


def step_table(steps: PredictionSteps) -> Table | None:
    """Write the steps that matter: the first, the best by loss and after recalibration, and the last."""
    if not len(steps):
        return None
    known = [f for f in _STEP_FIGURES if f[1] in steps.figures]
    places = {"first": 0, "lowest loss": _best(steps, "log_loss"), "last": len(steps) - 1}
    places["best after recalibration"] = _best(steps, "refinement_loss")
    names: dict[int, list[str]] = {}
    for name, place in places.items():
        if place is not None:
            names.setdefault(place, []).append(name)
    rows = [
        (
            f"{step_words(float(steps.step[place]), steps.step_unit)}: {', '.join(names[place])}",
            *(write(float(steps.figures[key][place])) for _, key, write in known),
        )
        for place in sorted(names)
    ]
    return Table(
        title=f"Predictions over steps ({steps.split})",
        lead=(
            "What the loss was made of while the model was trained. Refinement is what remains at the best temperature "
            "of a step, calibration what that temperature removes: where only calibration grows, the model still gets "
            "better, and only becomes too sure. Best steps are those of smoothed curves."
        ),
        heads=("Step", *(head for head, _, _ in known)),
        rows=tuple(rows),
    )


def _best(steps: PredictionSteps, name: str) -> int | None:
    """Index of the best smoothed step of a loss."""
    value = steps.figures.get(name)
    if value is None or not any(map(isfinite, value)):
        return None
    best = summarize_curve(Curve(METRICS["log_loss"], steps.split, steps.step, value, steps.step_unit))
    return int(steps.step.searchsorted(best.smoothed_best_step))


_RegressionLine = tuple[str, Callable[[RegressionSummary], str]]
_REGRESSION_LINES: tuple[_RegressionLine, ...] = (
    ("Samples", lambda s: f"{s.n_samples:,}"),
    ("R²", lambda s: number(s.r2)),
    ("RMSE", lambda s: number(s.rmse)),
    ("MAE", lambda s: number(s.mae)),
    ("RMSE relative to the standard deviation of the target", lambda s: percent(s.rmse_over_sd)),
    ("Mean and standard deviation of the target", lambda s: f"{number(s.target_mean)}, {number(s.target_sd)}"),
    ("Correlation of prediction and target", lambda s: number(s.correlation)),
    ("Mean error, prediction minus target", lambda s: signed(s.bias)),
    ("Slope of the target over the prediction", lambda s: number(s.slope)),
    ("Share of the MSE: constant error (bias²)", lambda s: _part(s.mse_bias, s)),
    ("Share of the MSE: wrong spread (slope)", lambda s: _part(s.mse_slope, s)),
    ("Share of the MSE: residual", lambda s: _part(s.mse_residual, s)),
    ("Share of the squared error from the worst 1 % of samples", lambda s: percent(s.loss_share_top1pct)),
    ("Gini coefficient of the squared error", lambda s: quantity(s.loss_gini)),
)


def regression_table(summaries: Sequence[tuple[Split, RegressionSummary]]) -> Table | None:
    """Write what is known of predicted numbers, one column a split."""
    if not summaries:
        return None
    return Table(
        title="Predicted numbers",
        lead=(
            "A squared error has a meaning only beside how much the target varies. A constant error and a wrong spread "
            "can be put right by a straight line through the predictions; the residual cannot."
        ),
        heads=("Figure", *(split for split, _ in summaries)),
        rows=tuple((label, *(write(s) for _, s in summaries)) for label, write in _REGRESSION_LINES),
        foot=" ".join(shorten(note, 400) for _, s in summaries for note in s.notes),
    )


def _part(part: float, summary: RegressionSummary) -> str:
    return percent(part / summary.mse) if summary.mse > 0 else number(None)
