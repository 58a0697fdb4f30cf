"""What a person asks of the automatic logging, checked once and handed to every framework."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import Verdict

__all__ = ["Options", "Predictions"]

Predictions = Literal["last", "best"] | int | None
"""Of which steps predictions of the validation data are kept: the last, the best by loss, every n-th, none."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to log, and what to do with it.

    Parameters
    ----------
    validation_data : tuple of (X, y), optional
        Held-out data, for frameworks that are not given any by the training code.
    validation_fraction : float, optional
        Share of the training data of scikit-learn estimators to hold out. Nothing is held out unless asked for.
    predictions : {"last", "best"}, int or None
        Of which steps predictions of the validation data are kept; an integer n: every n-th and the last.
    train_evaluation : bool or int
        Whether deep models are also evaluated on training data after each epoch, in evaluation mode: the loss that
        frameworks log is a running mean, with dropout, over weights that change. An integer is the number of training
        samples that are used, the same ones at every epoch; True: as many as there are validation samples.
    stop_when : str or collection of str, optional
        Verdicts at whose first alarm that lasts the training is stopped.
    by_sample_size : bool
        Whether scikit-learn estimators that have no iterations are fitted again on growing parts of the data.
    diagnose : bool
        Whether each run is diagnosed, and written to, when it ends.
    silent : bool
        Whether to keep to oneself what is no warning.

    Raises
    ------
    InputError
        If a value is none of these.
    """

    validation_data: tuple[Any, Any] | None = None
    validation_fraction: float | None = None
    predictions: Predictions = "last"
    train_evaluation: bool | int = False
    stop_when: str | Collection[str] | None = None
    by_sample_size: bool = False
    diagnose: bool = True
    silent: bool = False

    def __post_init__(self) -> None:
        every = self.predictions
        is_count = isinstance(every, int) and not isinstance(every, bool) and every > 0
        if not (is_count or every in {None, "last", "best"}):
            raise InputError(f"predictions is {every!r}; wanted is 'last', 'best', a number of steps, or None.")
        fraction = self.validation_fraction
        if fraction is not None and not 0 < fraction < 1:
            raise InputError(f"validation_fraction is {fraction!r}; wanted is a share between 0 and 1.")
        unknown = self.alarms - set(get_args(Verdict))
        if unknown:
            raise InputError(
                f"stop_when names {', '.join(map(repr, sorted(unknown)))}; wanted is one of "
                f"{', '.join(map(repr, get_args(Verdict)))}."
            )

    @property
    def alarms(self) -> frozenset[Verdict]:
        """Verdicts that end the training."""
        if self.stop_when is None:
            return frozenset()
        names = [self.stop_when] if isinstance(self.stop_when, str) else self.stop_when
        return frozenset(cast("Collection[Verdict]", names))
