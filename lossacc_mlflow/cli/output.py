"""How the command shows diagnoses: its formats, its progress bar, and the file that it writes to."""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import Diagnosis, Level
from lossacc_mlflow.render import TABLE_COLUMNS, render_json, render_jsonl, render_junit, render_table, render_text

__all__ = ["DIAGNOSIS_FORMATS", "output_stream", "say_diagnoses", "with_progress"]

DIAGNOSIS_FORMATS = ("text", "json", "jsonl", "junit")

_MAX_IN_FULL = 3


def say_diagnoses(
    diagnoses: Iterator[Diagnosis],
    format_: str,
    say: Callable[[str], None],
    *,
    single: bool,
    failing: Collection[Level],
) -> set[Level]:
    """Say every diagnosis in the wanted form, as JSON lines each one as soon as it is made.

    Parameters
    ----------
    diagnoses : iterator of Diagnosis
    format_ : {"text", "json", "jsonl", "junit"}
    say : callable
        Takes one text after another.
    single : bool
        Whether one diagnosis is an object of its own in JSON, rather than an array.
    failing : collection of {"error", "warning", "note"}
        Levels that are failures in JUnit XML.

    Returns
    -------
    set of {"error", "warning", "note"}
        Levels that were flagged.
    """
    kept: list[Diagnosis] = []
    levels: set[Level] = set()
    for diagnosis in diagnoses:
        levels.update(f.level for f in diagnosis.flagged)
        if format_ == "jsonl":
            say(render_jsonl(diagnosis))
        else:
            kept.append(diagnosis)
    if format_ == "json":
        say(render_json(kept[0]) if single and kept else f"[{', '.join(map(render_json, kept))}]")
    elif format_ == "junit":
        say(render_junit(kept, failing=failing))
    elif format_ == "text":
        for text in _texts(kept):
            say(text)
    return levels


def with_progress(diagnoses: Iterator[Diagnosis], total: int | None) -> Iterator[Diagnosis]:
    """Pass diagnoses through under a progress bar; none in a pipe, and none for something quick."""
    console = Console(stderr=True)
    if not console.is_terminal or (total is not None and total < 2):
        yield from diagnoses
        return
    columns = (TextColumn("diagnosing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(diagnoses, total=total)


@contextmanager
def output_stream(output: Path | None) -> Iterator[Callable[[str], None]]:
    """Where to say something: stdout, or a file that appears only when it is complete."""
    if output is None:
        yield click.echo
        return
    said: list[str] = []
    yield said.append
    try:
        output.write_text("\n".join(said) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}.") from error


def _texts(diagnoses: Sequence[Diagnosis]) -> Iterator[str]:
    """A few diagnoses in full; many as a table."""
    if len(diagnoses) <= _MAX_IN_FULL:
        yield from map(render_text, diagnoses)
        return
    table = Table(*TABLE_COLUMNS, box=None, pad_edge=False)
    for row in render_table(diagnoses):
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 160, no_color=True, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(table)
    yield capture.get().rstrip()
    yield "'lossacc diagnose RUN_ID' shows the findings of one run in full."
