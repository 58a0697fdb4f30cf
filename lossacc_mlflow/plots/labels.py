"""Labels that never overlap: beside points in a plane, and in a column beside line ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Placement", "place_labels", "spread"]

Point = tuple[float, float]

_DIRECTIONS = [(cos(2 * pi * step / 24), sin(2 * pi * step / 24)) for step in range(24)]


@dataclass(frozen=True, slots=True)
class Box:
    """Rectangle in pixels."""

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> "Box":
        """Rectangle with its centre at (x, y)."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def overlaps(self, other: "Box", gap: float = 0.0) -> bool:
        """Whether the two share an area, or come nearer than ``gap``."""
        return (
            self.x0 < other.x1 + gap
            and other.x0 < self.x1 + gap
            and self.y0 < other.y1 + gap
            and other.y0 < self.y1 + gap
        )

    def contains(self, other: "Box") -> bool:
        """Whether the other lies wholly inside."""
        return self.x0 <= other.x0 and other.x1 <= self.x1 and self.y0 <= other.y0 and other.y1 <= self.y1

    def points(self, gap: float = 5.0) -> NDArray[np.float64]:
        """Points about ``gap`` apart all over it; shape (n_points, 2)."""
        x, y = np.arange(self.x0, self.x1 + gap, gap), np.arange(self.y0, self.y1 + gap, gap)
        return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)

    def crossed_by(self, start: Point, end: Point) -> bool:
        """Whether a straight line goes through the rectangle (Liang and Barsky 1984)."""
        first, last = 0.0, 1.0
        for low, high, a, b in ((self.x0, self.x1, start[0], end[0]), (self.y0, self.y1, start[1], end[1])):
            if a == b:
                if not low <= a <= high:
                    return False
                continue
            near, far = sorted(((low - a) / (b - a), (high - a) / (b - a)))
            first, last = max(first, near), min(last, far)
        return first < last

    @property
    def center(self) -> tuple[float, float]:
        """Middle of the rectangle."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a label goes, and where its leader line ends (None: it is so near that it needs none)."""

    box: Box
    leader: Point | None


def place_labels(
    anchors: Sequence[Point],
    sizes: Sequence[Point],
    obstacles: Sequence[Box],
    area: Box,
    *,
    lines: NDArray[np.float64] | None = None,
    clearance: float = 9.0,
) -> list[Placement] | None:
    """Find a place near each anchor for its label, so that no label overlaps another one, an obstacle or the edge.

    Each label in turn takes the cheapest free one of many positions around its anchor: near ones before far ones,
    and a leader line costs more where it crosses a label, an obstacle or another leader.

    Parameters
    ----------
    anchors : sequence of (x, y)
        In pixels.
    sizes : sequence of (width, height)
        Of the labels, in pixels.
    obstacles : sequence of Box
        What must stay visible: the points themselves, arrows.
    area : Box
        Where labels may be.
    lines : ndarray of float64, shape (n_points, 2), optional
        Points a few pixels apart along lines that labels should not hide where they can help it.
    clearance : float
        Distance between an anchor and a label beside it.

    Returns
    -------
    list of Placement or None
        In the order of the anchors; None if there is not enough room.
    """
    # The crowded ones first: those outside a cloud find a place anyway.
    points = np.asarray(anchors, dtype=np.float64).reshape(-1, 2)
    distance = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    crowding = (1.0 / (30.0 + distance)).sum(axis=1)
    order = sorted(range(len(anchors)), key=lambda i: (-round(float(crowding[i]), 9), i))
    placed: dict[int, Placement] = {}
    candidates = [_candidates(anchor, size, clearance) for anchor, size in zip(anchors, sizes, strict=True)]
    # Later passes move what was placed before its neighbours were known.
    for i in (*order, *order, *order):
        others = {j: placement for j, placement in placed.items() if j != i}
        best = _best_place(i, anchors, candidates[i], others, obstacles, area, lines)
        if best is None:
            return None
        placed[i] = best
    return [placed[i] for i in range(len(anchors))]


def _best_place(
    i: int,
    anchors: Sequence[Point],
    candidates: Sequence[tuple[float, Placement]],
    placed: Mapping[int, Placement],
    obstacles: Sequence[Box],
    area: Box,
    lines: NDArray[np.float64] | None,
) -> Placement | None:
    """The cheapest free place of one label, given those of others."""
    taken = [*(p.box for p in placed.values()), *obstacles]
    best: tuple[float, Placement] | None = None
    for cost, candidate in candidates:
        if best is not None and cost >= best[0]:
            break  # candidates come cheapest first, and crossings only add to the cost
        if not area.contains(candidate.box) or any(candidate.box.overlaps(other, 2.0) for other in taken):
            continue
        total = cost + _crossings(anchors[i], candidate, placed, anchors, obstacles)
        total += 0.0 if lines is None else 12.0 * _count_inside(candidate.box, lines)
        if best is None or total < best[0]:
            best = (total, candidate)
    return None if best is None else best[1]


def spread(wanted: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Move labels in a column as little as possible so that none overlaps and all stay within [low, high].

    Parameters
    ----------
    wanted, heights : sequence of float
        Centre and height of each label.
    low, high : float
        The ends of the column; where the labels do not fit, they are squeezed evenly.

    Returns
    -------
    list of float
        The centres, in the order given.

    Examples
    --------
    >>> spread([50, 52, 90], [10, 10, 10], 0, 100)
    [46.0, 56.0, 90.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    total = sum(heights)
    if total > high - low:
        heights = [h * (high - low) / total for h in heights]
    # Pool neighbours that touch into blocks that share one shift, as in isotonic regression.
    blocks: list[tuple[list[int], float, float]] = []
    for i in order:
        block, size, centre = [i], heights[i], _clamp(wanted[i], heights[i], low, high)
        while blocks and blocks[-1][2] + blocks[-1][1] / 2 > centre - size / 2:
            before, before_size, _ = blocks.pop()
            block, size = before + block, size + before_size
            centre = _clamp(_block_centre(block, wanted, heights), size, low, high)
        blocks.append((block, size, centre))
    result = [0.0] * len(wanted)
    for block, size, centre in blocks:
        bottom = centre - size / 2
        for i in block:
            result[i] = bottom + heights[i] / 2
            bottom += heights[i]
    return result


def _candidates(anchor: Point, size: Point, clearance: float) -> list[tuple[float, Placement]]:
    """Positions around an anchor with their cost, cheapest first."""
    x, y = anchor
    width, height = size
    found: list[tuple[float, Placement]] = []
    for ring, radius in enumerate((0, 14, 28, 44, 62, 82, 104, 130, 160, 195, 235, 280, 330)):
        reach = clearance + radius
        for step in range(len(_DIRECTIONS)):
            dx, dy = _DIRECTIONS[step]
            # The label touches the ring with its nearest side, so that wide labels are not pushed further away.
            centre = (x + dx * (reach + width / 2), y + dy * (reach + height / 2))
            box = Box.around(*centre, width, height)
            end = (min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1))
            length = hypot(end[0] - x, end[1] - y)
            # To the right is where one reads on; straight above or below comes next, slanted last.
            taste = 0.0 if step == 0 else 3.0 if step == 12 else 5.0 + 2.0 * abs(dx * dy)
            found.append((length + taste, Placement(box, end if ring > 0 and length > clearance + 6 else None)))
    return sorted(found, key=lambda c: c[0])


def _crossings(
    anchor: Point,
    candidate: Placement,
    placed: Mapping[int, Placement],
    anchors: Sequence[Point],
    obstacles: Sequence[Box],
) -> float:
    """Cost of what makes a label hard to read: leaders over labels and each other, other anchors close by."""
    box = candidate.box
    near = Box(box.x0 - 16, box.y0 - 16, box.x1 + 16, box.y1 + 16)
    others = [a for a in anchors if a != anchor]
    cost = 40.0 * sum(near.x0 < x < near.x1 and near.y0 < y < near.y1 for x, y in others)
    leaders = [(anchors[i], p.leader) for i, p in placed.items() if p.leader is not None]
    cost += 200.0 * sum(box.crossed_by(start, end) for start, end in leaders)
    if candidate.leader is not None:
        own = (anchor, candidate.leader)
        cost += 200.0 * sum(p.box.crossed_by(*own) for p in placed.values())
        cost += 25.0 * sum(o.crossed_by(*own) for o in obstacles if not o.overlaps(Box.around(*anchor, 1, 1)))
        cost += 25.0 * sum(_cross(*own, *other) for other in leaders)
    return cost


def _count_inside(box: Box, points: NDArray[np.float64]) -> int:
    """Number of points in a box, or nearly."""
    x, y = points[:, 0], points[:, 1]
    return int(np.count_nonzero((x > box.x0 - 2) & (x < box.x1 + 2) & (y > box.y0 - 2) & (y < box.y1 + 2)))


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the segments ab and cd cross."""

    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _block_centre(block: Sequence[int], wanted: Sequence[float], heights: Sequence[float]) -> float:
    """Centre of a block for which its labels move least in the mean of squares."""
    size = sum(heights[i] for i in block)
    offset, shifts = -size / 2, []
    for i in block:
        shifts.append(wanted[i] - (offset + heights[i] / 2))
        offset += heights[i]
    return sum(shifts) / len(shifts)


def _clamp(centre: float, size: float, low: float, high: float) -> float:
    return min(max(centre, low + size / 2), high - size / 2)
