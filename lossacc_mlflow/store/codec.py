"""The predictions of every sample as parquet and back."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import RegressionSamples, SamplePredictions, Split
from lossacc_mlflow.store.summaries import one_line

__all__ = ["decode_regression_samples", "decode_samples", "encode_regression_samples", "encode_samples"]

_CLASSES = b"lossacc.classes"
_INDICES = ("y_true", "y_pred")
_SHARES = ("p_true", "confidence", "p_true_after_temperature", "brier")
_IF_KNOWN = ("label_issue", "sample_weight")
_NUMBERS = ("y_true", "y_pred")  # of a regression


def encode_samples(samples: SamplePredictions) -> bytes:
    """Write the predictions of every sample as one parquet file.

    Parameters
    ----------
    samples : SamplePredictions

    Returns
    -------
    bytes
        Columns ``sample_id`` (text), ``y_true``, ``y_pred`` (int32), the probabilities and the Brier score as float32,
        ``label_issue`` where somebody looked and ``sample_weight`` (float64) where there are weights, zstd-compressed;
        the classes are a JSON list in the schema's metadata under ``lossacc.classes``.
    """
    columns = {name: pa.array(getattr(samples, name).astype(np.int32)) for name in _INDICES}
    columns |= {name: pa.array(getattr(samples, name).astype(np.float32)) for name in _SHARES}
    columns |= {name: pa.array(column) for name in _IF_KNOWN if (column := getattr(samples, name)) is not None}
    # Probabilities hardly repeat: without a dictionary the file is smaller and quicker to write.
    metadata = {_CLASSES: json.dumps(samples.classes).encode()}
    return _parquet(samples.sample_id, columns, metadata, dictionaries=_INDICES)


def decode_samples(body: bytes, split: Split) -> SamplePredictions:
    """Read what `encode_samples` wrote, this version or an older one.

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
    with _refusing(split):
        table = pq.read_table(BytesIO(body))
        classes = tuple(str(label) for label in json.loads((table.schema.metadata or {})[_CLASSES]))
        columns = {name: table.column(name).to_numpy() for name in (*_INDICES, *_SHARES)}
        columns |= {name: table.column(name).to_numpy() for name in _IF_KNOWN if name in table.column_names}
        samples = SamplePredictions(split=split, sample_id=_ids(table), classes=classes, **columns)
    for name in _INDICES:
        indices = getattr(samples, name)
        if len(indices) and not (indices.min() >= 0 and indices.max() < len(classes)):
            raise PredictionsError(f"{name} of the {split} predictions does not index the {len(classes)} classes")
    return samples


def encode_regression_samples(samples: RegressionSamples) -> bytes:
    """Write the targets and predictions of every sample as one parquet file.

    Parameters
    ----------
    samples : RegressionSamples

    Returns
    -------
    bytes
        Columns ``sample_id`` (text), ``y_true`` and ``y_pred`` (float64), zstd-compressed.
    """
    return _parquet(samples.sample_id, {name: pa.array(getattr(samples, name)) for name in _NUMBERS})


def decode_regression_samples(body: bytes, split: Split) -> RegressionSamples:
    """Read what `encode_regression_samples` wrote.

    Parameters
    ----------
    body : bytes
    split : {"train", "validation", "test"}

    Returns
    -------
    RegressionSamples

    Raises
    ------
    PredictionsError
        If it is no parquet file, or a column is missing or cannot be used.
    """
    with _refusing(split):
        table = pq.read_table(BytesIO(body))
        return RegressionSamples(split, _ids(table), *(table.column(name).to_numpy() for name in _NUMBERS))


def _parquet(
    sample_id: Iterable[str],
    columns: Mapping[str, pa.Array],
    metadata: Mapping[bytes, bytes] | None = None,
    dictionaries: Iterable[str] = (),
) -> bytes:
    table = pa.table({"sample_id": _texts(sample_id), **columns}).replace_schema_metadata(metadata)
    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd", use_dictionary=list(dictionaries))
    return sink.getvalue()


def _texts(texts: Iterable[str]) -> pa.Array:
    """Text of any kind: half of a surrogate pair, as in the name of a broken file, is no UTF-8 and is spelled out."""
    texts = list(texts)
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([text.encode(errors="backslashreplace").decode() for text in texts], pa.string())


def _ids(table: pa.Table) -> tuple[str, ...]:
    return tuple(str(i) for i in table.column("sample_id").to_pylist())


@contextmanager
def _refusing(split: Split) -> Iterator[None]:
    """Turn whatever a damaged file makes of a reader into one clear line."""
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise PredictionsError(f"these are not the {split} predictions of a run: {one_line(error)}") from error
