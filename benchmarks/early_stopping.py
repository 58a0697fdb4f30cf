"""Stopping at the first alarm beside waiting with patience, on real trainings and on labelled curves.

python -m benchmarks.early_stopping [--data DIR] [--output docs/benchmark-stopping.md] [--jobs 2] [--quick]
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.data import FORMAT, LabelledRun, read_labelled_runs
from benchmarks.page import publish, shown
from benchmarks.stopping_page import render
from benchmarks.stopping_rules import Course, Stopped, stopped
from benchmarks.trainings import Trained, run_trainings, trainings
from lossacc_mlflow.errors import LossaccError

__all__ = ["course_of", "main", "stop_all"]


def course_of(trained: Trained) -> Course:
    """Make a course of a training that has run."""
    loss = np.array([row["val_loss"] for row in trained.rows])
    return Course(trained.training.name, trained.rows, loss, trained.n_classes, trained.n_validation)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and write or print its page.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: of the command line.

    Returns
    -------
    int
        Exit code: 0, or 2 where the data cannot be used.
    """
    options = _parse(arguments)
    try:
        labelled = () if options.data is None else read_labelled_runs(options.data)
    except LossaccError as error:
        print(error, file=sys.stderr)
        return 2
    plan = trainings(quick=options.quick)
    trained = [course_of(one) for one in shown(run_trainings(plan, n_jobs=options.jobs), len(plan), "training")]
    curves = [course for run in labelled if (course := _course_of_curves(run)) is not None]
    publish(
        render(stop_all(trained, n_jobs=options.jobs), stop_all(curves, n_jobs=options.jobs)),
        options.output,
    )
    return 0


def stop_all(courses: Sequence[Course], *, n_jobs: int = 1) -> list[Stopped]:
    """Ask every rule when to stop each training.

    Parameters
    ----------
    courses : sequence of Course
    n_jobs : int
        Processes.

    Returns
    -------
    list of Stopped
        In the order of the courses.
    """
    if n_jobs == 1:
        return list(shown(map(stopped, courses), len(courses), "stopping"))
    with ProcessPoolExecutor(n_jobs) as pool:
        return list(shown(pool.map(stopped, courses, chunksize=10), len(courses), "stopping"))


def _course_of_curves(labelled: LabelledRun) -> Course | None:
    """Make a course of labelled curves, at the steps at which there is a validation loss."""
    curves = {f"{c.split}_{'accuracy' if c.metric.greater_is_better else 'loss'}": c for c in labelled.run.curves}
    loss = curves.get("validation_loss")
    if loss is None or len(loss) < 2 or not np.isfinite(loss.value).any():
        return None
    rows: list[dict[str, float]] = [{} for _ in loss.step]
    for key, curve in curves.items():
        at = np.minimum(np.searchsorted(loss.step, curve.step), len(loss) - 1)
        for i, value in zip(at.tolist(), curve.value.tolist(), strict=True):
            rows[i][key] = value
    run = labelled.run
    return Course(labelled.data_set, tuple(rows), loss.value, run.n_classes, run.n_validation, run.majority_accuracy)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.early_stopping",
        description="Stopping at the first alarm beside waiting with patience.",
        epilog=FORMAT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="labelled curves, to be stopped too; see below")
    parser.add_argument("--output", type=Path, metavar="FILE", help="markdown file to write; default: print it")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter trainings")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
