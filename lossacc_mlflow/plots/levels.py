"""Horizontal lines that curves are held against: guessing, a baseline, what would have counted as learning."""

from collections.abc import Sequence
from math import isfinite, log

from lossacc_mlflow.plots.flagged import Flagged, summary_of
from lossacc_mlflow.plots.panels import Panel
from lossacc_mlflow.plots.shapes import Area, Level
from lossacc_mlflow.plots.style import MUTED
from lossacc_mlflow.plots.traces import score_text
from lossacc_mlflow.records import CurveSummary, RunData
from lossacc_mlflow.wording import number, percent

__all__ = ["levels_of", "needed_to_learn"]


def levels_of(panel: Panel, run: RunData, found: Flagged) -> list[Level]:
    """What guessing, and a baseline, would score; and where an accuracy would have to end."""
    levels = []
    guess = _guess_level(panel.metric, run.n_classes, run.majority_accuracy)
    if guess is not None:
        levels.append(Level(*guess, "chance", strong="TRN003" in found))
    baseline = run.baseline_loss if not panel.is_score else run.baseline_accuracy
    if baseline is not None and isfinite(baseline) and (not panel.is_score or panel.metric == "accuracy"):
        words = f"baseline {score_text(panel.judged.metric, baseline)}"
        lost = "FIT004" in found
        levels.append(Level(baseline, f"{words}: not beaten" if lost else words, "baseline", strong=lost))
    if panel.judged.metric.unit == "fraction" and "LOG001" in found and not panel.in_percent:
        largest, smallest = (found.value("LOG001", name) for name in ("largest_accuracy", "smallest_accuracy"))
        if largest is not None and largest > 1:
            levels.append(Level(1.0, "most an accuracy can be", "limit", strong=True))
        if smallest is not None and smallest < 0:
            levels.append(Level(0.0, "least an accuracy can be", "limit", strong=True))
    return levels


def _guess_level(metric: str, n_classes: int | None, majority: float | None) -> tuple[float, str] | None:
    """What answering without looking at the data scores."""
    if metric == "accuracy" and (n_classes or majority is not None):
        chance = 1 / n_classes if n_classes else 0.0
        if majority is not None and majority >= chance:
            return majority, f"largest class {percent(majority, zeros=False)}"
        return chance, f"chance {percent(chance, zeros=False)}"
    if metric == "log_loss" and n_classes:
        return log(n_classes), f"chance {number(log(n_classes))}"
    return None


def needed_to_learn(panel: Panel, found: Flagged, summaries: Sequence[CurveSummary]) -> tuple[Level, Area] | None:
    """The level beyond which a run would have counted as learning, and the band up to it that counts as chance."""
    chance = found.value("TRN003", "chance_level")
    if panel.is_score:
        needed = found.threshold("TRN003", "best_accuracy")
        if needed is None or chance is None or panel.metric != "accuracy":
            return None
        return _learned(panel, f"learned: above {percent(needed)}", needed, chance)
    limit = found.threshold("TRN003", "best_train_loss")
    if limit is not None:
        return _learned(panel, f"learned: below {number(limit)}", limit, None)
    fall = found.threshold("TRN003", "train_fall_relative")
    train = next((c for c in panel.curves if c.split == "train"), None)
    summary = None if train is None else summary_of(panel, train, summaries)
    if fall is None or summary is None or not isfinite(summary.first):
        return None
    needed = summary.first - fall * abs(summary.first)
    return _learned(panel, f"learned: {percent(fall, 0)} below its start", needed, None)


def _learned(panel: Panel, text: str, needed: float, chance: float | None) -> tuple[Level, Area]:
    low, high = (chance, needed) if panel.is_score else (needed, chance)
    area = Area(*panel.steps, low, high, MUTED, "chance band")
    return Level(needed, text, "needed", strong=True), area
