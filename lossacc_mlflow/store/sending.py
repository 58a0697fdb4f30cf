"""Local files of what could not be written → their runs; sent twice, it is there once."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from mlflow.entities import RunStatus

from lossacc_mlflow.errors import InputError, StoreError
from lossacc_mlflow.store.connection import Connection, connect, portable_uri, translated
from lossacc_mlflow.store.keeping import JudgedPredictions, keep
from lossacc_mlflow.store.logged import StepRange
from lossacc_mlflow.store.lookup import fetch_run
from lossacc_mlflow.store.points import Points
from lossacc_mlflow.store.run_writer import RunWriter
from lossacc_mlflow.store.unsent import UNSENT_FOLDER, RunEnd, RunTags, Unreadable, read_entries, read_header

__all__ = ["SentFile", "find_unsent", "send_unsent"]

_CREDENTIALS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


@dataclass(frozen=True, slots=True)
class SentFile:
    """What became of one file.

    Parameters
    ----------
    run_id, tracking_uri : str
        Where it was sent to.
    shown_uri : str
        The same without a password.
    n_points, n_predictions : int
    status : str
        Of the run, now.
    unreadable : tuple of str
        Lines that could not be used, each with the reason. The file stays then.
    """

    run_id: str
    tracking_uri: str
    shown_uri: str
    n_points: int
    n_predictions: int
    status: str
    unreadable: tuple[str, ...] = ()


@dataclass(slots=True)
class _Content:
    """What a first look at a file tells."""

    steps: dict[str, StepRange] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    n_points: int = 0
    n_predictions: int = 0
    end: RunEnd | None = None
    unreadable: list[str] = field(default_factory=list)
    size: int = 0


def find_unsent(folder: Path | None = None) -> tuple[Path, ...]:
    """Find the files of a folder, by default of ``lossacc-unsent`` in the current one."""
    return tuple(sorted(Path(folder or UNSENT_FOLDER).glob("*.jsonl")))


def send_unsent(
    path: Path,
    *,
    tracking_uri: str | None = None,
    keep_file: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SentFile:
    """Send what a file holds to its run, and delete the file.

    The run is ended as the file says, unless it has been ended already.

    Parameters
    ----------
    path : Path
    tracking_uri : str, optional
        By default the one that the file names.
    keep_file : bool
        Whether the file stays.
    progress : callable, optional
        Called with the number of points that are written, and that of all.

    Returns
    -------
    SentFile

    Raises
    ------
    InputError
        If the file cannot be read, or names a server to which the credentials of this environment may not belong.
    UnknownRunError
        If the store does not have the run.
    StoreError
        If the store cannot be reached, or refuses. The file stays; what was sent before is there once.
    """
    header = read_header(path)
    uri = _target(path, header.tracking_uri, tracking_uri)
    connection = connect(uri)
    fetch_run(connection, header.run_id)
    content = _look_at(path)
    _write_all(connection, path, header.run_id, content, progress)
    status = _end_run(connection, header.run_id, content.end)
    if not keep_file and not content.unreadable and path.stat().st_size <= content.size:
        path.unlink()
        if path.parent.name == UNSENT_FOLDER and not any(path.parent.iterdir()):
            path.parent.rmdir()
    return SentFile(
        header.run_id,
        connection.uri,
        connection.shown,
        content.n_points,
        content.n_predictions,
        status,
        tuple(content.unreadable),
    )


def _target(path: Path, named: str, asked: str | None) -> str:
    """Which store to write to; a file from elsewhere must not get at the credentials of this environment."""
    own = str(mlflow.get_tracking_uri())
    if asked is not None or portable_uri(own) == named:
        return asked or own
    if named.startswith(("http:", "https:")) and any(os.environ.get(name) for name in _CREDENTIALS):
        raise InputError(
            f"{path} is for {named}, which is not MLflow's tracking URI here ({portable_uri(own)}), and would get the "
            f"credentials that are set here. If that is right: --tracking-uri {named}"
        )
    return named


def _look_at(path: Path) -> _Content:
    content = _Content()
    try:
        for end, entry in read_entries(path):
            content.size = end
            if isinstance(entry, Points):
                content.n_points += len(entry)
                for place in set(entry.key.tolist()):
                    step = entry.step[entry.key == place]
                    known = content.steps.setdefault(entry.keys[place], StepRange(int(step.min()), int(step.max())))
                    known.first, known.last = min(known.first, int(step.min())), max(known.last, int(step.max()))
            elif isinstance(entry, RunTags):
                content.tags.update(entry.tags)
            elif isinstance(entry, RunEnd):
                content.end = entry
            elif isinstance(entry, Unreadable):
                content.unreadable.append(f"line {entry.line}: {entry.reason}")
            else:
                content.n_predictions += 1
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return content


def _write_all(
    connection: Connection, path: Path, run_id: str, content: _Content, progress: Callable[[int, int], None] | None
) -> None:
    writer = RunWriter(run_id, connection.uri, content.steps, content.tags, repeats=True)
    n_sent, failure = 0, None
    for end, entry in read_entries(path):
        if end > content.size or isinstance(entry, Unreadable | RunEnd):
            continue
        if isinstance(entry, JudgedPredictions):
            try:
                keep(run_id, entry, tracking_uri=connection.uri)
            except StoreError as error:  # where only the files cannot be written, the points still can
                failure = error
            continue
        for part in entry.batches() if isinstance(entry, Points) else (entry,):
            writer.write(connection, part)
            n_sent += len(part) if isinstance(part, Points) else 0
            if progress is not None:
                progress(n_sent, content.n_points)
    if failure is not None:
        raise failure


def _end_run(connection: Connection, run_id: str, end: RunEnd | None) -> str:
    """End the run as the file says, where nobody has done so; return its status."""
    status = str(fetch_run(connection, run_id).info.status)
    if end is None or RunStatus.is_terminated(RunStatus.from_string(status)):
        return status
    with translated(connection.uri, f"run {run_id!r} cannot be ended"):
        connection.client.set_terminated(run_id, end.status, end.end_time)
    return end.status
