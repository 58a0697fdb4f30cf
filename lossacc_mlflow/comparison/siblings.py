"""CMP006: runs far behind what their siblings had reached at the same step."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import median
from typing import ClassVar, Literal, get_args

import numpy as np

from lossacc_mlflow.comparison.base import ComparisonRule
from lossacc_mlflow.comparison.courses import Course, course_of, losses_at
from lossacc_mlflow.comparison.learning_rate import LearningRates, compare_learning_rates
from lossacc_mlflow.comparison.twins import TwinRuns
from lossacc_mlflow.records import (
    Comparison,
    Curve,
    Evidence,
    Finding,
    Level,
    Metric,
    RunData,
)
from lossacc_mlflow.smoothing import CurveShape
from lossacc_mlflow.wording import number, percent

__all__ = ["BehindSiblings", "Straggler"]

Kind = Literal["slow", "plateaued", "undecided"]
"""Still falling, no longer falling, or too noisy to tell."""

_MAX_LISTED = 8
# Standard deviations beyond which a fall is no chance.
_SURE = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class Straggler:
    """A run far behind its siblings, and the sibling that had come furthest by its last step.

    ``level``, ``best`` and ``median`` are the best values up to ``step`` of the run, of that sibling and of the
    siblings in the middle; ``gap`` is the share of the best accuracy that is missing, or the ratio of the losses;
    ``passed_step`` is where the sibling had passed the run's level.
    """

    run: RunData
    best_run: RunData
    kind: Kind
    curve: Curve
    step: int
    level: float
    best: float
    median: float
    gap: float
    passed_step: int
    losses: tuple[float, float] | None
    """Where the two are compared by accuracy: the loss of each at that step, where it is known of both."""
    learning_rates: LearningRates | None


@dataclass(frozen=True, slots=True)
class BehindSiblings(ComparisonRule):
    """A run is far behind what its siblings had reached at the same step.

    How it is detected: runs are siblings where the held-out curve has the same metric, split and step unit, and number
    of classes and validation samples do not differ; it takes ``min_runs`` of them, twins counted once. The best
    smoothed value of a run up to its last step is held against the best of a sibling up to the same step. It is far
    behind when more than ``max_accuracy_gap`` of the best accuracy (or R²) is missing; where no accuracy is known, when
    its loss is more than ``max_loss_ratio`` times the best one; and in both cases by more than the noise of the two
    curves explains. It is slow if its training loss is still falling: the lowest value lies in the last ``last_part``
    of the steps, and over the last ``window`` of them the loss fell by more than ``min_fall`` of its level, or more
    than ``min_fall_share`` of all that it fell, and than noise explains. Else it has plateaued, or where noise hides
    it, which of the two is left undecided. The best run of a group is never behind; runs that ended in NaN are left to
    TRN001.

    Why it matters: from one run alone, a learning rate that is too small looks like a hard problem, and one that is
    too large like a model that can do no better. Siblings show what was possible in as many steps.

    What to do: raise the learning rate of a slow run, or train on. Lower the one of a run that has plateaued, or take
    a larger model. Where the runs differ in a parameter named like a learning rate, its values are in the message.

    Parameters
    ----------
    min_runs : int
        Comparable runs, the one that is judged included.
    min_points : int
        Finite values that a curve must have.
    max_accuracy_gap : float
        Share of the best accuracy that may be missing.
    max_loss_ratio : float
        Largest ratio of the losses, where there is no accuracy.
    last_part : float
        Share of the steps at the end in which the lowest training loss of a slow run lies.
    window : float
        Share of the steps at the end over which the training loss of a slow run falls.
    min_fall : float
        Smallest fall, relative to the level, that counts as still falling.
    min_fall_share : float
        Smallest fall, relative to the whole fall since the beginning, that counts as still falling.
    """

    code: ClassVar[str] = "CMP006"
    title: ClassVar[str] = "Slow or plateaued against sibling runs"
    level: ClassVar[Level] = "warning"
    min_runs: int = 3
    min_points: int = 5
    max_accuracy_gap: float = 0.05
    max_loss_ratio: float = 1.25
    last_part: float = 0.1
    window: float = 0.2
    min_fall: float = 0.02
    min_fall_share: float = 0.1
    twins: TwinRuns = field(default=TwinRuns(), repr=False)

    def check(self, comparison: Comparison) -> Finding:
        """Hold every run against the siblings that had come furthest."""
        groups, found = self.once(comparison, self._search)
        if not groups:
            return self.not_applicable(
                f"There are no {self.min_runs} runs with a held-out curve of the same metric, split, step unit, "
                f"classes and samples over at least {self.min_points} steps."
            )
        n_compared = sum(map(len, groups))
        evidence = [Evidence("runs_behind", len(found), 0), Evidence("runs_compared", n_compared)]
        if not found:
            return self.clear("No run is far behind what its siblings had reached at the same step.", evidence)
        names = {row.run_id: row.name for row in comparison.rows}
        worst = found[0]
        evidence.append(self._worst_gap(worst))
        evidence += [Evidence(f"{kind}_runs", sum(s.kind == kind for s in found)) for kind in get_args(Kind)]
        return self.flagged(
            f"{len(found)} of {n_compared} comparable runs are far behind their siblings: {_listing(found, names)}. "
            f"The one furthest behind: {_sentence(worst, names)}",
            evidence,
            " ".join(dict.fromkeys(_advice(s) for s in found)),
            split=worst.curve.split,
            step=worst.step,
        )

    def remarks(self, comparison: Comparison) -> Mapping[str, str]:
        """Tell each run concerned how far it is behind, and what to do."""
        names = {row.run_id: row.name for row in comparison.rows}
        _, found = self.once(comparison, self._search)
        return {s.run.run_id: f"{_sentence(s, names)} {_advice(s)}" for s in found}

    def _worst_gap(self, worst: Straggler) -> Evidence:
        if worst.curve.metric.greater_is_better:
            return Evidence("largest_accuracy_gap_relative", worst.gap, self.max_accuracy_gap, "fraction")
        return Evidence("largest_loss_ratio", worst.gap, self.max_loss_ratio)

    def find(self, runs: Sequence[RunData]) -> tuple[Straggler, ...]:
        """Find the runs that are far behind.

        Parameters
        ----------
        runs : sequence of RunData

        Returns
        -------
        tuple of Straggler
            The one that is furthest behind first; those compared by accuracy before those compared by loss.
        """
        return self._search(runs)[1]

    def _search(self, runs: Sequence[RunData]) -> tuple[list[list[Course]], tuple[Straggler, ...]]:
        """Comparable runs, and those of them that are far behind."""
        groups = self._groups(runs)
        found = [s for group in groups for course in group if (s := self._judge(course, group))]
        return groups, tuple(sorted(found, key=lambda s: (not s.curve.metric.greater_is_better, -s.gap)))

    def _groups(self, runs: Sequence[RunData]) -> list[list[Course]]:
        """Comparable runs, where there are enough."""
        groups: dict[tuple[object, ...], list[Course]] = defaultdict(list)
        for run in runs:
            course = course_of(run, self.min_points)
            if course is not None:
                curve = course.curve
                samples = run.tags.get(f"lossacc.samples.{curve.split}")
                groups[curve.metric.name, curve.split, curve.step_unit, run.n_classes, samples].append(course)
        twins = {id(twin.run) for twin in self.twins.find(runs)}
        return [g for g in groups.values() if sum(id(c.run) not in twins for c in g) >= self.min_runs]

    def _judge(self, course: Course, group: Sequence[Course]) -> Straggler | None:
        step, level, metric = course.last_step, float(course.reached[-1]), course.curve.metric
        others = [(reached, c) for c in group if c is not course and (reached := c.reached_by(step)) is not None]
        if not others:
            return None
        sign = 1 if metric.greater_is_better else -1
        best, sibling = max(others, key=lambda item: sign * item[0])
        if best <= 0:
            # Ratios and shares have a meaning among positive figures only.
            return None
        gap = 1 - level / best if metric.greater_is_better else level / best
        limit = self.max_accuracy_gap if metric.greater_is_better else self.max_loss_ratio
        apart = sign * (best - level)
        if not (gap > limit and apart > max(course.shape.doubt, sibling.shape.doubt)):
            return None
        passed = int(np.argmax(sign * sibling.reached >= sign * level))
        return Straggler(
            run=course.run,
            best_run=sibling.run,
            kind=self._kind(*course.training),
            curve=course.curve,
            step=step,
            level=level,
            best=best,
            median=median(value for value, _ in others),
            gap=gap,
            passed_step=int(sibling.shape.step[passed]),
            losses=losses_at(step, course, sibling) if metric.greater_is_better else None,
            learning_rates=compare_learning_rates(course.run.params, sibling.run.params),
        )

    def _kind(self, metric: Metric, shape: CurveShape) -> Kind:
        """Whether a training loss still falls, as far as its noise lets one see."""
        n = len(shape)
        before = shape.before_last(self.window)
        gain = (shape.end - before) if metric.greater_is_better else (before - shape.end)
        wanted = min(self.min_fall * abs(shape.end), self.min_fall_share * abs(shape.end - float(shape.smooth[0])))
        # Standard deviation of the difference of two means over a window.
        noise = shape.noise * sqrt(2 / shape.window)
        late = shape.best >= (1 - self.last_part) * (n - 1)
        if not late:
            return "plateaued"
        if gain > max(wanted, _SURE * noise):
            return "slow"
        return "undecided" if self.min_fall * abs(shape.end) < min(gain + noise, _SURE * noise) else "plateaued"


def _listing(found: Sequence[Straggler], names: Mapping[str, str]) -> str:
    """Name the runs with how far they came, slow ones first."""
    parts = []
    for kind in get_args(Kind):
        runs = [s for s in found if s.kind == kind]
        shown = [f"'{names.get(s.run.run_id, s.run.name)}' ({_write(s, s.level)})" for s in runs[:_MAX_LISTED]]
        more = f" and {len(runs) - _MAX_LISTED} more" if len(runs) > _MAX_LISTED else ""
        parts += [f"{kind} {', '.join(shown)}{more}"] if runs else []
    return "; ".join(parts)


def _write(straggler: Straggler, value: float) -> str:
    return percent(value) if straggler.curve.metric.unit == "fraction" else number(value)


def _sentence(straggler: Straggler, names: Mapping[str, str]) -> str:
    s, metric = straggler, straggler.curve.metric
    mine, best_name = (f"'{names.get(run.run_id, run.name)}'" for run in (s.run, s.best_run))
    unit = s.curve.step_unit.replace("_", " ")
    what = f"{s.curve.split} {metric.name.replace('_', ' ')}"
    ratio = "" if metric.greater_is_better else f", {number(s.gap)} times as much"
    state = {"slow": "is slow", "plateaued": "has plateaued", "undecided": "is far behind"}[s.kind]
    level = _write(s, s.level)
    text = (
        f"{mine} {state}: {what} {level} by {unit} {s.step:,}, where {best_name} had reached {_write(s, s.best)}"
        f"{ratio} (median of the siblings {_write(s, s.median)}) and had passed {level} by {unit} {s.passed_step:,}."
    )
    if s.losses is not None:
        text += f" Loss {number(s.losses[0])} against {number(s.losses[1])}."
    return f"{text}{_rates_sentence(s.learning_rates, best_name)}"


def _rates_sentence(rates: LearningRates | None, best_name: str) -> str:
    if rates is None:
        return ""
    times, word = (1 / rates.ratio, "smaller") if rates.ratio < 1 else (rates.ratio, "larger")
    return f" Its {rates.name} {rates.mine} is {number(times)} times {word} than that of {best_name} ({rates.other})."


def _advice(straggler: Straggler) -> str:
    rates, kind = straggler.learning_rates, straggler.kind
    if kind == "slow":
        if rates is not None and rates.ratio > 1:
            return "Train a slow run on; it is not a small learning rate that holds it back."
        return "Raise the learning rate of a slow run, or train on."
    what = "has plateaued" if kind == "plateaued" else "is far behind"
    if rates is not None:
        verb, size = ("Lower", "large") if rates.ratio > 1 else ("Raise", "small")
        return f"{verb} the learning rate of a run that {what} at a {size} one."
    if kind == "undecided":
        return "Too noisy to tell whether it still learns: try another learning rate, or train on."
    return "Lower the learning rate of a run that has plateaued, or take a larger model."
