"""What the picture of a run's curves shows: which metrics, on which steps, and which marks above them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from lossacc_mlflow.plots.style import MUTED, SPLIT_COLORS, VERMILLION
from lossacc_mlflow.plots.traces import STEP_LABELS, preferred
from lossacc_mlflow.records import Curve, Finding, FloatArray, Split, StepUnit
from lossacc_mlflow.rules.observation import MAX_FRACTION, MAX_PERCENT

__all__ = ["Mark", "Panel", "choose_panels", "marks_of"]

_ABOUT_ACCURACY = {"FIT002"}
_WITHOUT_ONSET = {"TRN003", "TRN004", "TRN006", "FIT004", "LOG001", "LOG006", "LOG008"}
"""Findings about a whole run, its second half or its end: their step is none at which anything began."""
_TINTED_FAMILIES = ("FIT", "TRN", "DIS")
_MAX_LANES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """What one pair of axes shows."""

    metric: str
    curves: tuple[Curve, ...]
    unit: StepUnit
    is_score: bool
    in_percent: frozenset[Split] = frozenset()
    """Splits whose values were logged in percent, and are shown as the fractions that they mean."""

    @property
    def steps(self) -> tuple[int, int]:
        """First and last step."""
        return min(int(c.step[0]) for c in self.curves), max(int(c.step[-1]) for c in self.curves)

    @property
    def judged(self) -> Curve:
        """The curve whose best step matters: validation if there is one."""
        order = {"validation": 0, "test": 1, "train": 2}
        return min(self.curves, key=lambda c: order[c.split])


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of text above a panel, at a step."""

    step: int
    text: str
    color: str
    interval: tuple[int, int] | None = None
    tinted: bool = False
    is_onset: bool = True
    everywhere: bool = True
    """Whether the line of an onset goes through the other panel too."""


def choose_panels(curves: Sequence[Curve]) -> list[Panel]:
    """Choose what to show: a loss and a score, on the same steps where possible."""
    usable = [c for c in curves if len(c) > 0]
    units = sorted({c.step_unit for c in usable}, key=lambda u: _unit_rank(u, usable))
    panels = []
    for is_score in (False, True):
        for unit in units:
            here = [c for c in usable if c.step_unit == unit]
            metric = preferred(here, greater_is_better=is_score)
            if metric is not None:
                chosen = _one_a_split(here, metric)
                percent = frozenset(c.split for c in chosen if _is_in_percent(c))
                shown = tuple(replace(c, value=c.value / 100) if c.split in percent else c for c in chosen)
                panels.append(Panel(metric, shown, unit, is_score, percent))
                break
    return panels


def _unit_rank(unit: StepUnit, curves: Sequence[Curve]) -> tuple[bool, bool, int, str]:
    """Real curves before single points, training steps before sample sizes, long before short."""
    longest = max(len(c) for c in curves if c.step_unit == unit)
    return longest < 2, unit == "n_samples", -longest, unit


def _one_a_split(curves: Sequence[Curve], metric: str) -> tuple[Curve, ...]:
    """Curves of the metric; a split that has only an unnamed loss joins a panel of log losses."""
    family = {"log_loss", "loss"} if metric in {"log_loss", "loss"} else {metric}
    chosen: dict[str, Curve] = {}
    for curve in sorted(curves, key=lambda c: c.metric.name != metric):
        if curve.metric.name in family:
            chosen.setdefault(curve.split, curve)
    several = any(len(c) > 1 for c in chosen.values())
    return tuple(chosen[s] for s in SPLIT_COLORS if s in chosen and (s != "test" or len(chosen[s]) > 1 or not several))


def _is_in_percent(curve: Curve) -> bool:
    """Whether an accuracy was logged in percent, as the rules take it."""
    if curve.metric.unit != "fraction":
        return False
    finite = curve.value[np.isfinite(curve.value)]
    if not finite.size or finite.min() < 0 or not MAX_FRACTION < finite.max() <= MAX_PERCENT:
        return False
    return bool(np.median(finite) > MAX_FRACTION)


def marks_of(panel: Panel, panels: Sequence[Panel], flagged: Sequence[Finding]) -> list[Mark]:
    """What is written above a panel: onsets of findings that are about it, and values that are not finite."""
    marks = []
    first, last = panel.steps
    if panel.unit != "n_samples":  # an onset is a moment in training
        begun = [f for f in flagged if f.step is not None and f.code not in _WITHOUT_ONSET]
        here = [f for f in begun if first <= (f.step or 0) <= last and _belongs(f, panel, panels)]
        for step, group in groupby(sorted(here, key=lambda f: (f.step or 0, f.code)), key=lambda f: f.step or 0):
            marks.append(_onset(step, list(group), panel.unit))
    marks = marks[: _MAX_LANES - 1]
    for curve in panel.curves:
        bad = np.flatnonzero(~np.isfinite(curve.value))
        if bad.size:
            step = int(curve.step[bad[0]])
            kinds = ", ".join(_count_kinds(curve.value[bad]))
            text = f"{curve.split}: {kinds}, first at {STEP_LABELS[curve.step_unit]} {step:,}"
            marks.append(Mark(step, text, SPLIT_COLORS[curve.split], is_onset=False))
    return marks


def _belongs(finding: Finding, panel: Panel, panels: Sequence[Panel]) -> bool:
    """Findings on accuracy belong to the score's panel, all others to that of the loss, if there are both."""
    return len(panels) == 1 or (finding.code in _ABOUT_ACCURACY) == panel.is_score


def _onset(step: int, group: Sequence[Finding], unit: StepUnit) -> Mark:
    """One mark for all findings that begin at the same step."""
    intervals = [f.step_interval for f in group if f.step_interval is not None]
    interval = (min(i[0] for i in intervals), max(i[1] for i in intervals)) if intervals else None
    between = f" ({interval[0]:,}–{interval[1]:,})" if interval and interval[0] < interval[1] else ""  # noqa: RUF001  (an en dash)
    grave = any(f.level != "note" and f.code.startswith(_TINTED_FAMILIES) for f in group)
    text = f"{' · '.join(f.code for f in group)} from {STEP_LABELS[unit]} {step:,}{between}"
    everywhere = not all(f.code.startswith("LOG") for f in group)
    return Mark(step, text, VERMILLION if grave else MUTED, interval, tinted=grave, everywhere=everywhere)


def _count_kinds(values: FloatArray) -> list[str]:
    """How many of each non-finite value, such as 3 times nan."""
    counts = {"nan": np.isnan(values), "inf": np.isposinf(values), "-inf": np.isneginf(values)}
    return [f"{int(found.sum()):,} × {name}" for name, found in counts.items() if found.any()]  # noqa: RUF001  (a times sign)
