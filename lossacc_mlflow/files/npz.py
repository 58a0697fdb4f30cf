"""The arrays of an .npz file, read in blocks of rows: none of them is ever held as a whole."""

import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lossacc_mlflow.files.columns import Block, Column, refuse, texts_of

__all__ = ["NpzSource"]

_LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip member: only how long its name and its extra field are
_MAX_LABELS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Array:
    """What the header of one member says; ``start`` is where its data begin within the member."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool
    start: int


class NpzSource:
    """Arrays of an .npz file whose first axis is the samples.

    Parameters
    ----------
    path : Path

    Raises
    ------
    PredictionFileError
        If it is no npz file, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._arrays: dict[str, _Array] = {}
        with self._archive() as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as stream:
                        self._arrays[member.removesuffix(".npy")] = self._header(member, stream)
        self.columns = tuple(self._arrays)
        truth = self._arrays.get("y_true")
        self.n_rows = truth.shape[0] if truth and truth.shape else None

    def blocks(self, names: Sequence[str], n_rows: int) -> Iterator[Block]:
        """Read the named arrays in blocks of rows."""
        self._check(names)
        with self._archive() as archive, ExitStack() as stack:
            readers = {name: self._rows(archive, name, n_rows, stack) for name in names}
            while block := {name: part for name, rows in readers.items() if (part := next(rows, None)) is not None}:
                yield block

    def width(self, name: str) -> int | None:
        """Return the number of columns of an array; None where it has one axis."""
        shape = self._arrays[name].shape
        return shape[1] if len(shape) == 2 else None

    def given_labels(self) -> Column | None:
        """Return the array ``labels``, if there is one."""
        if "labels" not in self._arrays:
            return None
        array = self._arrays["labels"]
        if len(array.shape) != 1 or array.shape[0] > _MAX_LABELS:
            raise refuse(self.path, f"labels has shape {array.shape}; wanted is the name of each class, (n_classes,).")
        self._check_type("labels", array)
        with self._archive() as archive, ExitStack() as stack:
            return next(self._rows(archive, "labels", max(1, array.shape[0]), stack), np.empty(0))

    def _check(self, names: Sequence[str]) -> None:
        for name in names:
            array = self._arrays[name]
            self._check_type(name, array)
            flat = len(array.shape) == 1 or (len(array.shape) == 2 and array.shape[1] == 1)
            if not flat and not (name == "y_proba" and len(array.shape) == 2):
                wanted = "(n,) or (n, n_classes)" if name == "y_proba" else "(n,)"
                hint = ": y_true.argmax(axis=1), if it is one-hot" if name == "y_true" and len(array.shape) == 2 else ""
                raise refuse(self.path, f"{name} has shape {array.shape}; wanted is {wanted}{hint}.")
        n_rows = {name: self._arrays[name].shape[0] for name in names}
        if len(set(n_rows.values())) > 1:
            counts = ", ".join(f"{name} {n:,}" for name, n in n_rows.items())
            raise refuse(self.path, f"its arrays have different numbers of rows ({counts}): give one of each a sample.")

    def _check_type(self, name: str, array: _Array) -> None:
        if array.dtype.hasobject:
            raise refuse(
                self.path,
                f"{name} holds Python objects, which are not read, because reading them can run code. "
                f"Save {name}.astype(str), or as numbers.",
            )
        if array.dtype.kind not in "biufU" or (name in _NUMBERS and array.dtype.kind == "U"):
            wanted = "numbers" if name in _NUMBERS else "numbers or texts"
            raise refuse(self.path, f"{name} holds values of type {array.dtype}; wanted are {wanted}.")

    def _header(self, member: str, stream: IO[bytes]) -> _Array:
        try:
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, by_columns, dtype = read(stream)
        except ValueError as error:
            raise refuse(self.path, f"its member {member!r} is no array of numpy: {error}") from error
        return _Array(shape, dtype, by_columns and len(shape) == 2 and shape[1] > 1, stream.tell())

    def _rows(self, archive: zipfile.ZipFile, name: str, n_rows: int, stack: ExitStack) -> Iterator[Column]:
        array = self._arrays[name]
        reader = self._rows_of_columns if array.by_columns else self._rows_in_order
        for part in reader(archive, name, n_rows, stack):
            values = part.astype(part.dtype.newbyteorder("="), copy=False)
            if values.ndim == 2 and name != "y_proba":
                values = values[:, 0]
            yield texts_of(values) if values.dtype.kind == "U" else values

    def _rows_in_order(
        self, archive: zipfile.ZipFile, name: str, n_rows: int, stack: ExitStack
    ) -> Iterator[NDArray[Any]]:
        array = self._arrays[name]
        stream = stack.enter_context(archive.open(f"{name}.npy"))
        stream.read(array.start)
        for start in range(0, array.shape[0], n_rows):
            n = min(n_rows, array.shape[0] - start)
            data = self._read(stream, n * array.dtype.itemsize * int(np.prod(array.shape[1:])), name)
            yield np.frombuffer(data, array.dtype).reshape(n, *array.shape[1:])

    def _rows_of_columns(
        self, archive: zipfile.ZipFile, name: str, n_rows: int, stack: ExitStack
    ) -> Iterator[NDArray[Any]]:
        """Gather rows of an array that was written column by column, which needs a stream that can jump."""
        array = self._arrays[name]
        info = archive.getinfo(f"{name}.npy")
        if info.compress_type == zipfile.ZIP_STORED:
            stream: IO[bytes] = stack.enter_context(self.path.open("rb"))
            stream.seek(info.header_offset)
            offset = info.header_offset + 30 + sum(_LOCAL_HEADER.unpack(stream.read(30)))
        else:
            stream, offset = stack.enter_context(tempfile.TemporaryFile()), 0  # noqa: SIM115  (closed by the stack)
            with archive.open(info) as packed:
                copyfileobj(packed, stream, 1 << 20)
        size = array.dtype.itemsize
        for start in range(0, array.shape[0], n_rows):
            n = min(n_rows, array.shape[0] - start)
            rows = np.empty((n, array.shape[1]), array.dtype)
            for k in range(array.shape[1]):
                stream.seek(offset + array.start + (k * array.shape[0] + start) * size)
                rows[:, k] = np.frombuffer(self._read(stream, n * size, name), array.dtype)
            yield rows

    def _read(self, stream: IO[bytes], n_bytes: int, name: str) -> bytearray:
        data = bytearray(n_bytes)
        view, filled = memoryview(data), 0
        while filled < n_bytes:
            if not (n := stream.readinto(view[filled : filled + (1 << 20)])):  # type: ignore[attr-defined]  # both kinds of stream have it
                raise refuse(self.path, f"{name} ends after {filled:,} of {n_bytes:,} bytes: the file is cut off.")
            filled += n
        return data

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            reason = " ".join(str(error).split())[:200]
            raise refuse(
                self.path, f"it cannot be read as npz ({reason}): it is cut off, or no file of numpy.savez."
            ) from error


_NUMBERS = frozenset({"y_proba", "proba", "confidence", "p_true"})
