"""Time the rules on short and long runs, beside the simplest rule there is.

python -m benchmarks.speed [--output docs/benchmark-speed.md] [--points 1000 1000000] [--repeats 5]
"""

import argparse
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.page import publish, versions
from benchmarks.tables import table
from lossacc_mlflow.keys import METRICS
from lossacc_mlflow.monitor import Monitor
from lossacc_mlflow.records import Curve, FloatArray, RunData, Split
from lossacc_mlflow.rules import apply_rules, decide_verdict

__all__ = ["Timing", "main", "make_run", "time_diagnosis", "time_monitor"]

_KEYS: tuple[tuple[str, Split], ...] = (
    ("loss", "validation"),
    ("loss", "train"),
    ("accuracy", "validation"),
    ("accuracy", "train"),
)


@dataclass(frozen=True)
class Timing:
    """What judging one run costs.

    Parameters
    ----------
    n_points : int
        Of each curve.
    n_curves : int
    seconds : float
        Best of several, each on records that have never been looked at.
    ratio_seconds : float
        The same for ``last > 1.1 * min`` on the validation loss.
    peak_bytes : int
        Memory allocated on top of the run itself, at its highest.
    """

    n_points: int
    n_curves: int
    seconds: float
    ratio_seconds: float
    peak_bytes: int


def make_run(n_points: int, n_curves: int, *, seed: int = 0) -> RunData:
    """Make a noisy run that overfits: train loss falls, validation loss turns at a third of the steps.

    Parameters
    ----------
    n_points : int
        Of each curve.
    n_curves : int
        1 to 4: validation loss, train loss, validation accuracy, train accuracy.
    seed : int

    Returns
    -------
    RunData
    """
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, n_points)
    courses: dict[tuple[str, Split], FloatArray] = {
        ("loss", "validation"): 0.3 + (t - 1 / 3) ** 2,
        ("loss", "train"): 0.05 + np.exp(-4 * t),
        ("accuracy", "validation"): 0.9 - np.exp(-8 * t) / 2,
        ("accuracy", "train"): 0.99 - np.exp(-8 * t) / 2,
    }
    curves = tuple(
        Curve(
            METRICS[name],
            split,
            step=np.arange(n_points),
            value=courses[name, split] * (1 + 0.01 * rng.standard_normal(n_points)),
            key=f"{split}_{name}",
        )
        for name, split in _KEYS[:n_curves]
    )
    return RunData(run_id="speed", name="speed", curves=curves, n_classes=10)


def time_diagnosis(n_points: int, n_curves: int, *, n_repeats: int = 5) -> Timing:
    """Time all rules and the verdict on one run.

    Parameters
    ----------
    n_points, n_curves : int
        See `make_run`.
    n_repeats : int

    Returns
    -------
    Timing
    """
    # Fresh records every time: what is remembered of a curve object must not be measured as speed.
    runs = [make_run(n_points, n_curves, seed=seed) for seed in range(n_repeats + 1)]
    _diagnose(runs[0])
    seconds = min(_seconds(lambda run=run: _diagnose(run)) for run in runs[1:])  # type: ignore[misc]  # bound at once
    values = runs[0].curves[0].value
    ratio = min(_seconds(lambda: bool(values[-1] > 1.1 * values.min())) for _ in range(max(20, n_repeats)))
    fresh = make_run(n_points, n_curves, seed=n_repeats + 1)
    tracemalloc.start()
    _diagnose(fresh)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Timing(n_points, n_curves, seconds, ratio, peak)


def time_monitor(n_points: int) -> float:
    """Time a run that is judged while it grows, point by point, in seconds for all of it."""
    run = make_run(n_points, 2)
    rows = [
        {c.key: float(v) for c, v in zip(run.curves, row, strict=True)}
        for row in zip(*(c.value for c in run.curves), strict=True)
    ]
    monitor = Monitor()

    def feed() -> None:
        for step, row in enumerate(rows):
            monitor.update(step, row)

    return _seconds(feed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or write the table.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: of the command line.

    Returns
    -------
    int
        Exit code, always 0: a slow machine is no failure.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description="Time the rules.")
    parser.add_argument("--points", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000], metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="markdown file to write; default: print it")
    options = parser.parse_args(arguments)
    timings = [time_diagnosis(n, k, n_repeats=options.repeats) for k in (1, 2, 4) for n in options.points]
    grown = [(n, time_monitor(n)) for n in options.points if n <= 100_000]
    publish(_render(timings, grown), options.output)
    return 0


def _diagnose(run: RunData) -> str:
    return decide_verdict(run, apply_rules(run))


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _render(timings: Sequence[Timing], grown: Sequence[tuple[int, float]]) -> str:
    rows = [
        [
            str(one.n_curves),
            f"{one.n_points:,}",
            f"{1e3 * one.seconds:.2f} ms",
            f"{1e9 * one.seconds / one.n_points / one.n_curves:.0f} ns",
            f"{one.seconds / one.ratio_seconds:.0f}",
            f"{one.peak_bytes / 1e6:.1f} MB",
            f"{one.peak_bytes / (16 * one.n_points * one.n_curves):.1f}",
        ]
        for one in timings
    ]
    header = ["curves", "points each", "time", "per point", "times last / min", "peak memory", "times the run's own"]
    grown_rows = [[f"{n:,}", f"{seconds:.2f} s", f"{1e6 * seconds / n:.0f} us"] for n, seconds in grown]
    return "\n\n".join(
        [
            "# Speed of the rules",
            f"Written by `python -m benchmarks.speed` with {versions()}, on {platform.machine()}. "
            "All rules and the verdict on one run whose records nothing has looked at before; best of several.",
            table(header, rows),
            "A run of two curves judged by `Monitor` while it grows, point by point:",
            table(["points", "all updates together", "each"], grown_rows),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
