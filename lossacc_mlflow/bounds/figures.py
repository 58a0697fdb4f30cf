"""A few reported pairs of accuracy and loss, each judged by itself and against the others."""

from collections.abc import Sequence
from itertools import combinations
from math import ceil, inf, isnan

import numpy as np

from lossacc_mlflow.bounds.losses import Loss, find_loss
from lossacc_mlflow.bounds.plane import loss_bounds, loss_bounds_within
from lossacc_mlflow.bounds.reported import least_n, right_counts
from lossacc_mlflow.bounds.significance import least_n_that_proves, mcnemar_gap_needed, mcnemar_p_range
from lossacc_mlflow.clips import CLIPS
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import (
    FigureBounds,
    FigurePair,
    FiguresReport,
    LossBounds,
    Miscalibration,
    ReportedFigures,
)

__all__ = ["CLASS_COUNTS", "judge_figures"]

CLASS_COUNTS = (2, 10, 1000)
"""Numbers of classes that are looked at where none is given."""

_MOST_CLASSES = 10**12


def judge_figures(
    figures: Sequence[ReportedFigures],
    *,
    n_classes: int | None = None,
    loss_name: str = "log_loss",
    clip: float | None = None,
    n: int | None = None,
    alpha: float = 0.05,
) -> FiguresReport:
    """Derive all that a few pairs of accuracy and loss prove.

    Parameters
    ----------
    figures : sequence of ReportedFigures
        See `read_figures`.
    n_classes : int, optional
        K; without it, what holds for every number of classes, and for ``CLASS_COUNTS``.
    loss_name : str
        See `find_loss`.
    clip : float, optional
        Smallest probability that a logarithm was taken of, 0 for none. Not said, nothing is concluded from one.
    n : int, optional
        Number of independent samples, the same for all figures. Without it nothing is proved about the models.
    alpha : float
        Level of the tests, over all figures and over all pairs together.

    Returns
    -------
    FiguresReport

    Raises
    ------
    InputError
        If an argument lies outside its range.

    Examples
    --------
    >>> from lossacc_mlflow.bounds import read_figures
    >>> report = judge_figures(read_figures(["98.5%/0.0997", "99.1%/0.2544"]), n_classes=10, n=10_000)
    >>> [figure.miscalibration_rounded.proved for figure in report.figures], report.pairs[0].reverses
    ([False, True], True)
    """
    loss = find_loss(loss_name)
    if loss.spelling == "brier:binary" and n_classes not in (None, 2):
        raise InputError(f"brier:binary is about two classes, got {n_classes}: take brier.")
    if n is not None and n < 1:
        raise InputError(f"a number of samples is at least 1, got {n}.")
    judge = _Judge(loss, clip or 0.0, n, alpha / max(1, len(figures)))
    counts = CLASS_COUNTS if n_classes is None and loss.needs_classes else ()
    judged = tuple(judge.judge(f, n_classes if loss.needs_classes else None) for f in figures)
    n_pairs = max(1, len(figures) * (len(figures) - 1) // 2)
    pairs = (_pair(a, b, loss, n, alpha / n_pairs) for a, b in combinations(judged, 2))
    return FiguresReport(
        n_classes=n_classes,
        clip=clip,
        loss_name=loss.spelling,
        n=n,
        alpha=alpha,
        figures=judged,
        pairs=tuple(p for p in pairs if p is not None),
        by_n_classes={k: tuple(judge.judge(f, k) for f in figures) for k in counts},
        clipped=_clipped(judged, judge, n_classes) if clip is None else {},
    )


def _clipped(
    judged: Sequence[FigureBounds], judge: "_Judge", n_classes: int | None
) -> dict[str, tuple[FigureBounds, ...]]:
    """What changes under the clips of libraries that are large enough to matter."""
    changed = {}
    for library in ("keras", "sklearn"):
        other = _Judge(judge.loss, CLIPS[library], judge.n, judge.alpha)
        under = tuple(other.judge(f.reported, n_classes if judge.loss.needs_classes else None) for f in judged)
        if any(
            u.rounded.loss_share_incorrect != f.rounded.loss_share_incorrect
            for u, f in zip(under, judged, strict=True)
            if f.is_possible
        ):
            changed[library] = under
    return changed


class _Judge:
    """Judges one pair of figures after the other, under the same conditions."""

    def __init__(self, loss: Loss, clip: float, n: int | None, alpha: float) -> None:
        self.loss, self.clip, self.n, self.alpha = loss, clip, n, alpha

    def judge(self, reported: ReportedFigures, n_classes: int | None) -> FigureBounds:
        counts = None if self.n is None else right_counts(reported.accuracy_interval, self.n)
        accuracy = reported.accuracy_interval
        if counts is not None and self.n is not None:
            # Of n samples only whole numbers can be right: that leaves less than rounding does.
            accuracy = counts[0] / self.n, counts[1] / self.n
        name, clip = self.loss.spelling, self.clip
        bounds = loss_bounds(reported.accuracy, reported.loss, n_classes, loss_name=name, clip=clip)
        rounded = loss_bounds_within(accuracy, reported.loss_interval, n_classes, loss_name=name, clip=clip)
        tested = counts is not None or self.n is None
        return FigureBounds(
            reported=reported,
            bounds=bounds,
            rounded=rounded,
            constant=self._constant(reported.accuracy, n_classes),
            miscalibration=self._miscalibration(bounds, (reported.accuracy, reported.accuracy), tested=tested),
            miscalibration_rounded=self._miscalibration(rounded, accuracy, tested=tested),
            n_right=counts,
            possible_from_n=least_n(reported.accuracy_interval),
            removable_up_to_n_classes=self._most_classes(reported),
        )

    def _constant(self, accuracy: float, n_classes: int | None) -> float:
        return float(self.loss.constant(np.array([accuracy]), n_classes)[0])

    def _miscalibration(self, bounds: LossBounds, accuracy: tuple[float, float], *, tested: bool) -> Miscalibration:
        """Test the least excess at the accuracy at which the test is weakest, which is an end of the interval."""
        k = 2 if not self.loss.needs_classes else bounds.n_classes
        if isnan(bounds.removable_loss) or k is None or isnan(bounds.loss_share_incorrect[0]):
            return Miscalibration()

        def p_at(excess: float, n: int) -> float:
            return max(self.loss.miscalibration_p(excess, n, a, k) for a in accuracy)

        from_n = least_n_that_proves(bounds.removable_loss, p_at, self.alpha)
        if self.n is None or not tested:
            return Miscalibration(proved_from_n=from_n)
        p = p_at(bounds.removable_loss, self.n)
        return Miscalibration(p, p <= self.alpha, from_n)

    def _most_classes(self, reported: ReportedFigures) -> float | None:
        """Number of classes up to which the loss is above the best constant confidence, however it was rounded."""
        if not self.loss.proper or not self.loss.needs_classes:
            return None
        a, loss = reported.accuracy_interval[0], reported.loss_interval[0]
        if self._constant(a, None) < loss or self._constant(a, _MOST_CLASSES) < loss:
            return inf
        low, high = 1, _MOST_CLASSES
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._constant(a, middle) < loss else (low, middle)
        return low if low > 1 else None


def _pair(x: FigureBounds, y: FigureBounds, loss: Loss, n: int | None, alpha: float) -> FigurePair | None:
    """Hold two models against each other; None where the figures of one are not possible."""
    if not (x.is_possible and y.is_possible):
        return None
    a, b = sorted((x, y), key=lambda f: (-f.reported.accuracy, f.reported.loss))
    accuracy_gap = a.reported.accuracy - b.reported.accuracy
    loss_gap = a.reported.loss - b.reported.loss
    reverses = accuracy_gap > 0 and loss_gap > 0
    apart = (
        _apart(a.reported.accuracy_interval, b.reported.accuracy_interval),
        _apart(a.reported.loss_interval, b.reported.loss_interval),
    )
    widest = a.reported.accuracy_interval[1] - b.reported.accuracy_interval[0]
    needed = mcnemar_gap_needed(alpha)
    right = (a.n_right, b.n_right)
    return FigurePair(
        a=a.reported.name,
        b=b.reported.name,
        accuracy_gap=accuracy_gap,
        loss_gap=loss_gap,
        reverses=reverses,
        order_certain=all(apart),
        loss_gap_of_accuracy=_gap_of_accuracy(b.bounds, accuracy_gap),
        loss_correct_must_differ=_apart(a.rounded.loss_correct, b.rounded.loss_correct),
        loss_incorrect_must_differ=_apart(a.rounded.loss_incorrect, b.rounded.loss_incorrect),
        loss_correct_needed=_right_needed(a.reported, b.rounded, loss) if reverses else None,
        loss_incorrect_needed=_wrong_needed(a.reported, b.rounded) if reverses else None,
        mcnemar_p=None if n is None or right[0] is None or right[1] is None else mcnemar_p_range(right[0], right[1], n),
        mcnemar_gap_needed=needed,
        mcnemar_from_n=ceil(needed / widest - 1e-9) if widest > 0 else None,
    )


def _apart(x: tuple[float, float], y: tuple[float, float]) -> bool:
    return x[1] < y[0] or y[1] < x[0]


def _gap_of_accuracy(b: LossBounds, accuracy_gap: float) -> tuple[float, float]:
    """Change of the loss of b when more is right at the same mean losses: -gap (w - c), and w - c = (w - L) / a."""
    if b.accuracy == 0 or isnan(b.loss_incorrect[0]):
        return 0.0, 0.0
    ends = [-accuracy_gap * (w - b.loss) / b.accuracy for w in b.loss_incorrect]
    return min(ends), max(ends)


def _wrong_needed(a: ReportedFigures, b: LossBounds) -> float | None:
    """Least mean loss of the wrong answers of a, if its right ones cost what those of b do."""
    right = b.loss_correct[1]
    if isnan(right) or right > a.loss_interval[0]:
        return None
    return min(
        inf if share == 1 else (a.loss_interval[0] - share * right) / (1.0 - share) for share in a.accuracy_interval
    )


def _right_needed(a: ReportedFigures, b: LossBounds, loss: Loss) -> float | None:
    """Least mean loss of the right answers of a, if its wrong ones cost what those of b do."""
    wrong = b.loss_incorrect[1]
    least = loss.ranges(b.n_classes, b.clip).right[0]
    if a.accuracy_interval[0] == 0 or isnan(wrong) or wrong == inf:
        return least
    return max(least, min((a.loss_interval[0] - (1.0 - share) * wrong) / share for share in a.accuracy_interval))
