"""What can be drawn into a panel beside its curves; records only."""

from dataclasses import dataclass

from lossacc_mlflow.records import Curve, FloatArray

__all__ = ["Area", "Bracket", "Level", "Rings", "Spot", "Stretch", "Visible"]


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line that the curves are held against; a strong one is always within the axes."""

    value: float
    text: str
    kind: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """A shaded rectangle between two steps; over the whole height, and below or above all, where a limit is None."""

    first: float
    last: float
    low: float | None
    high: float | None
    color: str
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Bracket:
    """A difference of two levels, drawn at the right end; a thin line leads there from the step of the first level.

    The area between ``curve`` and the first level is what was given up, or gained, since that step.
    """

    start: float
    end: float
    text: str
    color: str
    since: int | None = None
    curve: Curve | None = None
    arrow: bool = True


@dataclass(frozen=True, slots=True)
class Stretch:
    """A length of time, drawn as a horizontal line with words; ``share`` follows them where there is room."""

    first: int
    last: int
    text: str
    share: str
    color: str


@dataclass(frozen=True, slots=True)
class Spot:
    """A point on a curve, with words beside it."""

    step: int
    value: float
    text: str
    color: str


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Points that cannot be, and the limit that they break, where it is known at every step."""

    step: FloatArray
    value: FloatArray
    limit_step: FloatArray
    limit: FloatArray
    text: str
    anchor: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Visible:
    """All that is drawn into one panel beside its curves."""

    levels: tuple[Level, ...] = ()
    areas: tuple[Area, ...] = ()
    brackets: tuple[Bracket, ...] = ()
    stretch: Stretch | None = None
    spots: tuple[Spot, ...] = ()
    rings: Rings | None = None
    breaks: tuple[Spot, ...] = ()
    fall: str | None = None
    """Words for an arrow that goes on downwards from the end of the curve."""
