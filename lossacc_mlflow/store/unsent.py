"""What could not be written to a run, in one local file: a JSON object a line, described in docs/send.md.

A line is appended whole, so a process that is killed leaves a file that can be read. Everything in a file is checked
before it is used: it may come from anywhere.
"""

import json
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, cast, get_args

from lossacc_mlflow.errors import InputError, LossaccError
from lossacc_mlflow.records import PredictionSummary, RegressionSamples, SamplePredictions, Split
from lossacc_mlflow.store.codec import (
    decode_regression_samples,
    decode_samples,
    encode_regression_samples,
    encode_samples,
)
from lossacc_mlflow.store.keeping import JudgedPredictions
from lossacc_mlflow.store.points import PointBuffer, Points
from lossacc_mlflow.store.summaries import (
    NON_FINITE,
    decode_regression_summary,
    decode_summary,
    encode_summary,
    one_line,
)

__all__ = [
    "END_STATUSES",
    "SCHEMA_VERSION",
    "UNSENT_FOLDER",
    "Entry",
    "Header",
    "RunEnd",
    "RunTags",
    "Unreadable",
    "append_entries",
    "read_entries",
    "read_header",
]

UNSENT_FOLDER = "lossacc-unsent"
"""Where the files lie, in the folder that the training was started in."""

SCHEMA_VERSION = 1

END_STATUSES = frozenset({"FINISHED", "FAILED", "KILLED"})
"""How a run can have ended."""

_KIND = "lossacc-unsent"
_POINTS_A_LINE = 20_000
_MAX_LINE = 1 << 29  # bytes; the largest are the predictions of millions of samples
_MAX_TEXT = 10_000
_MAX_TAGS = 1_000
_RUN_ID = re.compile(r"\w{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: whose the rest is.

    Parameters
    ----------
    run_id : str
    tracking_uri : str
        Without a user's name and password.
    """

    run_id: str
    tracking_uri: str


@dataclass(frozen=True, slots=True)
class RunTags:
    """Tags of the run."""

    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How and when the run ended: FINISHED, FAILED or KILLED, and milliseconds."""

    status: str
    end_time: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that cannot be used, and why."""

    line: int
    reason: str


Entry = Points | RunTags | JudgedPredictions | RunEnd


def append_entries(path: Path, header: Header, entries: Iterable[Entry]) -> None:
    """Append to a file, or make it; then it appears with its first lines complete.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    lines = [line for entry in entries for line in _lines(entry)]
    if not lines:
        return
    if path.exists():
        with path.open("ab+") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            torn = b"" if file.read() in {b"", b"\n"} else b"\n"
            _write(file, torn + b"".join(lines))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    first = {"kind": _KIND, "schema_version": SCHEMA_VERSION, "run_id": header.run_id, "uri": header.tracking_uri}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        _write(file, b"".join([_line(first), *lines]))
    draft.replace(path)


def read_header(path: Path) -> Header:
    """Read whose points a file holds.

    Raises
    ------
    InputError
        If it is no such file, or of a later version.
    """
    try:
        with path.open("rb") as file:
            plain = json.loads(file.readline(_MAX_TEXT))
        is_ours = plain["kind"] == _KIND and type(plain["schema_version"]) is int
        is_named = _RUN_ID.fullmatch(plain["run_id"]) is not None and isinstance(plain["uri"], str)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (KeyError, TypeError, ValueError, RecursionError):
        is_ours = is_named = False
    if not (is_ours and is_named):
        raise InputError(f"{path} is none of the files in which lossacc keeps what could not be written.")
    if plain["schema_version"] > SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema version {plain['schema_version']}, this lossacc reads {SCHEMA_VERSION}: send it with "
            "the version that wrote it, or a later one."
        )
    return Header(plain["run_id"], plain["uri"])


def read_entries(path: Path, offset: int = 0) -> Iterator[tuple[int, Entry | Unreadable]]:
    """Read what a file holds, line by line.

    Parameters
    ----------
    path : Path
    offset : int
        Where to begin: 0, or where an earlier reading ended.

    Yields
    ------
    end : int
        Bytes up to the end of this line.
    entry : Entry or Unreadable
        A line that is not complete yet is not read.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        number = 0
        while (line := file.readline(_MAX_LINE)).endswith(b"\n"):
            number += 1
            if offset or number > 1:
                yield file.tell(), _entry(line, number)
        if len(line) >= _MAX_LINE:
            yield file.tell(), Unreadable(number + 1, f"it has more than {_MAX_LINE:,} bytes")


def _write(file: BinaryIO, body: bytes) -> None:
    file.write(body)
    file.flush()
    os.fsync(file.fileno())


def _line(plain: Mapping[str, Any]) -> bytes:
    return json.dumps(plain, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _lines(entry: Entry) -> Iterator[bytes]:
    if isinstance(entry, Points):
        for start in range(0, len(entry), _POINTS_A_LINE):
            yield _line({"points": _columns(entry[start : start + _POINTS_A_LINE])})
    elif isinstance(entry, RunTags):
        yield _line({"tags": dict(entry.tags)})
    elif isinstance(entry, RunEnd):
        yield _line({"end": {"status": entry.status, "end_time": entry.end_time}})
    else:
        yield _line({"predictions": _predictions(entry)})


def _columns(points: Points) -> dict[str, Any]:
    """By key: three lists."""
    columns = {}
    for key in dict.fromkeys(points.keys):
        part = points.only({key})
        if len(part):
            values = [value if isfinite(value) else str(value) for value in part.value.tolist()]
            columns[key] = {"step": part.step.tolist(), "value": values, "timestamp": part.timestamp.tolist()}
    return columns


def _predictions(judged: JudgedPredictions) -> dict[str, Any]:
    samples = judged.samples
    body = encode_samples(samples) if isinstance(samples, SamplePredictions) else encode_regression_samples(samples)
    return {
        "of": "regression" if isinstance(samples, RegressionSamples) else "classification",
        "split": samples.split,
        "step": judged.step,
        "tags": dict(judged.tags),
        "summary": json.loads(encode_summary(judged.summary)),
        "samples": b64encode(body).decode(),
    }


def _entry(line: bytes, number: int) -> Entry | Unreadable:
    try:
        ((kind, plain),) = json.loads(line).items()
        entry: Entry = _READERS[kind](plain)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError, LossaccError) as error:
        return Unreadable(number, one_line(error))
    return entry


def _read_points(plain: Mapping[str, Any]) -> Points:
    buffer = PointBuffer()
    for key, columns in plain.items():
        steps, values, timestamps = (columns[name] for name in ("step", "value", "timestamp"))
        if len(key) > _MAX_TEXT or not all(type(number) is int for number in (*steps, *timestamps)):
            raise ValueError("steps and timestamps must be integers")
        for step, value, timestamp in zip(steps, values, timestamps, strict=True):
            buffer.append(key, step, _number(value), timestamp)
    return buffer.take()


def _number(value: object) -> float:
    if isinstance(value, str):
        return NON_FINITE[value]
    if type(value) not in {int, float}:
        raise ValueError(f"{value!r:.40} is no number")
    return float(cast("float", value))


def _read_tags(plain: Mapping[str, Any]) -> RunTags:
    tags = {str(key): value for key, value in plain.items()}
    if len(tags) > _MAX_TAGS or not all(isinstance(v, str) and len(k) <= _MAX_TEXT for k, v in tags.items()):
        raise ValueError("tags must be texts")
    if any(key.startswith("mlflow.") for key in tags):
        raise ValueError("tags of MLflow's own are none of ours")
    return RunTags(tags)


def _read_end(plain: Mapping[str, Any]) -> RunEnd:
    status, end_time = plain["status"], plain["end_time"]
    if status not in END_STATUSES or type(end_time) is not int or not 0 < end_time < 1 << 53:
        raise ValueError("it names no end of a run")
    return RunEnd(status, end_time)


def _read_predictions(plain: Mapping[str, Any]) -> JudgedPredictions:
    split, step = plain["split"], plain["step"]
    if split not in get_args(Split) or not (step is None or (type(step) is int and abs(step) < 1 << 62)):
        raise ValueError("it names no split or step")
    body, summary = b64decode(plain["samples"], validate=True), json.dumps(plain["summary"]).encode()
    tags = _read_tags(plain["tags"]).tags
    if plain["of"] == "regression":
        return JudgedPredictions(decode_regression_summary(summary), decode_regression_samples(body, split), tags)
    read: PredictionSummary = decode_summary(summary)
    return JudgedPredictions(read, decode_samples(body, split), tags, step)


_READERS: Mapping[str, Any] = {
    "points": _read_points,
    "tags": _read_tags,
    "end": _read_end,
    "predictions": _read_predictions,
}
