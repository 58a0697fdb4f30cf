"""What the findings of a run make visible in a panel; every number comes from their evidence, or off a curve."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from lossacc_mlflow.plots.broken import breaks_in, gaps_in, impossible_points
from lossacc_mlflow.plots.flagged import Flagged, step_word, summary_of, value_of
from lossacc_mlflow.plots.levels import levels_of, needed_to_learn
from lossacc_mlflow.plots.panels import Panel
from lossacc_mlflow.plots.shapes import Area, Bracket, Spot, Stretch, Visible
from lossacc_mlflow.plots.style import MUTED, SPLIT_COLORS, VERMILLION, readable
from lossacc_mlflow.records import CurveSummary, Diagnosis
from lossacc_mlflow.wording import percent, signed

__all__ = ["visible_in"]

_LOSS_RISES = ("FIT001", "DIS001", "TRN002", "FIT005")
_ACCURACY_FALLS = ("FIT002", "TRN002", "DIS001")


def visible_in(panel: Panel, panels: Sequence[Panel], diagnosis: Diagnosis) -> Visible:
    """Choose what one panel shows of the findings.

    Parameters
    ----------
    panel : Panel
    panels : sequence of Panel
        All of the picture: what is about both stands in the first.
    diagnosis : Diagnosis
        Every number comes from the evidence of its flagged findings, from its curve summaries, or off a curve.

    Returns
    -------
    Visible
        Findings that share a step and a price share a bracket.
    """
    # A moment in training has no place among sizes of the training set.
    found = Flagged(diagnosis.flagged if panel.unit != "n_samples" else ())
    summaries = diagnosis.curves
    swing = None if panel.is_score else _swing(panel, found)
    brackets = (_cost(panel, found, summaries), _train_rise(panel, found, summaries), _gap(panel, found))
    needed = needed_to_learn(panel, found, summaries)
    return Visible(
        levels=(*levels_of(panel, diagnosis.run, found), *([] if needed is None else [needed[0]])),
        areas=(
            *gaps_in(panel),
            *([] if needed is None else [needed[1]]),
            *([] if swing is None else [swing[0]]),
            *_saturation(panel, found),
        ),
        brackets=tuple(b for b in (*brackets, None if swing is None else swing[1]) if b is not None),
        stretch=_stretch(panel, found, summaries) if panel is panels[0] else None,
        spots=_best_by_the_other(panel, found, summaries),
        rings=None if panel.is_score else impossible_points(panel, diagnosis.run, found),
        breaks=tuple(breaks_in(panel)),
        fall=_fall(panel, found),
    )


def _cost(panel: Panel, found: Flagged, summaries: Sequence[CurveSummary]) -> Bracket | None:
    """What was given up between the best step and the end; findings that share both share the bracket."""
    summary = summary_of(panel, panel.judged, summaries)
    finding = found.first(*(_ACCURACY_FALLS if panel.is_score else _LOSS_RISES))
    given_up = value_of(finding, f"{panel.metric}_given_up" if panel.is_score else "loss_given_up")
    if summary is None or finding is None or given_up is None:
        return None
    best, since = summary.smoothed_best, summary.smoothed_best_step
    if panel.is_score:
        holds = finding.code == "DIS001"
        text = _points(panel, -given_up)
        text = ("holds" if text.startswith("+0.0 ") else f"holds: {text}") if holds else text
        color = MUTED if holds else readable(VERMILLION)
        return Bracket(best, best - given_up, text, color, since, None if holds else panel.judged)
    if finding.step != since:
        return None  # the price of another loss than the one shown
    relative = value_of(finding, "validation_rise_relative") or value_of(finding, "loss_given_up_relative")
    text = signed(given_up) + ("" if relative is None else f" (+{percent(relative, 0)})")
    return Bracket(best, best + given_up, text, readable(VERMILLION), since, panel.judged)


def _points(panel: Panel, change: float) -> str:
    """A change of a score, in points of a percentage where it is a fraction."""
    return f"{round(100 * change, 1) + 0.0:+.1f} points" if panel.judged.metric.unit == "fraction" else signed(change)


def _train_rise(panel: Panel, found: Flagged, summaries: Sequence[CurveSummary]) -> Bracket | None:
    """How far the train loss has climbed in a late divergence."""
    rise = found.value("TRN002", "train_rise")
    train = next((c for c in panel.curves if c.split == "train"), None)
    summary = None if train is None else summary_of(panel, train, summaries)
    if rise is None or summary is None or panel.is_score:
        return None
    low, color = summary.smoothed_best, SPLIT_COLORS["train"]
    return Bracket(low, low + rise, f"train {signed(rise)}", color, since=summary.smoothed_best_step)


def _gap(panel: Panel, found: Flagged) -> Bracket | None:
    """How far apart train and validation end."""
    ratio = found.value("FIT003", "validation_over_train_loss")
    gap = found.value("FIT003", "generalization_gap_loss")
    if ratio is None or gap is None or panel.is_score or len(panel.curves) == 1 or not ratio > 1:
        return None
    train = gap / (ratio - 1)
    text = f"{ratio:.1f}× train"  # noqa: RUF001  (a times sign)
    return Bracket(train, train + gap, text, MUTED, arrow=False)


def _swing(panel: Panel, found: Flagged) -> tuple[Area, Bracket] | None:
    """The band in which the loss swings in its second half."""
    relative, curve = found.value("TRN004", "spread_relative"), panel.judged
    begin = found["TRN004"].step if "TRN004" in found else None
    if relative is None or begin is None:
        return None
    late = curve.value[(curve.step >= begin) & np.isfinite(curve.value)]
    if not late.size:
        return None
    middle, spread = float(np.median(late)), relative * float(np.median(np.abs(late)))
    low, high = middle - spread / 2, middle + spread / 2
    color = readable(VERMILLION)
    text = f"swings by {percent(relative, 0)}"
    return Area(begin, panel.steps[1], low, high, color, "swing"), Bracket(low, high, text, color, arrow=False)


def _saturation(panel: Panel, found: Flagged) -> list[Area]:
    """What came after the last gain."""
    step = found["TRN005"].step if "TRN005" in found else None
    return [] if step is None else [Area(step, panel.steps[1], None, None, MUTED, "saturated")]


def _stretch(panel: Panel, found: Flagged, summaries: Sequence[CurveSummary]) -> Stretch | None:
    """How long training went on for nothing."""
    finding = found.first("TRN005", "FIT005", *(_ACCURACY_FALLS if panel.is_score else _LOSS_RISES))
    count, last = value_of(finding, "steps_since_best"), int(panel.judged.step[-1])
    if finding is None or finding.step is None or count is None or finding.step + count != last:
        return None
    steps = step_word(panel.unit, count)
    if finding.code == "TRN005":
        before = value_of(finding, "share_of_run_to_saturation")
        share = "" if before is None else f" ({percent(1 - before, 0)} of the run)"
        return Stretch(finding.step, last, f"nothing gained in {steps}", share, MUTED)
    summary = summary_of(panel, panel.judged, summaries)
    if summary is None or summary.smoothed_best_step != finding.step:
        return None
    after = value_of(found.first("FIT005"), "share_of_steps_since_best")
    share = "" if after is None else f" ({percent(after, 0)} of the run)"
    return Stretch(finding.step, last, f"{steps} since the best", share, readable(VERMILLION))


def _best_by_the_other(panel: Panel, found: Flagged, summaries: Sequence[CurveSummary]) -> tuple[Spot, ...]:
    """What the step that the other metric calls best costs in this one."""
    own, other = ("accuracy", "loss") if panel.is_score else ("loss", "accuracy")
    summary = summary_of(panel, panel.judged, summaries)
    best, step = (value_of(found.first("DIS002"), f"best_step_by_{name}") for name in (own, other))
    if summary is None or step is None or best != summary.smoothed_best_step:
        return ()
    level = summary.smoothed_best
    if panel.is_score:
        cost = found.value("DIS002", "accuracy_cost_of_best_loss")
        text = "" if cost is None else _points(panel, -cost)
        value = None if cost is None else level - cost
    else:
        cost = found.value("DIS002", "loss_cost_of_best_accuracy_relative")
        text = "" if cost is None else f"loss +{percent(cost, 0)}"
        value = None if cost is None else level * (1 + cost)
    return () if value is None else (Spot(int(step), value, f"best {other}: {text}", MUTED),)


def _fall(panel: Panel, found: Flagged) -> str | None:
    """How much the loss still fell at the end."""
    relative = found.value("TRN006", "fall_at_the_end_relative")
    if relative is None or panel.is_score or not isfinite(panel.judged.value[-1]):
        return None
    return f"still falling: -{percent(relative)}"
