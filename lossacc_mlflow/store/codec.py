"""Predictions as bytes and back: parquet for every sample, JSON for the summary."""

import json
from dataclasses import MISSING, asdict, fields
from io import BytesIO
from textwrap import shorten
from typing import Any, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import PredictionSummary, SamplePredictions, Split

__all__ = ["decode_samples", "decode_summary", "encode_samples", "encode_summary"]

_CLASSES = b"lossacc.classes"
_INDICES = ("y_true", "y_pred")
_SHARES = ("p_true", "confidence", "p_true_after_temperature", "brier")
_NON_FINITE = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


def encode_samples(samples: SamplePredictions) -> bytes:
    """Write the predictions of every sample as one parquet file.

    Parameters
    ----------
    samples : SamplePredictions

    Returns
    -------
    bytes
        Columns ``sample_id`` (text), ``y_true``, ``y_pred`` (int32) and the probabilities and the Brier score as
        float32, zstd-compressed; the classes are a JSON list in the schema's metadata under ``lossacc.classes``.
    """
    columns: dict[str, pa.Array] = {"sample_id": pa.array(samples.sample_id, pa.string())}
    columns |= {name: pa.array(getattr(samples, name).astype(np.int32)) for name in _INDICES}
    columns |= {name: pa.array(getattr(samples, name).astype(np.float32)) for name in _SHARES}
    table = pa.table(columns).replace_schema_metadata({_CLASSES: json.dumps(samples.classes).encode()})
    sink = BytesIO()
    # Probabilities hardly repeat: without a dictionary the file is smaller and quicker to write.
    pq.write_table(table, sink, compression="zstd", use_dictionary=list(_INDICES))
    return sink.getvalue()


def decode_samples(body: bytes, split: Split) -> SamplePredictions:
    """Read what `encode_samples` wrote.

    Parameters
    ----------
    body : bytes
    split : {"train", "validation", "test"}

    Returns
    -------
    SamplePredictions

    Raises
    ------
    PredictionsError
        If it is no parquet file, or a column or the classes are missing or cannot be used.
    """
    try:
        table = pq.read_table(BytesIO(body))
        classes = tuple(str(label) for label in json.loads((table.schema.metadata or {})[_CLASSES]))
        columns = {name: table.column(name).to_numpy() for name in (*_INDICES, *_SHARES)}
        sample_id = tuple(str(i) for i in table.column("sample_id").to_pylist())
        samples = SamplePredictions(split=split, sample_id=sample_id, classes=classes, **columns)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise PredictionsError(f"these are not the {split} predictions of a run: {_one_line(error)}") from error
    for name in _INDICES:
        indices = getattr(samples, name)
        if len(indices) and not (indices.min() >= 0 and indices.max() < len(classes)):
            raise PredictionsError(f"{name} of the {split} predictions does not index the {len(classes)} classes")
    return samples


def encode_summary(summary: PredictionSummary) -> bytes:
    """Write a summary as a JSON object.

    Parameters
    ----------
    summary : PredictionSummary

    Returns
    -------
    bytes
        UTF-8; numbers that are not finite are the texts ``nan``, ``inf`` and ``-inf``.
    """
    plain = {name: _to_json(value) for name, value in asdict(summary).items()}
    return (json.dumps(plain, indent=1, allow_nan=False) + "\n").encode()


def decode_summary(body: bytes) -> PredictionSummary:
    """Read what `encode_summary` wrote; fields that are not known are ignored.

    Parameters
    ----------
    body : bytes

    Returns
    -------
    PredictionSummary

    Raises
    ------
    PredictionsError
        If it is not a JSON object, or a field is missing or of another kind.
    """
    try:
        plain = json.loads(body)
        known = get_type_hints(PredictionSummary)
        return PredictionSummary(**{name: _from_json(plain[name], known[name]) for name in _present(plain)})
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise PredictionsError(f"this is not a summary of predictions: {_one_line(error)}") from error


def _present(plain: dict[str, Any]) -> list[str]:
    """Names of the fields to read: those that are there, and those that must be."""
    return [field.name for field in fields(PredictionSummary) if field.name in plain or field.default is MISSING]


def _to_json(value: Any) -> Any:  # noqa: ANN401  (a field of a summary)
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else str(float(value))
    return value.item() if isinstance(value, np.generic) else value


def _from_json(value: Any, kind: Any) -> Any:  # noqa: ANN401  (any JSON value, any annotation)
    """Read one field as what its annotation says."""
    if kind in (int, bool):
        if not isinstance(value, int) or isinstance(value, bool) is not (kind is bool):
            raise TypeError(f"{value!r} is not of type {kind.__name__}")
        return value
    if kind == tuple[int, ...]:
        return tuple(_from_json(item, int) for item in value)
    if kind == tuple[float, ...]:
        return tuple(_from_json(item, float) for item in value)
    if value is None and kind is not float:
        return None
    if isinstance(value, str):
        return _NON_FINITE[value]
    if isinstance(value, bool):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _one_line(error: Exception) -> str:
    return shorten(f"{type(error).__name__}: {error}", 200, placeholder=" ...")
