"""What a panel will hold before it has a place: limits, levels within them, and the words to the right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossacc_mlflow.plots.measures import ARROW_ROOM, BRACKET_ROOM
from lossacc_mlflow.plots.panels import Panel
from lossacc_mlflow.plots.shapes import Level, Visible
from lossacc_mlflow.plots.style import INK, MUTED, SIZE, SPLIT_COLORS
from lossacc_mlflow.plots.traces import EndLabel, Scale, score_text, value_scale
from lossacc_mlflow.records import Curve

__all__ = ["Draft", "draft_panel"]

_ROOM_BELOW = 5
"""How far below the best validation loss the axis reaches at most, as a factor."""
_EARLY, _TIMES_LATER = 20, 3.0
"""The first twentieth of a loss may leave the axis where it reaches over three times the range of the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """What one panel will hold, before it has a place: its scale, its lines, and the words to the right of them."""

    panel: Panel
    visible: Visible
    scale: Scale
    levels: tuple[Level, ...]
    ends: tuple[EndLabel, ...]

    @property
    def words(self) -> list[tuple[str, float, str]]:
        """Text, size and weight of everything in the column to the right."""
        beside = [b.text for b in self.visible.brackets] + [self.visible.fall or ""]
        return [(e.text, SIZE, e.weight) for e in self.ends] + [(text, SIZE, "bold") for text in beside]

    @property
    def tick_labels(self) -> list[str]:
        """Labels of the value axis."""
        return self.scale.ticks(fraction=self.panel.judged.metric.unit == "fraction")[1]

    @property
    def room(self) -> float:
        """Pixels to keep free behind the last step."""
        return BRACKET_ROOM * len(self.visible.brackets) + ARROW_ROOM * (self.visible.fall is not None)


def draft_panel(panel: Panel, visible: Visible) -> Draft:
    """Choose limits and the levels within them, and put the words together that stand to the right."""
    low, high = _finite_range(panel)
    reach = 0.35 * max(high - low, 0.05 if panel.is_score else 0.0)
    # A line far away would flatten the curves: then the words point at it.
    near = [v for v in visible.levels if v.strong or low - reach <= v.value <= high + reach]
    scale = _scale(panel, [v.value for v in near])
    inside = [v for v in near if scale.low <= v.value <= scale.high]
    far = [v for v in visible.levels if v not in inside and (panel.is_score or v.kind != "chance" or v in near)]
    ends = [_end_label(curve, scale) for curve in panel.curves]
    ends += [EndLabel(v.value, v.text, INK if v.kind != "chance" or v.strong else MUTED) for v in inside]
    ends += [EndLabel(v.value, f"{v.text} {'↓' if not v.value > scale.high else '↑'}", MUTED) for v in far]
    return Draft(panel, visible, scale, tuple(inside), tuple(ends))


def _end_label(curve: Curve, scale: Scale) -> EndLabel:
    """The split with its last value; an arrow where its line has left the axes."""
    finite = curve.value[np.isfinite(curve.value)]
    if not finite.size:
        return EndLabel(0.5, f"{curve.split}: nothing finite", SPLIT_COLORS[curve.split])
    last = float(curve.value[-1])
    text = f"{curve.split} {score_text(curve.metric, last) if np.isfinite(last) else f'{last:g}'}"
    return EndLabel(float(finite[-1]), text + " ↓" * bool(finite[-1] < scale.low), SPLIT_COLORS[curve.split])


def _finite_range(panel: Panel) -> tuple[float, float]:
    """Least and greatest finite value of a panel; NaN if there is none."""
    values = np.concatenate([c.value for c in panel.curves])
    values = np.clip(values[np.isfinite(values)], -1e300, 1e300)
    return (float(values.min()), float(values.max())) if values.size else (float("nan"), float("nan"))


def _scale(panel: Panel, levels: Sequence[float]) -> Scale:
    """Limits of the values; what would press flat all that matters may leave the axes, and is named at their edge."""
    scale = value_scale([c.value for c in panel.curves], allow_log=not panel.is_score, include=levels)
    judged = panel.judged.value[np.isfinite(panel.judged.value)]
    if panel.is_score or not judged.size:
        return scale
    if scale.log:
        # A train loss that goes to zero.
        lowest = min(float(judged.min()) / _ROOM_BELOW, *levels, scale.high)
        return replace(scale, low=max(scale.low, lowest)) if panel.judged.split != "train" else scale
    # The first steps of a loss.
    late = np.concatenate([c.value[max(1, len(c) // _EARLY) :] for c in panel.curves])
    late = np.append(late[np.isfinite(late)], levels)
    if not late.size or scale.high - scale.low <= _TIMES_LATER * float(np.ptp(late)) or not np.ptp(late) > 0:
        return scale
    reach = _TIMES_LATER / 2 * float(np.ptp(late))
    return replace(scale, low=max(scale.low, float(late.min()) - 0.1 * reach), high=float(late.min()) + reach)
