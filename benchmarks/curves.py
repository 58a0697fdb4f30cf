"""Score the rules on labelled training curves, beside the rules of other tools.

python -m benchmarks.curves --data DIR [--output docs/benchmark-curves.md] [--jobs 2] [--quick]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data import FORMAT, read_labelled_runs
from benchmarks.judging import VARIANTS, Round, judge_all
from benchmarks.page import publish, shown, versions
from benchmarks.report import render_report
from benchmarks.results import Results
from benchmarks.stopping import stop_all
from lossacc_mlflow.errors import LossaccError

__all__ = ["main"]


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
    stops = None if options.quick else list(shown(stop_all(options.data, n_jobs=options.jobs), len(runs), "stopping"))
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
    return list(shown(judge_all(directory, variants, n_jobs=n_jobs), n_rounds, "judging"))


if __name__ == "__main__":
    sys.exit(main())
