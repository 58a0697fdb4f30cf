"""Time what logging costs a training: curves, predictions, points on their way, and the diagnosis at the end.

python -m benchmarks.logging [--only NAME ...] [--quick] [--output docs/benchmark-logging.md]
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.goals import Goal, Part
from benchmarks.logged_fits import FITS, Side, diagnosis_seconds, fit_on_all_sides, load_fits
from benchmarks.logged_nets import KERAS_TRAINING, TORCH_TRAINING, load_images, train_keras, train_torch
from benchmarks.logged_points import (
    by_log_metric,
    by_log_metrics,
    by_training_log,
    load_long,
    load_points,
    train_long,
)
from benchmarks.processes import Cost, Job, measure, measure_in_turns
from benchmarks.stores import serve, use_database
from benchmarks.tables import duration, table
from benchmarks.timed_page import TimedPage

__all__ = ["PARTS", "Plan", "main"]

_PLAIN, _OURS = "without us", "with curves and the last predictions"
_AGREE = 1e-6


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Parameters
    ----------
    scale : float
        Of epochs, samples and points: 1 is what the goals are about.
    n_rounds : int
        Processes for every side.
    """

    scale: float = 1.0
    n_rounds: int = 5

    def count(self, n: int, least: int = 1) -> int:
        """Scale a number."""
        return max(least, round(n * self.scale))


def measure_net(plan: Plan, title: str, train: Callable[..., Mapping[str, float]], n_epochs: int) -> Part:
    """A training of half a minute, with and without us."""
    with tempfile.TemporaryDirectory() as folder:
        load = partial(load_images, Path(folder), plan.count(n_epochs, least=2))
        small = partial(load_images, Path(folder), 1)
        jobs = {
            name: Job(partial(train, is_logged=is_logged), load, small)
            for name, is_logged in ((_PLAIN, False), (_OURS, True))
        }
        costs = measure_in_turns(jobs, n_rounds=plan.n_rounds)
    plain, ours = costs.values()
    _agree(plain[0], ours[0])
    times = {name: [cost.median for cost in several] for name, several in costs.items()}
    rows = [
        [
            name,
            duration(median(seconds)),
            f"{duration(min(seconds))} to {duration(max(seconds))}",
            f"{max(cost.peak_bytes for cost in costs[name]) / 1e6:.0f} MB",
        ]
        for name, seconds in times.items()
    ]
    paired = [b.median / a.median - 1 for a, b in zip(plain, ours, strict=True)]
    text = (
        f"{plan.n_rounds} rounds, each with a process of its own for either side, the two in turns of a quarter of a "
        f"second. In each round ours took {', '.join(f'{share:+.1%}' for share in paired)}. All end with the same "
        f"validation loss and accuracy ({ours[0].figures['loss']:.4f}, {ours[0].figures['accuracy']:.1%})."
    )
    header = ["", "median time", "fastest to slowest", "peak memory beyond the start"]
    found = median(paired)
    goal = Goal(f"{title}: overhead", "at most 3 %", f"{found:+.1%}", found <= 0.03)
    length = median(times[_PLAIN])
    long_enough = Goal(f"{title}: length", "at least 30 s", duration(length), length >= 30)
    return Part(title, (table(header, rows), text), (goal, long_enough))


def measure_fits(plan: Plan) -> Part:
    """Fits of scikit-learn: what MLflow's automatic logging adds, and what ours adds to that."""
    n = plan.count(20_000, least=400)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        load, small = (partial(load_fits, Path(folder), n_samples) for n_samples in (n, 400))
        for number in range(plan.n_rounds):
            job = Job(partial(fit_on_all_sides, turn=number), load, small)
            rounds.append(measure(job, n_repeats=0).figures)

    def added(name: str, side: Side, to: Side) -> float:
        return median(seconds[f"{side}: {name}"] - seconds[f"{to}: {name}"] for seconds in rounds)

    columns = {
        name: (
            median(seconds[f"plain: {name}"] for seconds in rounds),
            added(name, "mlflow", "plain"),
            added(name, "both", "mlflow"),
            added(name, "both with predictions", "both"),
        )
        for name in FITS
    }
    sums = [sum(column) for column in zip(*columns.values(), strict=True)]
    rows = [
        [name, duration(plain), duration(theirs), duration(ours), f"{ours / theirs:.0%}", duration(predictions)]
        for name, (plain, theirs, ours, predictions) in [
            *((f"`{name}`", values) for name, values in columns.items()),
            ("all six", sums),
        ]
    ]
    share = sums[2] / sums[1]
    text = (
        f"{n:,} training and {n // 4:,} validation samples of 20 features and 3 classes. In each of {plan.n_rounds} "
        "processes every model is fitted on every side, one after the other, and what is added is the difference "
        "there; shown are medians. Before that, each is fitted on few samples, and before every fit garbage is "
        "collected. MLflow: "
        "`mlflow.sklearn.autolog(log_models=False)`, into sqlite. Ours: train and validation loss and accuracy, "
        "without the diagnosis."
    )
    header = ["fit", "plain", "MLflow adds", "our curves add", "of MLflow's", "our predictions add"]
    goal = Goal("scikit-learn fits: curves", "at most 25 % of what MLflow adds", f"{share:.0%}", share <= 0.25)
    return Part("scikit-learn fits", (table(header, rows), text), (goal,))


def measure_diagnosis(plan: Plan) -> Part:
    """The diagnosis of the runs of these fits, with all that is written."""
    n = plan.count(20_000, least=400)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(diagnosis_seconds, partial(load_fits, Path(folder), n), partial(load_fits, Path(folder), 400))
        cost = measure(job, n_repeats=0)
    rows = [[f"`{name}`", duration(seconds)] for name, seconds in cost.figures.items()]
    middle = median(cost.figures.values())
    text = (
        f"Curves and predictions of {n // 4:,} validation samples, read from sqlite, judged, drawn and written: "
        "report, pictures, tables, metrics, tags. It runs in a thread of its own, after the run has ended. The "
        "very first one of a process, which also loads the drawing library, is not among these. Every few diagnoses "
        "one takes some tenths of a second longer: then Python looks through all objects of the process for garbage, "
        "those of all libraries."
    )
    goal = Goal("diagnosis at the end of a run, the median of six", "at most 1 s", duration(middle), middle <= 1)
    return Part("Diagnosis at the end", (table(["run of", "time"], rows), text), (goal,))


def measure_points(plan: Plan) -> Part:
    """Points into a store."""
    n, few = plan.count(10_000, least=500), plan.count(100, least=20)
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as folder, serve(use_database(Path(folder))) as address:
        for store, uri, wanted in (("sqlite", None, 5_000), ("REST", address, 3_000)):
            by: dict[str, tuple[Callable[..., Mapping[str, float]], int]] = {
                "mlflow.log_metric, a call a point": (by_log_metric, few),
                "mlflow.log_metrics, a call a step": (by_log_metrics, few),
                "ours": (by_training_log, n),
            }
            for name, (work, n_steps) in by.items():
                load = partial(load_points, Path(folder), uri, n_steps)
                cost = measure(Job(work, load, partial(load_points, Path(folder), uri, 5)), n_repeats=2)
                rate = cost.figures["points a second"]
                waited = cost.figures.get("microseconds a step")
                shown = "all of it" if waited is None else f"{waited:.0f} us a step"
                rows.append([store, name, f"{4 * n_steps:,}", f"{rate:,.0f}", shown])
                if work is by_training_log:
                    goals.append(
                        Goal(f"{store}: points a second", f"at least {wanted:,}", f"{rate:,.0f}", rate >= wanted)
                    )
    header = ["store", "how", "points", "points a second", "the training waits"]
    text = "Four curves. Ours counts from the first value handed over until the last point is in the store."
    return Part("Points on their way", (table(header, rows), text), tuple(goals))


def measure_memory(plan: Plan) -> Part:
    """A training of 100,000 steps."""
    few, some, many = (plan.count(n, least=n // 100) for n in (10_000, 50_000, 100_000))
    rows, goals = [], []
    for what, stop_when in (("curves", None), ("curves, judged at every step", "overfitting")):
        peaks = {}
        with tempfile.TemporaryDirectory() as folder:
            small = partial(load_long, Path(folder), few)
            for n_steps in (few, some, many):
                load = partial(load_long, Path(folder), n_steps)
                cost = measure(Job(partial(train_long, stop_when=stop_when), load, small), n_repeats=0)
                peaks[n_steps] = cost.peak_bytes / 1e6
                rows.append([what, f"{n_steps:,}", duration(cost.median), f"{peaks[n_steps]:.1f} MB"])
        held = 0 if stop_when is None else 4 * 16 * (many - some) / 1e6
        grown = peaks[many] - peaks[some]
        wanted = f"at most {5 + 2 * held:.0f} MB more than {some:,}"
        goals.append(Goal(f"{many:,} steps, {what}", wanted, f"{grown:+.1f} MB", grown <= 5 + 2 * held))
    text = (
        f"Four curves, into sqlite, after a warm-up of {few:,} steps. The judge of `stop_when` keeps step and value of "
        "every point, 16 bytes each, and needs as much again while it judges them all."
    )
    header = ["what", "steps", "time", "peak memory beyond the start"]
    return Part("Long trainings", (table(header, rows), text), tuple(goals))


PARTS: dict[str, Callable[[Plan], Part]] = {
    "torch": partial(measure_net, title=TORCH_TRAINING, train=train_torch, n_epochs=72),
    "keras": partial(measure_net, title=KERAS_TRAINING, train=train_keras, n_epochs=54),
    "sklearn": measure_fits,
    "diagnosis": measure_diagnosis,
    "points": measure_points,
    "memory": measure_memory,
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
        Exit code, always 0: a slow machine is no failure. Sides that do not end alike are a ValueError.
    """
    page = TimedPage(
        "benchmarks.logging",
        "Cost of logging",
        PARTS,
        full=Plan(),
        quick=Plan(scale=0.05, n_rounds=1),
        packages=("mlflow", "scikit-learn", "torch", "keras"),
        explained="cost-of-logging",
    )
    return page.make(arguments)


def _agree(plain: Cost, ours: Cost) -> None:
    """Times of different trainings are no comparison."""
    for name, value in plain.figures.items():
        if not abs(ours.figures[name] - value) <= _AGREE * abs(value):
            raise ValueError(f"{name} is {value!r} without us and {ours.figures[name]!r} with us: not the same.")


if __name__ == "__main__":
    sys.exit(main())
