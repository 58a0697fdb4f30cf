"""What a person asks of the automatic logging, checked once and handed to every framework."""

from collections.abc import Collection
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, cast, get_args

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import Verdict

__all__ = ["Options", "Predictions", "check_validation_data"]

Predictions = Literal["last", "best"] | int | None
"""Of which steps predictions of the validation data are kept: the last, the best by loss, every n-th, none."""

_VERDICTS = get_args(Verdict)


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
        # Whatever a person may have written, not only what the annotations allow.
        every: object = self.predictions
        if not (every is None or (isinstance(every, str) and every in {"last", "best"}) or _is_count(every)):
            raise InputError(f"predictions is {every!r}; wanted is 'last', 'best', a number of steps, or None.")
        fraction: object = self.validation_fraction
        if not (fraction is None or (isinstance(fraction, Real) and 0 < float(fraction) < 1)):
            raise InputError(f"validation_fraction is {fraction!r}; wanted is a share between 0 and 1.")
        samples: object = self.train_evaluation
        if not (isinstance(samples, bool) or _is_count(samples)):
            raise InputError(f"train_evaluation is {samples!r}; wanted is True, False, or a number of samples.")
        for name in ("by_sample_size", "diagnose", "silent"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {getattr(self, name)!r}; wanted is True or False.")
        if self.validation_data is not None:
            check_validation_data(self.validation_data)
        _check_alarms(self.stop_when)

    @property
    def alarms(self) -> frozenset[Verdict]:
        """Verdicts that end the training."""
        if self.stop_when is None:
            return frozenset()
        names = [self.stop_when] if isinstance(self.stop_when, str) else self.stop_when
        return frozenset(cast("Collection[Verdict]", names))


def check_validation_data(data: object) -> None:
    """Check that held-out data are two things of the same number of samples, as far as they tell.

    Parameters
    ----------
    data : tuple of (X, y)

    Raises
    ------
    InputError
        If they are not.
    """
    if not isinstance(data, tuple) or len(data) != 2:
        kind = f"a tuple of {len(data)}" if isinstance(data, tuple) else f"a {type(data).__name__}"
        raise InputError(f"validation_data is {kind}; wanted is a tuple (X, y).")
    n_samples = [_n_samples(part) for part in data]
    if None not in n_samples and n_samples[0] != n_samples[1]:
        raise InputError(f"validation_data: X has {n_samples[0]} samples, y has {n_samples[1]}.")


def _check_alarms(stop_when: object) -> None:
    if stop_when is None:
        return
    if not isinstance(stop_when, Collection):
        raise InputError(f"stop_when is {stop_when!r}; wanted is the name of a verdict, or several.")
    names = [stop_when] if isinstance(stop_when, str) else stop_when
    unknown = [name for name in names if name not in _VERDICTS]
    if unknown:
        raise InputError(
            f"stop_when names {', '.join(map(repr, unknown))}; wanted is one of {', '.join(map(repr, _VERDICTS))}."
        )


def _is_count(value: object) -> bool:
    return type(value) is not bool and isinstance(value, Integral) and int(value) > 0


def _n_samples(data: Any) -> int | None:  # noqa: ANN401  (anything that an estimator takes)
    shape = getattr(data, "shape", None)
    try:
        return int(shape[0]) if shape is not None else len(data)
    except (TypeError, IndexError):
        return None
