"""CMP005: runs with the same curves are one observation, not two."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lossacc_mlflow.comparison.base import ComparisonRule
from lossacc_mlflow.curves import is_over_steps
from lossacc_mlflow.records import (
    Comparison,
    Curve,
    Evidence,
    Finding,
    Level,
    RunData,
    Split,
    StepUnit,
)
from lossacc_mlflow.wording import number, quote

__all__ = ["Twin", "TwinRuns"]

_Place = tuple[str, Split, StepUnit]

_FLOAT32_STEP = float(np.finfo(np.float32).eps)
_MAX_LISTED = 5

# Params that say where and for how long a run was trained, and not how.
_WITHOUT_EFFECT = re.compile(r"name|dir|path|file|verbos|log|device|worker|job|host|resume|checkpoint", re.IGNORECASE)
_LENGTHS = re.compile(r"epoch|step|iter|estimator|round|patience|stop", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Twin:
    """A run that has the curves of another one: all of them, or those of its beginning.

    ``difference`` is the largest relative difference of two of their values; ``params`` holds the values of this run
    and of the other for each parameter that should have made one.
    """

    run: RunData
    of: RunData
    n_curves: int
    last_step: int
    last_step_of: int
    step_unit: StepUnit
    difference: float
    params: Mapping[str, tuple[str, str]]

    @property
    def is_beginning(self) -> bool:
        """Whether the other run was trained on."""
        return self.last_step < self.last_step_of


@dataclass(frozen=True, slots=True)
class TwinRuns(ComparisonRule):
    """Two runs have the same curves, or one has those of the other's beginning.

    How it is detected: every curve that two runs have in common (same metric, split and step unit) has the same
    steps, or for its whole length those at which the longer one begins, and no two values differ by more than
    ``max_difference`` of their size and the rounding of float32. At least one curve must take ``min_points`` different
    values: two networks that are dead from the start, or always right, are no twins.

    Why it matters: the same seed on the same data gives the same run twice. It is one observation, not two: it proves
    nothing about the spread between runs, and it counts twice in every mean. Where the parameters of twins differ, the
    one that differs had no effect: mostly a bug, such as an option that never reaches the model.

    What to do: count twins as one run, and change the seed to see the spread. Find out why a parameter that differs
    changes nothing. Of a run and its continuation keep the longer one.

    Parameters
    ----------
    max_difference : float
        Largest relative difference of two values that still counts as none.
    min_points : int
        Different values that one of the curves must take.
    """

    code: ClassVar[str] = "CMP005"
    title: ClassVar[str] = "Twin runs"
    level: ClassVar[Level] = "warning"
    max_difference: float = 1e-5
    min_points: int = 5

    def check(self, comparison: Comparison) -> Finding:
        """Look for runs whose curves agree in every value."""
        runs = [d.run for d in comparison.diagnoses]
        comparable = sum(any(_n_values(c) >= self.min_points for c in _courses(run)) for run in runs)
        if comparable < 2:
            return self.not_applicable(f"Fewer than two runs with a curve of {self.min_points} different values.")
        twins = self.once(comparison, self.find)
        evidence = [Evidence("twin_runs", len(twins), 0), Evidence("runs_with_curves", comparable)]
        if not twins:
            return self.clear("No two runs have the same curves.", evidence)
        names = {row.run_id: row.name for row in comparison.rows}
        listed = [_sentence(twin, names) for twin in twins[:_MAX_LISTED]]
        more = f" And {len(twins) - _MAX_LISTED} more; see the rows." if len(twins) > _MAX_LISTED else ""
        evidence.append(Evidence("largest_relative_difference", max(t.difference for t in twins), self.max_difference))
        return self.flagged(" ".join(listed) + more, evidence, _advice(twins))

    def remarks(self, comparison: Comparison) -> Mapping[str, str]:
        """Tell each twin whose curves it has."""
        names = {row.run_id: row.name for row in comparison.rows}
        return {twin.run.run_id: _sentence(twin, names) for twin in self.once(comparison, self.find)}

    def find(self, runs: Sequence[RunData]) -> tuple[Twin, ...]:
        """Find the runs that are no observation of their own.

        Parameters
        ----------
        runs : sequence of RunData

        Returns
        -------
        tuple of Twin
            One for each run but the longest of those that agree (the first of equally long ones).
        """
        originals: dict[tuple[object, ...], list[RunData]] = defaultdict(list)
        twins = []
        for run in sorted(runs, key=lambda r: -max((len(c) for c in _courses(r)), default=0)):
            keys = [key for curve in _courses(run) for key in self._lookup_keys(curve)]
            candidates = {id(r): r for key in keys for r in originals[key]}
            twin = next((t for other in candidates.values() if (t := self._compare(run, other))), None)
            if twin is not None:
                twins.append(twin)
                continue
            for key in keys:
                originals[key].append(run)
        return tuple(twins)

    def _lookup_keys(self, curve: Curve) -> set[tuple[object, ...]]:
        """Keys of which curves with the same first value share at least one: comparing all with all is quadratic."""
        first = float(curve.value[0])
        near = (first * (1 - self.max_difference), first * (1 + self.max_difference))
        return {(_place(curve), int(curve.step[0]), f"{value:.3g}") for value in near}

    def _compare(self, run: RunData, other: RunData) -> Twin | None:
        theirs = {_place(c): c for c in _courses(other)}
        common = [(c, theirs[_place(c)]) for c in _courses(run) if _place(c) in theirs]
        differences = []
        for mine, longer in common:
            difference = _difference(mine, longer, self.max_difference)
            if difference is None:
                return None
            differences.append(difference)
        if not any(_n_values(mine) >= self.min_points for mine, _ in common):
            return None
        mine, longer = max(common, key=lambda pair: len(pair[0]))
        return Twin(
            run=run,
            of=other,
            n_curves=len(common),
            last_step=int(mine.step[-1]),
            last_step_of=int(longer.step[-1]),
            step_unit=mine.step_unit,
            difference=max(differences),
            params=_differing_params(run, other, is_beginning=len(mine) < len(longer)),
        )


def _courses(run: RunData) -> Iterator[Curve]:
    return (c for c in run.curves if len(c) and is_over_steps(c))


def _place(curve: Curve) -> _Place:
    return curve.metric.name, curve.split, curve.step_unit


def _tolerance(curve: Curve, limit: float) -> float:
    """At least what two values may differ by, wherever they are on the curve."""
    largest = float(np.max(np.abs(curve.value), initial=0.0, where=np.isfinite(curve.value)))
    return 2 * (limit + _FLOAT32_STEP) * largest


def _n_values(curve: Curve) -> int:
    return len(np.unique(curve.value[np.isfinite(curve.value)]))


def _difference(mine: Curve, longer: Curve, limit: float) -> float | None:
    """Largest relative difference beyond float32 rounding; None where it exceeds the limit, or steps differ."""
    n = len(mine)
    # Runs of one seed begin alike: the last value tells most of them apart at once.
    if n > len(longer) or abs(float(mine.value[-1]) - float(longer.value[n - 1])) > _tolerance(mine, limit):
        return None
    if not np.array_equal(mine.step, longer.step[:n]):
        return None
    a, b = mine.value, longer.value[:n]
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)) or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return None
    a, b = a[finite], b[finite]
    if not len(a):
        return 0.0
    size = np.maximum(np.abs(a), np.abs(b))
    # Halved, so that values near the largest float have a difference.
    apart = 2 * np.abs(a / 2 - b / 2) - _FLOAT32_STEP * np.maximum(size, np.median(size))
    relative = np.divide(np.maximum(apart, 0), size, out=np.zeros_like(size), where=size > 0)
    largest = float(relative.max())
    return largest if largest <= limit else None


def _differing_params(run: RunData, other: RunData, *, is_beginning: bool) -> dict[str, tuple[str, str]]:
    """Params of both runs with different values that should have made a difference."""
    return {
        name: (value, other.params[name])
        for name, value in run.params.items()
        if other.params.get(name, value) != value
        and not _WITHOUT_EFFECT.search(name)
        and not (is_beginning and _LENGTHS.search(name))
    }


def _sentence(twin: Twin, names: Mapping[str, str]) -> str:
    mine, theirs = (f"'{names.get(run.run_id, run.name)}'" for run in (twin.run, twin.of))
    curves = f"{twin.n_curves} curve{'s' * (twin.n_curves > 1)}"
    unit = twin.step_unit.replace("_", " ")
    if twin.is_beginning:
        text = f"{mine} is the beginning of {theirs}: the same {curves} up to {unit} {twin.last_step:,}"
    else:
        text = f"{mine} is {theirs} once more: the same {curves} to {unit} {twin.last_step:,}"
    exact = "" if twin.difference == 0 else f", within {number(twin.difference)} of each value"
    if not twin.params:
        return f"{text}{exact}."
    shown = [f"{name} ({quote(a)}, {quote(b)})" for name, (a, b) in list(twin.params.items())[:3]]
    rest = f" and {len(twin.params) - 3} more" if len(twin.params) > 3 else ""
    return f"{text}{exact}, although they differ in {', '.join(shown)}{rest}: that had no effect."


def _advice(twins: Sequence[Twin]) -> str:
    parts = []
    if any(t.params for t in twins):
        parts.append("Find out whether the parameter that differs reaches the training at all.")
    if any(not t.is_beginning for t in twins):
        parts.append("Count twins as one run, and change the seed to see the spread between runs.")
    if any(t.is_beginning for t in twins):
        parts.append("Of a run and its continuation keep the longer one.")
    return " ".join(parts)
