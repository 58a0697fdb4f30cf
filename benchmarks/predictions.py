"""Time and weigh the summary of predictions, beside the libraries that give the same figures.

python -m benchmarks.predictions [--only NAME ...] [--quick] [--output docs/benchmark-predictions.md]
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks import scores
from benchmarks.goals import Goal, Part
from benchmarks.processes import Cost, Job, measure, measure_side_by_side
from benchmarks.samples import TEMPERATURE, load_rows, write_arrays, write_parquet
from benchmarks.tables import duration, table
from benchmarks.timed_page import TimedPage

__all__ = ["PARTS", "Plan", "main"]

_OURS = "summarize_predictions"
_WARM_UP_ROWS = 1000
_BY = "\N{MULTIPLICATION SIGN}"
_AGREE = {"temperature": 1e-3, "calibration_loss": 1e-2, "refinement_loss": 1e-3}
_AGREE_ELSE = 1e-5


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Parameters
    ----------
    scale : float
        Of the numbers of rows: 1 is what the goals are about.
    n_rounds : int
        Processes for every side.
    n_repeats : int
        Repetitions in each of them, where one takes about a second.
    n_long_repeats : int
        The same where it takes several.
    """

    scale: float = 1.0
    n_rounds: int = 2
    n_repeats: int = 4
    n_long_repeats: int = 2

    def rows(self, n: int) -> int:
        """Scale a number of rows."""
        return max(2 * _WARM_UP_ROWS, round(n * self.scale))


def measure_summary(plan: Plan) -> Part:
    """Many classes: the summary without temperature beside scikit-learn's metrics."""
    n = plan.rows(50_000)
    goals = (("sklearn, all five", 10.0), ("sklearn, log_loss alone", 5.0))
    return _beside_metrics(plan, n, 1000, "float32", n_repeats=plan.n_repeats, goals=goals, megabytes=20)


def measure_binary(plan: Plan, dtype: str = "float32") -> Part:
    """Two classes: the same."""
    n, goals = plan.rows(10_000_000), (("sklearn, all five", 5.0),)
    return _beside_metrics(plan, n, 2, dtype, n_repeats=plan.n_long_repeats, goals=goals, megabytes=100)


def measure_temperature(plan: Plan) -> Part:
    """Temperature, calibration and refinement beside those who fit a temperature."""
    n, n_classes = plan.rows(50_000), 1000
    sides: dict[str, Callable[..., Mapping[str, float]]] = {
        _OURS: scores.summary_with_temperature,
        f"{_OURS}, temperature=False": scores.summary,
        "sklearn, temperature": scores.sklearn_temperature,
        "probmetrics, temperature": scores.probmetrics_temperature,
    }
    with tempfile.TemporaryDirectory() as folder:
        write_arrays(Path(folder), n, n_classes)
        costs = measure_side_by_side(_jobs(Path(folder), sides), n_rounds=plan.n_rounds, n_repeats=1)
    ours, without = costs[_OURS], costs[f"{_OURS}, temperature=False"]
    part = ours.median - without.median
    title = f"Temperature, calibration and refinement: {n:,} {_BY} {n_classes:,} float32"
    goals = [_memory_goal(title, ours, 300)]
    for name, factor in (("sklearn, temperature", 4.0), ("probmetrics, temperature", 15.0)):
        whole = f" ({costs[name].median / ours.median:.1f} times the whole summary)"
        goals.append(_speed_goal(title, name, costs[name].median / part, factor, whole))
    found = {name: cost.figures.get("temperature", float("nan")) for name, cost in costs.items()}
    return Part(
        title,
        (
            _costs_table(costs, compare=_OURS),
            "The first line is the whole summary; the temperature and the split are what it takes longer than the "
            f"second: {duration(part)}. The goals are about that part. The others fit one temperature; ours is that "
            "and one more for each of five folds without its samples, and the loss of every sample after them. The "
            f"labels were drawn at temperature {TEMPERATURE}; found was {found[_OURS]:.4f} by us, "
            f"{found['sklearn, temperature']:.4f} by scikit-learn and {found['probmetrics, temperature']:.4f} by "
            "probmetrics. scikit-learn adds 1e-12 to every probability before it takes the logarithm, as we do; "
            "probmetrics does not.",
        ),
        tuple(goals),
    )


def measure_file(plan: Plan) -> Part:
    """A file that is read block by block, however large it is."""
    works: dict[str, Callable[..., Mapping[str, float]]] = {
        "reading it once": scores.read_file,
        "lossacc predictions --no-temperature": partial(scores.judge_file, temperature=False),
        "lossacc predictions": partial(scores.judge_file, temperature=True),
    }
    sizes = (plan.rows(10_000_000), plan.rows(50_000_000))
    costs = {(n, name): cost for n in sizes for name, cost in _file_costs(n, works).items()}
    rows = [
        [
            f"{n:,}",
            name,
            duration(cost.median),
            _per(cost.median / n),
            f"{cost.peak_bytes / 1e6:.0f} MB",
            f"{cost.resident_bytes / 1e6:.0f} MB",
        ]
        for (n, name), cost in costs.items()
    ]
    goals = []
    for name in list(works)[1:]:
        few, many = (costs[n, name].peak_bytes / 1e6 for n in sizes)
        found = f"{many:.0f} MB, {few:.0f} MB for {sizes[0]:,}"
        goals.append(
            Goal(f"{name}, {sizes[1]:,} rows", "memory of a fifth of the rows, times 1.2", found, many <= 1.2 * few)
        )
    header = ["rows", "what", "time", "per row", "peak memory beyond the start", "peak of the process"]
    text = (
        "Parquet with two columns: int64 labels and the float32 probability of the second of two classes. The file "
        "has just been written and is in the page cache of the system. Log loss and accuracy agree with those that "
        "numpy found while it was written. One run each, because they are long. Up to some eight million rows of two "
        "classes are kept in memory as a whole, so both of these sizes are above that."
    )
    return Part("A file, block by block", (table(header, rows), text), tuple(goals))


def measure_growth(plan: Plan) -> Part:
    """The cost of n, 3 n and 10 n rows."""
    rows = []
    goals = []
    for n_most, n_classes in ((plan.rows(3_000_000), 2), (plan.rows(50_000), 1000)):
        sizes = (n_most // 10, 3 * n_most // 10, n_most)
        with tempfile.TemporaryDirectory() as folder:
            write_arrays(Path(folder), n_most, n_classes)
            for name, work in (("without", scores.summary), ("with", scores.summary_with_temperature)):
                costs = [measure(_job(Path(folder), work, n), n_repeats=3) for n in sizes]
                each = [cost.median / n for n, cost in zip(sizes, costs, strict=True)]
                for n, cost, per in zip(sizes, costs, each, strict=True):
                    memory = f"{cost.peak_bytes / 1e6:.1f} MB"
                    rows.append([f"{n:,} {_BY} {n_classes:,}", name, duration(cost.median), _per(per), memory])
                what = f"{n_classes:,} classes, {name} temperature: cost of a row, {n_most:,} beside {sizes[0]:,}"
                growth = each[-1] / each[0]
                goals.append(Goal(what, "linear: at most 1.2 times", f"{growth:.2f} times", growth <= 1.2))
    header = ["float32", "temperature", "time", "per row", "peak memory beyond the data"]
    return Part("Linear in the rows", (table(header, rows),), tuple(goals))


PARTS: dict[str, Callable[[Plan], Part]] = {
    "summary": measure_summary,
    "binary32": measure_binary,
    "binary64": partial(measure_binary, dtype="float64"),
    "temperature": measure_temperature,
    "file": measure_file,
    "growth": measure_growth,
}
"""What can be measured, by the name that ``--only`` takes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or write the page.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: of the command line.

    Returns
    -------
    int
        Exit code, always 0: a slow machine is no failure. Figures that do not agree are a ValueError.
    """
    page = TimedPage(
        "benchmarks.predictions",
        "Speed of the summary of predictions",
        PARTS,
        full=Plan(),
        quick=Plan(scale=0.05, n_rounds=1, n_repeats=1, n_long_repeats=1),
        packages=("scikit-learn", "probmetrics", "torch", "pyarrow"),
        explained="speed-of-the-summary-of-predictions",
    )
    return page.make(arguments)


def _beside_metrics(
    plan: Plan,
    n: int,
    n_classes: int,
    dtype: str,
    *,
    n_repeats: int,
    goals: Sequence[tuple[str, float]],
    megabytes: int,
) -> Part:
    sides = {
        _OURS: scores.summary,
        "sklearn, all five": scores.sklearn_scores,
        "sklearn, log_loss alone": scores.sklearn_log_loss,
    }
    with tempfile.TemporaryDirectory() as folder:
        write_arrays(Path(folder), n, n_classes, dtype)
        jobs = _jobs(Path(folder), sides)
        jobs[f"{_OURS}, held to one core"] = replace(jobs[_OURS], n_cores=1)
        costs = measure_side_by_side(jobs, n_rounds=plan.n_rounds, n_repeats=n_repeats)
    title = f"Without temperature: {n:,} {_BY} {n_classes:,} {dtype}"
    found = [_speed_goal(title, name, costs[name].median / costs[_OURS].median, factor) for name, factor in goals]
    return Part(title, (_costs_table(costs, compare=_OURS),), (*found, _memory_goal(title, costs[_OURS], megabytes)))


def _job(folder: Path, work: Callable[..., Mapping[str, float]], n_samples: int | None = None) -> Job:
    return Job(work, partial(load_rows, folder, n_samples), partial(load_rows, folder, _WARM_UP_ROWS))


def _jobs(folder: Path, sides: Mapping[str, Callable[..., Mapping[str, float]]]) -> dict[str, Job]:
    return {name: _job(folder, work) for name, work in sides.items()}


def _file_costs(n: int, works: Mapping[str, Callable[..., Mapping[str, float]]]) -> dict[str, Cost]:
    with tempfile.TemporaryDirectory() as folder:
        path, small = Path(folder, "predictions.parquet"), Path(folder, "small.parquet")
        written = write_parquet(path, n)
        write_parquet(small, _WARM_UP_ROWS)
        costs = {
            name: measure(Job(work, partial(tuple, [path]), partial(tuple, [small])), n_repeats=0)
            for name, work in works.items()
        }
    for name, cost in costs.items():
        _agree(name, cost.figures, written)
    return costs


def _agree(name: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    """Return by how much common figures differ at most, relatively; times of different answers are no comparison."""
    worst = 0.0
    for figure in sorted(ours.keys() & theirs.keys()):
        differ = abs(ours[figure] - theirs[figure]) / max(abs(ours[figure]), 1e-300)
        if not differ <= _AGREE.get(figure, _AGREE_ELSE):
            raise ValueError(f"{figure} is {ours[figure]!r} for us and {theirs[figure]!r} for {name}: not the same.")
        worst = max(worst, differ)
    return worst


def _costs_table(costs: Mapping[str, Cost], *, compare: str) -> str:
    ours = costs[compare]
    rows = [
        [
            name,
            duration(cost.median),
            f"{duration(min(cost.seconds))} to {duration(max(cost.seconds))}",
            "" if cost is ours else f"{cost.median / ours.median:.2f}",
            f"{cost.peak_bytes / 1e6:.1f} MB",
            "" if cost is ours else f"{_agree(name, ours.figures, cost.figures):.0e}",
        ]
        for name, cost in costs.items()
    ]
    header = ["", "median time", "fastest to slowest", "times ours", "peak memory beyond the data", "figures differ by"]
    return table(header, rows)


def _speed_goal(title: str, name: str, ratio: float, factor: float, remark: str = "") -> Goal:
    wanted, found = f"at least {factor:g} times faster", f"{ratio:.1f} times{remark}"
    return Goal(f"{title}, beside {name}", wanted, found, ratio >= factor)


def _memory_goal(title: str, cost: Cost, megabytes: int) -> Goal:
    found = cost.peak_bytes / 1e6
    return Goal(f"{title}, memory", f"at most {megabytes} MB beyond the data", f"{found:.1f} MB", found <= megabytes)


def _per(seconds: float) -> str:
    return f"{1e6 * seconds:.2f} us" if seconds >= 1e-6 else f"{1e9 * seconds:.0f} ns"


if __name__ == "__main__":
    sys.exit(main())
