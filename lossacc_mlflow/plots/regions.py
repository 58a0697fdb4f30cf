"""The regions of the plane of accuracy and log loss, and its axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.bounds import plane_regions
from lossacc_mlflow.plots.labels import Box
from lossacc_mlflow.plots.style import BLUE, MUTED, put, set_ticks, text_size, tint
from lossacc_mlflow.records import FloatArray, LossBounds
from lossacc_mlflow.wording import percent

__all__ = [
    "COLOR_KEY",
    "COLOR_KEY_NO_BAND",
    "AccuracyAxis",
    "State",
    "accuracy_axis",
    "draw_regions",
    "name_region",
    "state_of",
]

_NEAR_ONE = 0.9
"""Accuracy above which differences are read as ratios of errors."""

_IMPOSSIBLE: Final = "#e4e6e9"
_OFF_BAND: Final = tint("#E69F00", 0.22)
_BAND: Final = tint(BLUE, 0.24)

COLOR_KEY: Final = (
    (_BAND, "a calibrated model can be here"),
    (_OFF_BAND, "possible, but miscalibrated"),
    (_IMPOSSIBLE, "impossible"),
)

COLOR_KEY_NO_BAND: Final = ((_OFF_BAND, "possible"), (_IMPOSSIBLE, "impossible"))
"""For losses that show nothing about calibration."""

State = Literal["impossible", "calibrated", "above", "below"]


@dataclass(frozen=True, slots=True)
class AccuracyAxis:
    """Horizontal axis: linear in the accuracy, or in the logarithm of the error.

    A small ``offset`` is added to the error, so that an accuracy of exactly 1 has a place.
    """

    low: float
    high: float
    offset: float | None

    def __call__(self, accuracy: float) -> float:
        """Position on the axis; accuracies outside [0, 1] come to the nearest end."""
        a = min(max(accuracy, 0.0), 1.0)
        return a if self.offset is None else float(-np.log10(1.0 - a + self.offset))

    def inverse(self, position: FloatArray) -> FloatArray:
        """Accuracy at positions."""
        a = position if self.offset is None else 1.0 + self.offset - 10.0**-position
        return np.clip(a, 0.0, 1.0)

    def candidates(self) -> list[float]:
        """Accuracies that may get a tick, the roundest first."""
        if self.offset is None:
            fine = next(s for s in (0.2, 0.1, 0.05, 0.02, 0.01, 0.005) if (self.high - self.low) / s >= 4 or s == 0.005)
            return [round(k * fine, 4) for k in range(round(1 / fine) + 1)]
        return [1.0, *(round(1 - m * 10.0**-k, 12) for m in (1, 5, 2) for k in range(m > 1, 9)), 0.7, 0.6]


def state_of(bounds: LossBounds) -> State:
    """Region of a point; the closed ends of an interval belong to it, also after rounding."""
    slack = 1e-9 * (1 + min(abs(bounds.loss), 1.0))
    inside = bounds.floor - slack <= bounds.loss <= bounds.ceiling + slack and isfinite(bounds.loss)
    if not (0 <= bounds.accuracy <= 1 and inside):
        return "impossible"
    if bounds.removable_loss > slack:
        return "above"
    return "calibrated" if bounds.loss >= bounds.calibrated_low - slack else "below"


def accuracy_axis(every: Sequence[LossBounds]) -> AccuracyAxis:
    """Axis that shows all points: by the logarithm of the error if the best are near 1."""
    accuracy = np.clip([b.accuracy for b in every], 0.0, 1.0)
    if accuracy.max() < _NEAR_ONE:
        margin = max(0.12 * (accuracy.max() - accuracy.min()), 0.06)
        return AccuracyAxis(max(accuracy.min() - margin, 0.0), min(accuracy.max() + margin, 1.0), None)
    errors = 1.0 - accuracy[accuracy < 1]
    least = float(errors.min()) if errors.size else 3e-3
    offset = least / 3 if accuracy.max() == 1 else least * 1e-6
    position = -np.log10(1.0 - accuracy + offset)
    margin = max(0.16 * (position.max() - position.min()), 0.3)
    end = float(-np.log10(offset))
    start = -float(np.log10(1.0 + offset))
    return AccuracyAxis(max(float(position.min()) - margin, start), min(float(position.max()) + margin, end), offset)


def _loss_limits(every: Sequence[LossBounds]) -> tuple[float, float]:
    """Limits of the loss: all points and the ends of their arrows, at least two decades."""
    values = [b.loss for b in every]
    values += [b.calibrated_high for b in every if state_of(b) == "above" and b.calibrated_high > b.loss / 1e3]
    positive = [v for v in values if np.isfinite(v) and v > 0] or [0.1]
    low, high = min(positive) / 2.5, min(max(positive), 1e200) * 2.5
    widen = max(1.0, 10.0 / np.sqrt(high / low))
    return float(low / widen), float(high * widen)


def draw_regions(
    axes: Axes, scale: AccuracyAxis, every: Sequence[LossBounds], n_classes: int | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Fill the regions, set both axes, and return the dividing lines in pixels, each of shape (n, 2)."""
    axes.set_yscale("log")
    axes.set_xlim(scale.low, scale.high)
    axes.set_ylim(*_loss_limits(every))
    bottom, top = axes.get_ylim()
    position = np.linspace(scale.low, scale.high, 500)
    clip = min(b.clip for b in every)
    regions = plane_regions(n_classes, scale.inverse(position), loss_name=every[0].loss_name, clip=clip)
    floor, low, high, ceiling = (
        np.clip(line, bottom / 10, top * 10)
        for line in (regions.floor, regions.calibrated_low, regions.calibrated_high, regions.ceiling)
    )
    axes.set_facecolor(_IMPOSSIBLE)
    axes.fill_between(position, floor, ceiling, color=_OFF_BAND, linewidth=0, zorder=0.5)
    axes.fill_between(position, low, high, color=_BAND, linewidth=0, zorder=0.6)
    for line, color, width in ((floor, MUTED, 0.9), (ceiling, MUTED, 0.9), (low, BLUE, 1.2), (high, BLUE, 2.0)):
        axes.plot(position, line, color=color, linewidth=width, linestyle="-", zorder=1, marker="")
    _set_plane_ticks(axes, scale)
    lines = [axes.transData.transform(np.column_stack([position, line])) for line in (floor, low, high, ceiling)]
    return lines[0], lines[1], lines[2], lines[3]


def _set_plane_ticks(axes: Axes, scale: AccuracyAxis) -> None:
    """Ticks at round accuracies, as many as have room, and at 1, 2, 5 or 1, 3 of each decade of the loss."""
    left, right = axes.get_window_extent().intervalx
    chosen: list[float] = []
    for accuracy in scale.candidates():
        position = scale(accuracy)
        inside = scale.low - 1e-9 <= position <= scale.high + 1e-9
        pixels = (right - left) / (scale.high - scale.low)
        if inside and all(abs(position - scale(c)) * pixels > 66 for c in chosen):
            chosen.append(accuracy)
    set_ticks(axes.xaxis, [scale(a) for a in chosen], [percent(a, zeros=False) for a in chosen])
    bottom, top = axes.get_ylim()
    decades = np.log10(top / bottom)
    parts = (1, 2, 5) if decades < 2.2 else (1, 3) if decades < 5 else (1,)
    stride = max(1, round(decades / 9))
    exponents = range(int(np.floor(np.log10(bottom))), int(np.ceil(np.log10(top))) + 1, stride)
    ticks = [t for t in (m * 10.0**k for k in exponents for m in parts) if bottom <= t <= top]
    set_ticks(axes.yaxis, ticks, [f"{t:g}" for t in ticks])


def name_region(
    figure: Figure,
    axes: Axes,
    text: str,
    *,
    color: str,
    between: tuple[FloatArray | None, FloatArray | None],
    taken: list[Box],
) -> None:
    """Write the name of a region where it fits between its lines and is furthest from everything else."""
    width, height = text_size(figure, text)
    frame = axes.get_window_extent()
    best: tuple[float, Box] | None = None
    for x in np.linspace(frame.x0 + 8, frame.x1 - width - 8, 40):
        low, high = frame.y0 + 4, frame.y1 - 4
        for line, is_lower in ((between[0], True), (between[1], False)):
            if line is None:
                continue
            over = line[(line[:, 0] >= x - 6) & (line[:, 0] <= x + width + 6), 1]
            if over.size == 0 or np.isnan(over).any():
                low = high
            elif is_lower:
                low = max(low, float(over.max()) + 3)
            else:
                high = min(high, float(over.min()) - 3)
        for y in np.linspace(low, high - height, 7) if high - height >= low else ():
            box = Box(float(x), float(y), float(x) + width, float(y) + height)
            if any(box.overlaps(t, 4.0) for t in taken):
                continue
            middle = box.center
            room = min((np.hypot(middle[0] - t.center[0], middle[1] - t.center[1]) for t in taken), default=200.0)
            score = min(float(room), 200.0) + 0.6 * min(y - low, high - height - y)
            if best is None or score > best[0]:
                best = (score, box)
    if best is not None:
        box = best[1]
        taken.append(box)
        put(
            figure,
            box.x0 / figure.bbox.width,
            box.y0 / figure.bbox.height,
            text,
            color=color,
            style="italic",
            gid="region",
        )
