"""What records hold their data in, and how it is kept from being written to."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatArray", "IntArray", "freeze_arrays", "freeze_mappings"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def freeze_arrays(record: object, **arrays: Any) -> None:  # noqa: ANN401  (anything numpy can read)
    """Set array fields of a frozen record, as arrays that cannot be written to."""
    for name, (value, dtype) in arrays.items():
        array = np.array(value, dtype=dtype)
        array.setflags(write=False)
        object.__setattr__(record, name, array)


def freeze_mappings(record: object, *names: str) -> None:
    """Replace mapping fields of a frozen record by read-only copies."""
    for name in names:
        mapping: Mapping[Any, Any] = getattr(record, name)
        object.__setattr__(record, name, MappingProxyType(dict(mapping)))
