"""The commands of ``lossacc``, and what their errors look like."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from lossacc_mlflow import __version__, pipeline, store
from lossacc_mlflow.cli.figures import figures
from lossacc_mlflow.cli.output import DIAGNOSIS_FORMATS, output_stream, say_diagnoses, with_progress
from lossacc_mlflow.cli.predictions import predictions
from lossacc_mlflow.cli.send import send
from lossacc_mlflow.curves import LOSS_METRICS
from lossacc_mlflow.errors import InputError, StoreError
from lossacc_mlflow.files import read_curve_file
from lossacc_mlflow.keys import find_metric, parse_override
from lossacc_mlflow.outputs import comparison_page
from lossacc_mlflow.records import Diagnosis
from lossacc_mlflow.render import render_comparison_json, render_comparison_text, render_manual
from lossacc_mlflow.settings import FAIL_ON, FailOn, Settings, levels_at, read_settings

__all__ = ["EXIT_ERROR_OF_OURS", "EXIT_FINDINGS", "EXIT_INPUT", "EXIT_STORE", "main"]

EXIT_FINDINGS, EXIT_INPUT, EXIT_STORE, EXIT_ERROR_OF_OURS = 1, 2, 3, 4


class _Commands(click.Group):
    """A group whose commands turn errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (click's own)
        try:
            return super().invoke(ctx)
        except InputError as error:
            _fail(error, EXIT_INPUT)
        except StoreError as error:
            _fail(error, EXIT_STORE)
        except click.UsageError as error:
            ctx_of = error.ctx.command_path if error.ctx is not None else "lossacc"
            _fail(f"{error.format_message().rstrip('.')}. '{ctx_of} --help' shows what there is.", EXIT_INPUT)
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


main.add_command(predictions)

_tracking_uri = click.option("--tracking-uri", metavar="URI", help="MLflow's tracking store; MLflow's own by default.")
_experiment = click.option("--experiment", metavar="NAME_OR_ID", help="All runs of this experiment.")
_write = click.option("--write/--no-write", default=False, help="Attach the result in MLflow; by default only read.")
_output = click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to stdout.")
_run_ids = click.argument("run_ids", metavar="[RUN_ID]...", nargs=-1)
_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Thresholds and selection; by default the nearest lossacc.toml, or pyproject.toml with [tool.lossacc], "
    "from here upwards.",
)
_select = click.option(
    "--select", metavar="CODES", help="List only these rules, such as FIT001,DIS or ALL; instead of the settings'."
)
_ignore = click.option("--ignore", metavar="CODES", help="Do not list these rules either.")


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
@click.option("--format", "format_", type=click.Choice(DIAGNOSIS_FORMATS), default="text", show_default=True)
@_output
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    show_default="never",
    help="Exit with 1 when a listed finding of this level or above is flagged.",
)
@_config
@_select
@_ignore
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
    fail_on: FailOn | None,
    config: Path | None,
    select: str | None,
    ignore: str | None,
    tracking_uri: str | None,
) -> None:
    """Diagnose runs in MLflow, or curves in a file.

    With --format json, one run gives an object, an experiment or several runs an array; with jsonl each run is one
    line; with junit each run is a test suite, in which findings at or above --fail-on (without it, warnings) fail.

    Thresholds, 'select', 'ignore' and 'fail_on' can be set in lossacc.toml or under [tool.lossacc] in pyproject.toml.
    The verdict always comes from all rules; what is not selected is not listed, not written, and fails nothing.
    """
    _check_sources(run_ids, experiment, filter_string, file, group_by, write=write)
    settings = _settings(config, select, ignore, fail_on)
    options: dict[str, Any] = {"n_classes": n_classes, "loss": loss, "overrides": dict(map(parse_override, keys))}
    if loss is not None and find_metric(loss) is None:
        raise InputError(f"--loss {loss!r} is no loss that is known; there is {', '.join(LOSS_METRICS)}.")
    if file is not None:
        made = _diagnose_file(file, group_by, settings, **options)
        total = None
    else:
        ids = _ids(run_ids, experiment, filter_string, tracking_uri)
        options |= {"rules": settings.rules, "codes": settings.codes, "tracking_uri": tracking_uri}
        made = pipeline.diagnose_runs(ids, write=write, **options)
        total = len(ids)
    single = len(run_ids) == 1 or (file is not None and group_by is None)
    failing = levels_at(settings.fail_on or "warning")
    with output_stream(output) as say:
        flagged = say_diagnoses(with_progress(made, total), format_, say, single=single, failing=failing)
    if format_ == "text":
        _tell_about(settings)
        if not write and file is None:
            click.echo("Nothing was written; --write attaches this to the runs.", err=True)
    if flagged.intersection(levels_at(settings.fail_on or "never")):
        raise click.exceptions.Exit(EXIT_FINDINGS)


@main.command()
@_run_ids
@_experiment
@click.option("--format", "format_", type=click.Choice(["text", "json", "html"]), default="text", show_default=True)
@_output
@_write
@_config
@_select
@_ignore
@_tracking_uri
def compare(
    run_ids: tuple[str, ...],
    experiment: str | None,
    format_: str,
    output: Path | None,
    write: bool,
    config: Path | None,
    select: str | None,
    ignore: str | None,
    tracking_uri: str | None,
) -> None:
    """Compare models across runs: which to take, and where their losses differ.

    Thresholds, 'select' and 'ignore' can be set in lossacc.toml or under [tool.lossacc] in pyproject.toml.
    """
    if bool(run_ids) == bool(experiment):
        raise InputError("give either run ids or --experiment.")
    settings = _settings(config, select, ignore)
    ids = _ids(run_ids, experiment, "", tracking_uri)
    comparison = pipeline.compare(
        list(ids),
        write=write,
        tracking_uri=tracking_uri,
        rules=settings.rules,
        comparison_rules=settings.comparison_rules,
        codes=settings.codes,
    )
    with output_stream(output) as say:
        if format_ == "json":
            say(render_comparison_json(comparison))
        elif format_ == "html":
            say(comparison_page(comparison))
        else:
            say(render_comparison_text(comparison))
    if format_ == "text":
        _tell_about(settings)
        if not write:
            click.echo("Nothing was written; --write makes or updates the experiment's comparison run.", err=True)


@main.command()
@click.argument("code", required=False)
@click.option("--all", "all_", is_flag=True, help="The manuals of all rules.")
@_config
def explain(code: str | None, all_: bool, config: Path | None) -> None:
    """Print the manual of a rule, with its thresholds as they are set in lossacc.toml or pyproject.toml."""
    settings = read_settings(config)
    rules = {rule.code: rule for rule in (*settings.rules, *settings.comparison_rules)}
    if all_ == (code is not None):
        raise InputError(f"name a rule, or pass --all. There is {', '.join(rules)}.")
    wanted = list(rules) if code is None else [code.upper()]
    if wanted[0] not in rules:
        raise InputError(f"there is no rule {code!r}. There is {', '.join(rules)}.")
    source = str(settings.source or "")
    click.echo("\n\n".join(render_manual(rules[name], source=source) for name in wanted))


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


main.add_command(figures)
main.add_command(send)


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


def _settings(config: Path | None, select: str | None, ignore: str | None, fail_on: FailOn | None = None) -> Settings:
    """What the settings file says, under what the flags say."""
    return read_settings(config).override(select=_codes(select) or None, ignore=_codes(ignore), fail_on=fail_on)


def _codes(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part.strip()]


def _tell_about(settings: Settings) -> None:
    """Name the settings file: one that lies in a folder above can come as a surprise."""
    if settings.source is not None:
        click.echo(f"With the settings of {settings.source}.", err=True)


def _diagnose_file(
    file: Path,
    group_by: str | None,
    settings: Settings,
    **options: Any,  # noqa: ANN401  (options of read_curve_file)
) -> Iterator[Diagnosis]:
    rules, codes = settings.rules, frozenset(settings.codes)
    return (pipeline.judge(run, rules, codes=codes) for run in read_curve_file(file, group_by=group_by, **options))
