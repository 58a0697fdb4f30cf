"""Score the rules on labelled training curves, beside the rules of other tools.

python -m benchmarks.curves --data DIR [--output docs/benchmark-curves.md] [--jobs 2] [--quick]
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from benchmarks.data import FORMAT, read_labelled_runs
from benchmarks.judging import VARIANTS, Round, judge_all
from benchmarks.page import publish, versions
from benchmarks.report import render_report
from benchmarks.results import Results
from benchmarks.stopping import stop_all
from lossacc_mlflow.errors import LossaccError

__all__ = ["main"]

_Item = TypeVar("_Item")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and write or print its tables.

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
        runs = read_labelled_runs(options.data)
    except LossaccError as error:
        print(error, file=sys.stderr)
        return 2
    rounds = _judge(options.data, quick=options.quick, n_jobs=options.jobs)
    stops = None if options.quick else list(_shown(stop_all(options.data, n_jobs=options.jobs), len(runs), "stopping"))
    publish(render_report(Results(runs, rounds), stops, versions()), options.output)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curves",
        description="Score the rules on labelled training curves, beside the rules of other tools.",
        epilog=FORMAT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="labelled curves, see below")
    parser.add_argument("--output", type=Path, metavar="FILE", help="markdown file to write; default: print it")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument(
        "--quick", action="store_true", help="fewer variants, and without the stopping question: a look while tuning"
    )
    return parser.parse_args(arguments)


def _judge(directory: Path, *, quick: bool, n_jobs: int) -> list[Round]:
    variants = [variant for variant in VARIANTS if variant.is_quick or not quick]
    n_rounds = sum(len(variant.seeds) for variant in variants)
    return list(_shown(judge_all(directory, variants, n_jobs=n_jobs), n_rounds, "judging"))


def _shown(items: Iterable[_Item], total: int, what: str) -> Iterable[_Item]:
    """Pass items on, with a progress bar where a person is watching."""
    console = Console(stderr=True)
    return track(items, description=what, total=total, console=console, disable=not console.is_terminal)


if __name__ == "__main__":
    sys.exit(main())
