"""What an accuracy and a loss prove about each other."""

from dataclasses import dataclass

__all__ = ["LossBounds"]


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
