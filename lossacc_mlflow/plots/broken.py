"""Where a curve breaks off, and points that cannot be."""

import numpy as np

from lossacc_mlflow.bounds import plane_regions
from lossacc_mlflow.plots.flagged import Flagged, value_of
from lossacc_mlflow.plots.panels import Panel
from lossacc_mlflow.plots.shapes import Area, Rings, Spot
from lossacc_mlflow.plots.style import MUTED, SPLIT_COLORS
from lossacc_mlflow.records import Curve, IntArray, RunData
from lossacc_mlflow.rules.plane import points_of
from lossacc_mlflow.wording import number

__all__ = ["breaks_in", "gaps_in", "impossible_points"]

_MAX_GAPS, _MAX_BREAKS, _MAX_RINGS = 100, 12, 30


def gaps_in(panel: Panel) -> list[Area]:
    """Find the stretches in which a curve is interrupted by values that are not finite.

    Parameters
    ----------
    panel : Panel

    Returns
    -------
    list of Area
        From the last finite value before to the first one after; of very many the longest.
    """
    areas = []
    for curve in panel.curves:
        begins, ends = _gaps(curve)
        for first, last in zip(curve.step[np.maximum(begins - 1, 0)], curve.step[ends], strict=True):
            areas.append(Area(float(first), float(last), None, None, MUTED, "gap"))
    return areas


def breaks_in(panel: Panel) -> list[Spot]:
    """Find the last finite values before a curve breaks off.

    Parameters
    ----------
    panel : Panel

    Returns
    -------
    list of Spot
        The first of each curve first; some of very many.
    """
    spots = []
    for curve in panel.curves:
        begins = np.sort(_gaps(curve)[0])
        begins = begins[begins > 0]
        few = begins[np.unique(np.linspace(0, len(begins) - 1, min(len(begins), _MAX_BREAKS)).astype(np.int64))]
        color = SPLIT_COLORS[curve.split]
        spots += [Spot(int(curve.step[i]), float(curve.value[i]), "", color) for i in few - 1]
    return spots


def impossible_points(panel: Panel, run: RunData, found: Flagged) -> Rings | None:
    """Find the losses that their accuracies do not allow.

    Parameters
    ----------
    panel : Panel
        Of a log loss.
    run : RunData
    found : Flagged
        Its flagged findings: LOG002 (all points below the floor) and LOG003 (the one that is furthest above the
        ceiling, which only the rule knows).

    Returns
    -------
    Rings or None
        With the lowest possible loss at every step in the case of LOG002.
    """
    finding = found.first("LOG002", "LOG003")
    curve = next((c for c in panel.curves if finding is not None and c.split == finding.split), None)
    if finding is None or curve is None or curve.metric.name != "log_loss":
        return None
    if finding.code == "LOG003":
        loss, limit = value_of(finding, "loss"), found.threshold("LOG003", "loss")
        at = np.flatnonzero(curve.value == loss)[:1]
        if loss is None or limit is None or not at.size:
            return None
        step, none = curve.step[at].astype(np.float64), np.empty(0)
        return Rings(step, curve.value[at], none, none, f"at most {number(limit)} is possible here", (step[0], loss))
    points = next((p for p in points_of(run) if p.split == curve.split and p.loss_key == curve.key), None)
    if points is None:
        return None
    floor = plane_regions(2, points.accuracy).floor
    below, step = np.flatnonzero(points.loss < floor), points.step.astype(np.float64)
    some = below[np.unique(np.linspace(0, len(below) - 1, min(len(below), _MAX_RINGS)).astype(np.int64))]
    widest = int(np.argmax(floor / np.maximum(points.loss, 1e-300)))
    anchor = (float(step[widest]), float(floor[widest]))
    return Rings(step[some], points.loss[some], step, floor, "least loss at this accuracy", anchor)


def _gaps(curve: Curve) -> tuple[IntArray, IntArray]:
    """Where non-finite values begin, and the first finite one after them (the last value if there is none)."""
    bad = ~np.isfinite(curve.value)
    edges = np.diff(bad.astype(np.int8), prepend=0, append=0)
    begins, ends = np.flatnonzero(edges == 1), np.minimum(np.flatnonzero(edges == -1), len(bad) - 1)
    longest = np.argsort(begins - ends, kind="stable")[:_MAX_GAPS]
    return begins[longest], ends[longest]
