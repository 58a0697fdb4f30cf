"""The ``lossacc`` command."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lossacc_mlflow import __version__, pipeline, store
from lossacc_mlflow.comparison import COMPARISON_RULES
from lossacc_mlflow.curves import LOSS_METRICS
from lossacc_mlflow.errors import InputError, StoreError
from lossacc_mlflow.files import read_curve_file
from lossacc_mlflow.keys import ParsedKey, find_metric, parse_override
from lossacc_mlflow.outputs import comparison_page
from lossacc_mlflow.records import Diagnosis, Level
from lossacc_mlflow.render import (
    TABLE_COLUMNS,
    render_comparison_json,
    render_comparison_text,
    render_json,
    render_jsonl,
    render_manual,
    render_table,
    render_text,
)
from lossacc_mlflow.rules import RULES

__all__ = ["EXIT_ERROR_OF_OURS", "EXIT_FINDINGS", "EXIT_INPUT", "EXIT_STORE", "main"]

EXIT_FINDINGS, EXIT_INPUT, EXIT_STORE, EXIT_ERROR_OF_OURS = 1, 2, 3, 4

_LEVELS: tuple[Level, ...] = get_args(Level)
_MAX_IN_FULL = 3


class _Commands(click.Group):
    """A group whose commands turn errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (click's own)
        try:
            return super().invoke(ctx)
        except InputError as error:
            _fail(error, EXIT_INPUT)
        except StoreError as error:
            _fail(error, EXIT_STORE)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            message = f"{type(error).__name__}: {error}"
            _fail(
                f"an error of ours: {' '.join(message.split())}. Run 'lossacc --debug ...' for the traceback, and "
                "report it with that in the project's issue tracker.",
                EXIT_ERROR_OF_OURS,
            )


def _fail(error: object, code: int) -> None:
    click.echo(f"lossacc: {error}", err=True)
    raise click.exceptions.Exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
def main(debug: bool) -> None:
    """Is it learning, is it overfitting, and why do its loss and its accuracy disagree?

    Exit codes: 0 done; 1 findings at or above --fail-on; 2 unusable arguments or input; 3 the store could not be
    reached or refused; 4 an error of ours.
    """


_tracking_uri = click.option("--tracking-uri", metavar="URI", help="MLflow's tracking store; MLflow's own by default.")
_experiment = click.option("--experiment", metavar="NAME_OR_ID", help="All runs of this experiment.")
_write = click.option("--write/--no-write", default=False, help="Attach the result in MLflow; by default only read.")
_output = click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to stdout.")
_run_ids = click.argument("run_ids", metavar="[RUN_ID]...", nargs=-1)


@main.command()
@_run_ids
@_experiment
@click.option("--filter", "filter_string", default="", metavar="FILTER", help="Such as 'metrics.val_loss < 1'.")
@click.option("--file", "file", type=click.Path(path_type=Path), help="Curves from a .csv, .parquet or .jsonl file.")
@click.option("--group-by", metavar="COLUMN", help="One run for each value of this column of the file.")
@click.option("--key", "keys", multiple=True, metavar="KEY=SPLIT:METRIC", help="Such as 'my_key=validation:log_loss'.")
@click.option("--n-classes", type=click.IntRange(min=2), help="Number of classes, where the run does not tell.")
@click.option("--loss", metavar="NAME", help="What the logged loss is, such as log_loss, where the run does not tell.")
@_write
@click.option("--format", "format_", type=click.Choice(["text", "json", "jsonl"]), default="text", show_default=True)
@_output
@click.option(
    "--fail-on",
    type=click.Choice(["never", *reversed(_LEVELS)]),
    default="never",
    show_default=True,
    help="Exit with 1 when a finding of this level or above is flagged.",
)
@click.option("--select", metavar="CODES", help="List only these rules, such as FIT001,DIS or TRN.")
@click.option("--ignore", metavar="CODES", help="Do not list these rules.")
@_tracking_uri
def diagnose(
    run_ids: tuple[str, ...],
    experiment: str | None,
    filter_string: str,
    file: Path | None,
    group_by: str | None,
    keys: tuple[str, ...],
    n_classes: int | None,
    loss: str | None,
    write: bool,
    format_: str,
    output: Path | None,
    fail_on: str,
    select: str | None,
    ignore: str | None,
    tracking_uri: str | None,
) -> None:
    """Diagnose runs in MLflow, or curves in a file.

    With --format json, one run gives an object, an experiment or several runs an array; with jsonl each run is one
    line. The verdict always comes from all rules; --select and --ignore choose which findings are listed.
    """
    _check_sources(run_ids, experiment, filter_string, file, group_by, write=write)
    overrides = dict(parse_override(key) for key in keys)
    if loss is not None and find_metric(loss) is None:
        raise InputError(f"--loss {loss!r} is no loss that is known; there is {', '.join(LOSS_METRICS)}.")
    ids = () if file is not None else _ids(run_ids, experiment, filter_string, tracking_uri)
    if file is not None:
        made: Iterator[Diagnosis] = _diagnose_file(file, group_by, overrides, n_classes, loss)
        total = None
    else:
        options: dict[str, Any] = {"n_classes": n_classes, "loss": loss, "overrides": overrides}
        made = pipeline.diagnose_runs(ids, write=write, tracking_uri=tracking_uri, **options)
        total = len(ids)
    keep = _selection(select, ignore)
    single = len(run_ids) == 1 or (file is not None and group_by is None)
    with _output_stream(output) as say:
        worst = _report(_progress(made, total), keep, format_, say, single=single)
    if not write and file is None and format_ == "text":
        click.echo("Nothing was written; --write attaches this to the runs.", err=True)
    if fail_on != "never" and worst is not None and _LEVELS.index(worst) <= _LEVELS.index(_level(fail_on)):
        raise click.exceptions.Exit(EXIT_FINDINGS)


@main.command()
@_run_ids
@_experiment
@click.option("--format", "format_", type=click.Choice(["text", "json", "html"]), default="text", show_default=True)
@_output
@_write
@_tracking_uri
def compare(
    run_ids: tuple[str, ...],
    experiment: str | None,
    format_: str,
    output: Path | None,
    write: bool,
    tracking_uri: str | None,
) -> None:
    """Compare models across runs: which to take, and where their losses differ."""
    if bool(run_ids) == bool(experiment):
        raise InputError("give either run ids or --experiment.")
    ids = _ids(run_ids, experiment, "", tracking_uri)
    comparison = pipeline.compare(list(ids), write=write, tracking_uri=tracking_uri)
    with _output_stream(output) as say:
        if format_ == "json":
            say(render_comparison_json(comparison))
        elif format_ == "html":
            say(comparison_page(comparison))
        else:
            say(render_comparison_text(comparison))
    if not write and format_ == "text":
        click.echo("Nothing was written; --write makes or updates the experiment's comparison run.", err=True)


@main.command()
@click.argument("code", required=False)
@click.option("--all", "all_", is_flag=True, help="The manuals of all rules.")
def explain(code: str | None, all_: bool) -> None:
    """Print the manual of a rule, with its thresholds."""
    rules = {rule.code: rule for rule in (*RULES, *COMPARISON_RULES)}
    if all_ == (code is not None):
        raise InputError(f"name a rule, or pass --all. There is {', '.join(rules)}.")
    wanted = list(rules) if code is None else [code.upper()]
    if wanted[0] not in rules:
        raise InputError(f"there is no rule {code!r}. There is {', '.join(rules)}.")
    click.echo("\n\n".join(render_manual(rules[name]).rstrip() for name in wanted))


@main.command()
@click.option("--experiment", metavar="NAME_OR_ID", required=True, help="The experiment to look at.")
@_tracking_uri
def views(experiment: str, tracking_uri: str | None) -> None:
    """Write the saved views of an experiment, and print their links.

    They show the runs that 'lossacc diagnose --write' has judged.
    """
    links = pipeline.write_views(experiment, tracking_uri=tracking_uri)
    width = max(map(len, links))
    for name, link in links.items():
        click.echo(f"{name:<{width}}  {link}")


@main.command()
@_run_ids
@_experiment
@_tracking_uri
def clean(run_ids: tuple[str, ...], experiment: str | None, tracking_uri: str | None) -> None:
    """Remove what lossacc wrote: tags, artifacts, its block of the note; its metrics become NaN."""
    if bool(run_ids) == bool(experiment):
        raise InputError("give either run ids or --experiment.")
    if experiment:
        store.clean_experiment(experiment, tracking_uri=tracking_uri)
    for run_id in run_ids:
        store.clean_run(run_id, tracking_uri=tracking_uri)
    click.echo(f"Cleaned {f'experiment {experiment}' if experiment else f'{len(run_ids)} runs'}.")


def _check_sources(
    run_ids: Sequence[str],
    experiment: str | None,
    filter_string: str,
    file: Path | None,
    group_by: str | None,
    *,
    write: bool,
) -> None:
    if sum(map(bool, (run_ids, experiment, file))) != 1:
        raise InputError("give run ids, or --experiment NAME_OR_ID, or --file CURVES.csv: one of the three.")
    if file is None and group_by is not None:
        raise InputError("--group-by goes with --file.")
    if experiment is None and filter_string:
        raise InputError("--filter goes with --experiment.")
    if file is not None and write:
        raise InputError("--write attaches findings to runs in MLflow; curves of a file have none.")


def _ids(
    run_ids: tuple[str, ...], experiment: str | None, filter_string: str, tracking_uri: str | None
) -> tuple[str, ...]:
    if experiment is None:
        return tuple(dict.fromkeys(run_ids))
    ids = store.find_run_ids(experiment, filter_string, tracking_uri=tracking_uri)
    if not ids:
        which = f" that match {filter_string!r}" if filter_string else ""
        raise InputError(f"experiment {experiment!r} has no runs{which}: train something in it first.")
    return ids


def _diagnose_file(
    file: Path, group_by: str | None, overrides: dict[str, ParsedKey], n_classes: int | None, loss: str | None
) -> Iterator[Diagnosis]:
    runs = read_curve_file(file, group_by=group_by, overrides=overrides, n_classes=n_classes, loss=loss)
    return map(pipeline.judge, runs)


def _selection(select: str | None, ignore: str | None) -> Callable[[str], bool]:
    """Whether a code is to be listed; codes may be given by their first letters."""
    known = [rule.code for rule in RULES]
    chosen = [part.strip().upper() for part in (select or "").split(",") if part.strip()]
    dropped = [part.strip().upper() for part in (ignore or "").split(",") if part.strip()]
    for part in (*chosen, *dropped):
        if not any(code.startswith(part) for code in known):
            raise InputError(f"there is no rule {part!r}. There is {', '.join(known)}.")
    return lambda code: (not chosen or code.startswith(tuple(chosen))) and not code.startswith(tuple(dropped) or ("-",))


def _report(
    diagnoses: Iterator[Diagnosis],
    keep: Callable[[str], bool],
    format_: str,
    say: Callable[[str], None],
    *,
    single: bool,
) -> Level | None:
    """Say every diagnosis in the wanted form; returns the gravest level that was flagged."""
    kept: list[Diagnosis] = []
    levels: set[Level] = set()
    for diagnosis in diagnoses:
        shown = replace(diagnosis, findings=tuple(f for f in diagnosis.findings if keep(f.code)))
        levels.update(f.level for f in shown.flagged)
        if format_ == "jsonl":
            say(render_jsonl(shown))
        else:
            kept.append(shown)
    if format_ == "json":
        say(render_json(kept[0]) if single and kept else f"[{', '.join(map(render_json, kept))}]")
    elif format_ == "text":
        for text in _texts(kept):
            say(text)
    return min(levels, key=_LEVELS.index, default=None)


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


def _progress(diagnoses: Iterator[Diagnosis], total: int | None) -> Iterator[Diagnosis]:
    """Pass diagnoses through under a progress bar; none in a pipe, and none for something quick."""
    console = Console(stderr=True)
    if not console.is_terminal or (total is not None and total < 2):
        yield from diagnoses
        return
    columns = (TextColumn("diagnosing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(diagnoses, total=total)


@contextmanager
def _output_stream(output: Path | None) -> Iterator[Callable[[str], None]]:
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


def _level(name: str) -> Level:
    return next(level for level in _LEVELS if level == name)
