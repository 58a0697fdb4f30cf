"""``lossacc send``: what a training could not write, to its run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lossacc_mlflow import pipeline, store
from lossacc_mlflow.errors import InputError, LossaccError

__all__ = ["send"]


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--diagnose/--no-diagnose", default=True, help="Diagnose each run then, and write it there.")
@click.option("--keep", is_flag=True, help="Do not delete the files.")
@click.option("--tracking-uri", metavar="URI", help="Where to send to; by default where each file says.")
def send(paths: tuple[Path, ...], diagnose: bool, keep: bool, tracking_uri: str | None) -> None:
    """Send what trainings could not write because the tracking server was away.

    A PATH is a file, or a folder of them; by default lossacc-unsent in the current folder. A file that was sent is
    deleted; sent twice, everything is there once. A run that was not ended is ended as it was when the training ended.
    """
    files = _files(paths)
    if not files:
        click.echo(f"Nothing to send: there are no files in {store.UNSENT_FOLDER} here.")
        return
    failures: list[LossaccError] = []
    for path in files:
        try:
            _send(path, diagnose=diagnose, keep=keep, tracking_uri=tracking_uri)
        except LossaccError as error:
            if len(files) > 1:
                click.echo(f"lossacc: {path}: {error}", err=True)
            failures.append(error)
    if len(failures) == 1 and len(files) == 1:
        raise failures[0]
    if failures:
        raise type(failures[0])(f"{len(failures)} of {len(files)} files could not be sent; they are kept.")


def _files(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    if not paths:
        return store.find_unsent()
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"there is no file {str(path)!r}.")
        found = store.find_unsent(path) if path.is_dir() else (path,)
        if not found:
            raise InputError(f"there are no .jsonl files in {str(path)!r}.")
        files += found
    return tuple(dict.fromkeys(files))


def _send(path: Path, *, diagnose: bool, keep: bool, tracking_uri: str | None) -> None:
    with _progress(path) as progress:
        sent = store.send_unsent(path, tracking_uri=tracking_uri, keep_file=keep, progress=progress)
    predictions = f" and the predictions of {_splits(sent.n_predictions)}" if sent.n_predictions else ""
    click.echo(f"{path}: {sent.n_points:,} points{predictions} are in run {sent.run_id} of {sent.shown_uri}.")
    if sent.status == "RUNNING":
        click.echo(f"The run is {sent.status}; to end it: MlflowClient().set_terminated({sent.run_id!r})")
    if diagnose:
        diagnosis = pipeline.diagnose(sent.run_id, write=True, tracking_uri=sent.tracking_uri)
        click.echo(f"{diagnosis.verdict.replace('_', ' ')}: {diagnosis.headline}")
    else:
        click.echo(f"To diagnose it: lossacc diagnose --write {sent.run_id}")
    if sent.unreadable:
        raise InputError(
            f"{path} is kept, since {len(sent.unreadable)} of its lines could not be used: {'; '.join(sent.unreadable)}"
        )


def _splits(count: int) -> str:
    return "1 split" if count == 1 else f"{count:,} splits or steps"


@contextmanager
def _progress(path: Path) -> Iterator[Callable[[int, int], None] | None]:
    """Show how far it has come, on a terminal only."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("sending {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(path.name, total=None)

        def show(n_sent: int, n_points: int) -> None:
            bar.update(task, completed=n_sent, total=n_points)

        yield show
