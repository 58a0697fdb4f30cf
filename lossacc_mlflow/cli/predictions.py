"""The command ``lossacc predictions``."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lossacc_mlflow import pipeline
from lossacc_mlflow.cli.output import output_stream
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.files import Progress as ReadProgress
from lossacc_mlflow.files import judge_prediction_files
from lossacc_mlflow.outputs import run_update
from lossacc_mlflow.records import PredictionFileSummary, RunData
from lossacc_mlflow.render import render_predictions_json, render_predictions_text

__all__ = ["predictions"]

_MIN_ROWS = 1_000_000
"""Fewer rows are read before a bar would have been seen."""


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--labels",
    metavar="NAME,...",
    help="The class of each column of probabilities, in their order; by default what the files say.",
)
@click.option(
    "--temperature/--no-temperature",
    default=True,
    show_default=True,
    help="Fit the temperature that would serve each file best; on huge files this takes most of the time.",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also write report.html, pictures and worst_predictions.csv of each file, into a folder of its name there.",
)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there, not to stdout.")
def predictions(
    files: tuple[Path, ...],
    labels: str | None,
    temperature: bool,
    report: Path | None,
    format_: str,
    output: Path | None,
) -> None:
    """Say what the loss of saved predictions is made of; of several files, what makes the difference.

    A FILE is .npz with the arrays 'y_true' (n,) and 'y_proba' (n, n_classes), or (n,) for two classes; or .csv or
    .parquet with the columns 'y_true' and 'proba_0', 'proba_1', ... (or 'proba' for two classes). Where only answers
    are known: 'y_true', 'y_pred', 'confidence' and, if there is one, 'p_true'. Probabilities, not logits.

    Two or more files must hold predictions of the same samples, matched by 'sample_id' where they have it, else row
    by row. Nothing is read from or written to MLflow. docs/predictions.md has the details.
    """
    names = None if labels is None else [name.strip() for name in labels.split(",")]
    with _progress() as progress:
        judged = judge_prediction_files(files, labels=names, temperature=temperature, progress=progress)
    if report is not None:
        for file in judged.files:
            _write_report(file, report)
    with output_stream(output) as say:
        say(render_predictions_json(judged) if format_ == "json" else render_predictions_text(judged))


def _write_report(file: PredictionFileSummary, folder: Path) -> None:
    """Write what a run with these predictions would get as artifacts."""
    if len(file.samples) != file.summary.n_samples:
        raise InputError(f"{file.path} is too large for a report: its pictures take all samples. Give a part of it.")
    # A name may be a path, where names alone do not tell files apart.
    target = folder / re.sub(r"[^\w.-]+", "_", file.name).strip("._")
    run = RunData(
        file.name,
        file.name,
        predictions={"test": file.summary},
        samples={"test": file.samples},
        n_classes=file.summary.n_classes,
    )
    artifacts = run_update(pipeline.judge(run)).artifacts
    try:
        for artifact in artifacts:
            path = target / PurePosixPath(artifact.path).relative_to("lossacc")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(artifact.body)
    except OSError as error:
        raise InputError(f"the report cannot be written to {target}: {error.strerror}.") from error


@contextmanager
def _progress() -> Iterator[ReadProgress | None]:
    """Show how far each pass over a large file has come, on a terminal only."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", visible=False)

        def show(name: str, row: int, n_rows: int | None) -> None:
            visible = (n_rows or row) >= _MIN_ROWS
            bar.update(task, description=f"reading {name}", completed=row, total=n_rows, visible=visible)

        yield show
