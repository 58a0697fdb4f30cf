"""Made up predictions whose temperature is known, as arrays and as a file, written in bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from lossacc_mlflow.clips import LOG_LOSS_CLIP

__all__ = ["TEMPERATURE", "load_rows", "make_blocks", "write_arrays", "write_parquet"]

TEMPERATURE = 1.5
"""How over-confident the predictions are: softmax(z), where the labels were drawn from softmax(z / 1.5)."""

_BLOCK_ENTRIES = 1 << 22


def make_blocks(
    n_samples: int, n_classes: int, dtype: str = "float32", *, seed: int = 0
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.floating[Any]]]]:
    """Draw labels and probabilities of an over-confident model, in blocks of rows.

    Every sample has one class that stands out, by very different amounts, so that accuracy is neither 1 nor chance,
    and hardly any probability is zero.

    Parameters
    ----------
    n_samples, n_classes : int
    dtype : {"float32", "float64"}
    seed : int

    Yields
    ------
    y_true, y_proba : ndarray
    """
    rng = np.random.default_rng(seed)
    size = max(1, _BLOCK_ENTRIES // n_classes)
    for start in range(0, n_samples, size):
        n = min(size, n_samples - start)
        z = 1.5 * rng.standard_normal((n, n_classes), dtype=np.float32)
        z[np.arange(n), rng.integers(0, n_classes, n)] += TEMPERATURE * (np.log(n_classes) + rng.normal(2, 2, n))
        # The first of competing exponential clocks rings with the probability of its rate.
        clocks = rng.standard_exponential((n, n_classes), dtype=np.float32)
        y_true = (clocks / np.exp(z / np.float32(TEMPERATURE))).argmin(axis=1)
        proba = z.astype(dtype)
        proba -= proba.max(axis=1, keepdims=True)
        np.exp(proba, out=proba)
        proba /= proba.sum(axis=1, keepdims=True)
        yield y_true, proba


def write_arrays(folder: Path, n_samples: int, n_classes: int, dtype: str = "float32") -> None:
    """Write ``y_true.npy`` and ``y_proba.npy`` into a folder."""
    y_true = open_memmap(folder / "y_true.npy", "w+", np.int64, (n_samples,))
    y_proba = open_memmap(folder / "y_proba.npy", "w+", np.dtype(dtype), (n_samples, n_classes))
    start = 0
    for truth, proba in make_blocks(n_samples, n_classes, dtype):
        y_true[start : start + len(truth)], y_proba[start : start + len(truth)] = truth, proba
        start += len(truth)


def load_rows(folder: Path, n_samples: int | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Load the first rows that `write_arrays` wrote, or all, into memory of our own."""
    if n_samples is None:
        return np.load(folder / "y_true.npy"), np.load(folder / "y_proba.npy")
    y_true, y_proba = (np.load(folder / name, mmap_mode="r")[:n_samples] for name in ("y_true.npy", "y_proba.npy"))
    return np.array(y_true), np.array(y_proba)


def write_parquet(path: Path, n_samples: int) -> dict[str, float]:
    """Write predictions of two classes: the columns ``y_true`` and ``proba``, the second class's probability.

    Returns
    -------
    dict of str to float
        Log loss and accuracy, by numpy in float64, from the same numbers.
    """
    loss = right = 0.0
    schema = pa.schema([("y_true", pa.int64()), ("proba", pa.float32())])
    with pq.ParquetWriter(path, schema) as writer:
        for y_true, proba in make_blocks(n_samples, 2):
            second = proba[:, 1]
            writer.write_table(pa.table([pa.array(y_true), pa.array(second)], schema=schema))
            p = second.astype(np.float64)
            loss -= float(np.log(np.clip(np.where(y_true == 1, p, 1 - p), LOG_LOSS_CLIP, 1)).sum())
            right += float(((p > 0.5) == (y_true == 1)).sum())
    return {"log_loss": loss / n_samples, "accuracy": right / n_samples}
