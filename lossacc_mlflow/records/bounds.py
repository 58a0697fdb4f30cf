"""What an accuracy and a loss prove about each other."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "FigureBounds",
    "FigurePair",
    "FiguresReport",
    "LossBounds",
    "Miscalibration",
    "ReportedFigures",
]


@dataclass(frozen=True, slots=True)
class LossBounds:
    """What an accuracy, a mean loss and a class count prove about each other (see ``bounds``).

    ``loss_correct``, ``loss_incorrect`` and ``loss_share_incorrect`` are closed intervals; ``removable_loss`` is how
    much of the loss one constant confidence would remove without changing a prediction (0 inside the band).
    ``n_classes`` is None where the bounds hold for every number of classes. ``loss_max`` is the largest loss of one
    sample, infinite without a ``clip``. The band and ``removable_loss`` are NaN for losses that have none.
    """

    accuracy: float
    loss: float
    n_classes: int | None
    loss_max: float
    floor: float
    ceiling: float
    calibrated_low: float
    calibrated_high: float
    removable_loss: float
    loss_correct: tuple[float, float]
    loss_incorrect: tuple[float, float]
    loss_share_incorrect: tuple[float, float]
    loss_name: str = "log_loss"
    clip: float = 0.0


@dataclass(frozen=True, slots=True)
class ReportedFigures:
    """An accuracy and a mean loss as somebody reported them, with the intervals that they were rounded from."""

    name: str
    accuracy: float
    loss: float
    accuracy_interval: tuple[float, float]
    loss_interval: tuple[float, float]
    accuracy_text: str
    loss_text: str


@dataclass(frozen=True, slots=True)
class Miscalibration:
    """The test of a model's calibration by two figures of n samples.

    ``proved_from_n`` is the number of samples from which on these figures are significant, None where they never are.
    """

    p: float | None = None
    proved: bool | None = None
    proved_from_n: int | None = None


@dataclass(frozen=True, slots=True)
class FigureBounds:
    """What two reported figures prove; ``rounded`` on the whole rounding interval.

    ``n_right`` is how many of the n samples can be right, None without n or where no number of them rounds to this
    accuracy; ``possible_from_n`` is the least number of samples that has this accuracy. ``constant`` is the loss of the
    best constant confidence, F. Up to ``removable_up_to_n_classes`` some of the loss is removable; None where at no
    number of classes, infinite where at every one.
    """

    reported: ReportedFigures
    bounds: LossBounds
    rounded: LossBounds
    constant: float
    miscalibration: Miscalibration
    miscalibration_rounded: Miscalibration
    n_right: tuple[int, int] | None
    possible_from_n: int
    removable_up_to_n_classes: float | None

    @property
    def is_possible(self) -> bool:
        """Whether any figures that round to the reported ones are possible."""
        return self.rounded.loss_share_incorrect[0] == self.rounded.loss_share_incorrect[0]


@dataclass(frozen=True, slots=True)
class FigurePair:
    """Two models by their figures alone; ``a`` is the one with the higher accuracy, gaps are a minus b.

    ``order_certain`` is whether rounding can change neither order. ``loss_gap_of_accuracy`` is by how much the accuracy
    gap alone changes the loss, at the mean losses of right and wrong answers of b. Where the losses reverse the order,
    ``loss_incorrect_needed`` is what wrong answers of a cost at least if its right ones cost what those of b do, and
    ``loss_correct_needed`` the other way round. ``mcnemar_p`` is the smallest and the largest p value of all tables
    with these figures, known with n; with fewer than ``mcnemar_from_n`` samples the gap cannot be significant.
    """

    a: str
    b: str
    accuracy_gap: float
    loss_gap: float
    reverses: bool
    order_certain: bool
    loss_gap_of_accuracy: tuple[float, float]
    loss_correct_must_differ: bool
    loss_incorrect_must_differ: bool
    loss_correct_needed: float | None
    loss_incorrect_needed: float | None
    mcnemar_p: tuple[float, float] | None
    mcnemar_gap_needed: int
    mcnemar_from_n: int | None


@dataclass(frozen=True, slots=True)
class FiguresReport:
    """What a few pairs of accuracy and loss prove, each and against each other.

    Without ``n_classes``, ``figures`` hold what is true for every number of classes, and ``by_n_classes`` the same for
    some. ``clip`` is None where it was not said; then ``clipped`` holds the same under the clip of a library that would
    change it, by its name.
    """

    n_classes: int | None
    clip: float | None
    loss_name: str
    n: int | None
    alpha: float
    figures: tuple[FigureBounds, ...]
    pairs: tuple[FigurePair, ...]
    by_n_classes: Mapping[int, tuple[FigureBounds, ...]]
    clipped: Mapping[str, tuple[FigureBounds, ...]]
