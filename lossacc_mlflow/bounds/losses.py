"""What one sample can cost when it is answered rightly and when it is answered wrongly, by loss."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import erf, exp, inf, isinf, isnan, log, nan, pi, sqrt
from typing import ClassVar

import numpy as np

from lossacc_mlflow.bounds.significance import log_normalizer
from lossacc_mlflow.clips import largest_loss
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import FloatArray
from lossacc_mlflow.wording import did_you_mean

__all__ = ["LOSS_FORMS", "Loss", "SampleRanges", "find_loss"]

LOSS_FORMS = (
    "log_loss",
    "brier",
    "brier:binary",
    "hinge",
    "focal:GAMMA[:ALPHA]",
    "smoothed:ALPHA",
    "squared_error:TAU",
)
"""How a loss is named."""


@dataclass(frozen=True, slots=True)
class SampleRanges:
    """Closed intervals of the loss of one sample that is answered rightly, and of one that is answered wrongly."""

    right: tuple[float, float]
    wrong: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Loss(ABC):
    """A loss of one sample, with what is known of it; subclasses are the losses.

    ``n_classes`` is None where what is asked must hold for every number of classes from two upwards.
    """

    name: ClassVar[str]
    words: ClassVar[str]
    unit: ClassVar[str] = ""
    needs_classes: ClassVar[bool] = True
    proper: ClassVar[bool] = False
    rate: ClassVar[float] = 1.0
    """How fast the logarithm of a p value falls with n times the excess of the loss (see ``log_penalty``)."""

    @property
    def spelling(self) -> str:
        """How this loss is named, its parameters included."""
        return self.name

    @abstractmethod
    def ranges(self, n_classes: int | None, clip: float) -> SampleRanges:
        """Tight ranges of one sample, with probabilities clipped at ``clip`` (0: not at all)."""

    def calibrated(self, accuracy: FloatArray, n_classes: int | None) -> tuple[FloatArray, FloatArray]:  # noqa: ARG002
        """Lowest and highest expected loss of a calibrated model; NaN where there is none, or none is known."""
        unknown = np.full_like(accuracy, nan)
        return unknown, unknown

    def constant(self, accuracy: FloatArray, n_classes: int | None) -> FloatArray:  # noqa: ARG002
        """Loss of the best constant confidence on the same predictions; NaN where it is not defined."""
        return np.full_like(accuracy, nan)

    def log_penalty(self, n: int, accuracy: float, n_classes: int | None) -> float:  # noqa: ARG002
        """Logarithm of what exp(-rate n excess) is multiplied with to be a p value; NaN where there is no test."""
        return nan

    def miscalibration_p(self, excess: float, n: int, accuracy: float, n_classes: int | None) -> float:
        """P value that a calibrated model has a mean loss that is ``excess`` above the best constant confidence.

        NaN where there is no test.
        """
        penalty = self.log_penalty(n, accuracy, n_classes)
        if isnan(penalty) or isnan(excess):
            return nan
        return exp(min(0.0, penalty - self.rate * n * excess)) if excess > 0 else 1.0


def _chance(n_classes: int | None) -> float:
    return 0.0 if n_classes is None else 1.0 / n_classes


def _entropy_terms(p: FloatArray) -> FloatArray:
    """-p ln p, 0 at 0."""
    return -p * np.log(np.where(p > 0, p, 1.0))


def _none_below_half(band: FloatArray, accuracy: FloatArray, n_classes: int | None) -> FloatArray:
    """No calibrated model of two classes is wrong more often than not."""
    return np.where(accuracy < 0.5, nan, band) if n_classes == 2 else band


class LogLoss(Loss):
    """-ln q of the probability q of the true class."""

    name = "log_loss"
    words = "log loss"
    unit = "nats"
    proper = True

    def ranges(self, n_classes: int | None, clip: float) -> SampleRanges:
        """As :meth:`Loss.ranges`: a wrong answer leaves the true class at most 1/2, a right one at least 1/K."""
        most = largest_loss(clip)
        return SampleRanges((0.0, min(most, inf if n_classes is None else log(n_classes))), (min(most, log(2)), most))

    def calibrated(self, accuracy: FloatArray, n_classes: int | None) -> tuple[FloatArray, FloatArray]:
        """From the lower convex hull through (1/j, ln j) to Fano's inequality (Feder and Merhav, 1994)."""
        low = accuracy
        if n_classes is None:
            with np.errstate(divide="ignore", over="ignore"):
                j = np.floor(np.minimum(1.0 / accuracy, 1e15))
            # The chord between 1/(j+1) and 1/j; no lower than any chord of a finite number of classes.
            share = (accuracy - 1 / (j + 1)) * j * (j + 1)
            low = np.log(j + 1) + share * (np.log(j) - np.log(j + 1))
        else:
            points = np.arange(n_classes, 0, -1)
            low = np.interp(accuracy, 1.0 / points, np.log(points))
        high = self.constant(accuracy, n_classes)
        return _none_below_half(low, accuracy, n_classes), _none_below_half(high, accuracy, n_classes)

    def constant(self, accuracy: FloatArray, n_classes: int | None) -> FloatArray:
        """F(a, K) = h_b(a) + e ln(K - 1); below chance the uniform distribution, ln K, is taken."""
        error = 1.0 - accuracy
        if n_classes is None:
            return np.where(error > 0, inf, 0.0)
        best = _entropy_terms(accuracy) + _entropy_terms(error) + error * log(n_classes - 1)
        return np.where(accuracy < 1 / n_classes, log(n_classes), best)

    def log_penalty(self, n: int, accuracy: float, n_classes: int | None) -> float:  # noqa: ARG002  (not needed here)
        """Ln C_n, see :func:`~lossacc_mlflow.bounds.significance.miscalibration_p`."""
        return log_normalizer(n)


class Brier(Loss):
    """Sum over the classes of (p - y)^2, from 0 to 2."""

    name = "brier"
    words = "Brier score, summed over the classes"
    proper = True

    def ranges(self, n_classes: int | None, clip: float) -> SampleRanges:  # noqa: ARG002  (no logarithm, no clip)
        """As :meth:`Loss.ranges`: the sum of p^2 is at most the largest p."""
        return SampleRanges((0.0, 1.0 - _chance(n_classes)), (0.5, 2.0))

    def calibrated(self, accuracy: FloatArray, n_classes: int | None) -> tuple[FloatArray, FloatArray]:
        """From e to 1 - a^2 - e^2 / (K - 1)."""
        high = self.constant(accuracy, n_classes)
        low = np.minimum(1.0 - accuracy, high)
        return _none_below_half(low, accuracy, n_classes), _none_below_half(high, accuracy, n_classes)

    def constant(self, accuracy: FloatArray, n_classes: int | None) -> FloatArray:
        """1 - a^2 - e^2 / (K - 1); below chance the uniform distribution, 1 - 1/K, is taken."""
        spread = 0.0 if n_classes is None else (1.0 - accuracy) ** 2 / (n_classes - 1)
        chance = _chance(n_classes)
        return np.where(accuracy < chance, 1.0 - chance, 1.0 - accuracy**2 - spread)

    def log_penalty(self, n: int, accuracy: float, n_classes: int | None) -> float:
        """-ln of the integral of exp(-n k (t - a)^2) over confidences t in [0, 1], k = K / (K - 1).

        With a calibrated p and any constant confidence c of the predicted class, D = loss(p, y) - loss(c, y) has
        mean -|p - c|^2 and range at most 2 sqrt(2) |p - c|, so E exp(D) <= 1 by Hoeffding's lemma. Averaged over
        all constant confidences, exp(n (L - F)) times this integral has an expectation of at most 1; Markov's
        inequality makes exp(-n (L - F)) over the integral a p value.
        """
        if n_classes is None:
            return nan
        width = sqrt(n * n_classes / (n_classes - 1))
        return -log(sqrt(pi) / (2 * width) * (erf(width * (1.0 - accuracy)) + erf(width * accuracy)))


class BinaryBrier(Loss):
    """(p - y)^2 of the one probability of a binary model: half the Brier score of two classes."""

    name = "brier:binary"
    words = "Brier score of one probability"
    needs_classes = False
    proper = True
    rate = 2.0

    def ranges(self, n_classes: int | None, clip: float) -> SampleRanges:  # noqa: ARG002  (two classes, no clip)
        """As :meth:`Loss.ranges`."""
        return SampleRanges((0.0, 0.25), (0.25, 1.0))

    def calibrated(self, accuracy: FloatArray, n_classes: int | None) -> tuple[FloatArray, FloatArray]:  # noqa: ARG002
        """From e / 2 to a e, half of what it is for :class:`Brier`."""
        low, high = Brier().calibrated(accuracy, 2)
        return low / 2, high / 2

    def constant(self, accuracy: FloatArray, n_classes: int | None) -> FloatArray:  # noqa: ARG002  (two classes)
        """Half of what it is for :class:`Brier`."""
        return Brier().constant(accuracy, 2) / 2

    def log_penalty(self, n: int, accuracy: float, n_classes: int | None) -> float:  # noqa: ARG002  (two classes)
        """As :class:`Brier`, of which it is half: hence the rate of 2."""
        return Brier().log_penalty(n, accuracy, 2)


class Hinge(Loss):
    """max(0, 1 - margin), for the margin of two classes or that of Crammer and Singer (2001)."""

    name = "hinge"
    words = "hinge loss"
    needs_classes = False

    def ranges(self, n_classes: int | None, clip: float) -> SampleRanges:  # noqa: ARG002  (of margins, not probabilities)
        """As :meth:`Loss.ranges`: a margin is negative where the answer is wrong."""
        return SampleRanges((0.0, 1.0), (1.0, inf))


@dataclass(frozen=True, slots=True)
class Focal(Loss):
    """-alpha (1 - q)^gamma ln q (Lin et al. 2017); Keras' categorical one has gamma 2 and alpha 0.25."""

    gamma: float
    alpha: float = 1.0
    name: ClassVar[str] = "focal"
    words: ClassVar[str] = "focal loss"
    unit: ClassVar[str] = "nats"

    @property
    def spelling(self) -> str:
        """How this loss is named, its parameters included."""
        return f"focal:{self.gamma:g}" + (f":{self.alpha:g}" if self.alpha != 1 else "")

    def ranges(self, n_classes: int | None, clip: float) -> SampleRanges:
        """As :meth:`Loss.ranges`: it falls with q."""

        def at(q: float) -> float:
            q = max(q, clip)
            return inf if q == 0 else -self.alpha * (1.0 - q) ** self.gamma * log(q)

        return SampleRanges((0.0, at(_chance(n_classes))), (at(0.5), at(0.0)))


@dataclass(frozen=True, slots=True)
class Smoothed(Loss):
    """Cross-entropy against (1 - alpha) times the true class plus alpha / K on every class (Szegedy et al. 2016)."""

    alpha: float
    name: ClassVar[str] = "smoothed"
    words: ClassVar[str] = "label-smoothed cross-entropy"
    unit: ClassVar[str] = "nats"

    @property
    def spelling(self) -> str:
        """How this loss is named, its parameters included."""
        return f"smoothed:{self.alpha:g}"

    def ranges(self, n_classes: int | None, clip: float) -> SampleRanges:
        """As :meth:`Loss.ranges`; each probability is clipped by itself."""
        # Of all numbers of classes two have the lowest floors, and without a limit nothing is the highest.
        k = 2 if n_classes is None else n_classes
        off = self.alpha / k
        on = 1.0 - self.alpha + off
        floor = _cost(on, on) + (k - 1) * _cost(off, off)
        tied = _cost(on + off, (on + off) / 2) + (k - 2) * _cost(off, off)
        if n_classes is None or (clip == 0 and off > 0):
            return SampleRanges((floor, inf), (tied, inf))
        # What is convex in the probabilities is highest at a corner of where they can be: m others share the top with
        # the true class and the rest is at the clip, or one wrong class gets all that the clip leaves.
        rest = np.arange(k - 1, -1, -1)
        top = np.maximum((1.0 - rest * clip) / (k - rest), clip)
        shared = -(on + (k - 1 - rest) * off) * np.log(top) + rest * _cost(off, clip or 1.0)
        missed = _cost(on + (k - 2) * off, clip) + _cost(off, max(1.0 - (k - 1) * clip, clip))
        return SampleRanges((floor, float(shared.max())), (tied, max(missed, tied)))


def _cost(weight: float, probability: float) -> float:
    """-weight ln(probability), 0 where there is no weight."""
    if weight == 0:
        return 0.0
    return inf if probability == 0 else -weight * log(probability)


@dataclass(frozen=True, slots=True)
class SquaredError(Loss):
    """Squared error of a regression whose accuracy is the share of errors within ``tolerance``."""

    tolerance: float
    name: ClassVar[str] = "squared_error"
    words: ClassVar[str] = "squared error"
    needs_classes: ClassVar[bool] = False

    @property
    def spelling(self) -> str:
        """How this loss is named, its parameters included."""
        return f"squared_error:{self.tolerance:g}"

    def ranges(self, n_classes: int | None, clip: float) -> SampleRanges:  # noqa: ARG002  (of errors)
        """As :meth:`Loss.ranges`."""
        return SampleRanges((0.0, self.tolerance**2), (self.tolerance**2, inf))


def find_loss(text: str) -> Loss:
    """Find a loss by its name.

    Parameters
    ----------
    text : str
        One of ``LOSS_FORMS``: ``log_loss``, ``brier`` (summed over the classes, 0 to 2), ``brier:binary`` (of the one
        probability of a binary model, 0 to 1), ``hinge``, ``focal:2``, ``focal:2:0.25``, ``smoothed:0.1``,
        ``squared_error:0.5``.

    Returns
    -------
    Loss

    Raises
    ------
    InputError
        If there is no such loss, or its parameters are missing or out of range.

    Examples
    --------
    >>> find_loss("focal:2:0.25").ranges(10, 0.0).wrong
    (0.04332169878499658, inf)
    """
    name, *parameters = text.strip().lower().split(":")
    simple: dict[str, type[Loss]] = {"log_loss": LogLoss, "brier": Brier, "hinge": Hinge}
    if name == "brier" and parameters == ["binary"]:
        return BinaryBrier()
    if name in simple and not parameters:
        return simple[name]()
    known: dict[str, tuple[Callable[..., Loss], tuple[int, ...], str]] = {
        "focal": (Focal, (1, 2), "gamma at least 0 and alpha above 0, such as focal:2 or focal:2:0.25"),
        "smoothed": (Smoothed, (1,), "alpha between 0 and 1, such as smoothed:0.1"),
        "squared_error": (SquaredError, (1,), "the tolerance of its accuracy, above 0, such as squared_error:0.5"),
    }
    if name not in known:
        names = [form.partition(":")[0] for form in LOSS_FORMS]
        raise InputError(f"there is no loss {text!r}; there is {', '.join(LOSS_FORMS)}.{did_you_mean(name, names)}")
    make, counts, wanted = known[name]
    try:
        values = [float(p) for p in parameters]
    except ValueError:
        values = []
    if len(values) not in counts or not _in_range(name, values):
        raise InputError(f"{name} needs {wanted}; got {text!r}.")
    return make(*values)


def _in_range(name: str, values: list[float]) -> bool:
    if any(isinf(v) for v in values):
        return False
    first = values[0]
    if name == "focal":
        return first >= 0 and all(v > 0 for v in values[1:])
    return 0 <= first <= 1 if name == "smoothed" else first > 0
