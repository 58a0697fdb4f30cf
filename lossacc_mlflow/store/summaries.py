"""Summaries as JSON and back: one object, a field a line, records within it column by column."""

import json
from dataclasses import MISSING, Field, fields
from math import inf, isfinite, nan
from textwrap import shorten
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import PredictionSummary, RegressionSummary

__all__ = ["NON_FINITE", "decode_regression_summary", "decode_summary", "encode_summary", "one_line"]

_Record = TypeVar("_Record")
NON_FINITE = {"nan": nan, "inf": inf, "-inf": -inf}
"""Numbers that JSON has not, by the texts that stand for them."""


def encode_summary(summary: PredictionSummary | RegressionSummary) -> bytes:
    """Write a summary as a JSON object.

    Parameters
    ----------
    summary : PredictionSummary or RegressionSummary

    Returns
    -------
    bytes
        UTF-8; numbers that are not finite are the texts ``nan``, ``inf`` and ``-inf``. Of records within it (one a
        class, say) each field is one list, so that 20,000 of them stay small.
    """
    lines = (
        f" {json.dumps(field.name)}: {json.dumps(_to_json(getattr(summary, field.name), kind), allow_nan=False)}"
        for field, kind in _stored(type(summary))
    )
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def decode_summary(body: bytes) -> PredictionSummary:
    """Read what `encode_summary` wrote, this version or an older one; fields that are not known are ignored.

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
    return _decode(body, PredictionSummary, "a summary of predictions")


def decode_regression_summary(body: bytes) -> RegressionSummary:
    """Read what `encode_summary` wrote of a regression; fields that are not known are ignored.

    Parameters
    ----------
    body : bytes

    Returns
    -------
    RegressionSummary

    Raises
    ------
    PredictionsError
        If it is not a JSON object, or a field is missing or of another kind.
    """
    return _decode(body, RegressionSummary, "a summary of predicted numbers")


def one_line(error: Exception) -> str:
    """Write on one line what was wrong with a file, for a message."""
    return shorten(f"{type(error).__name__}: {error}", 200, placeholder=" ...")


def _decode(body: bytes, record: type[_Record], what: str) -> _Record:
    try:
        plain = json.loads(body)
        return record(
            **{
                field.name: _from_json(plain[field.name], kind)
                for field, kind in _stored(record)
                if field.name in plain or field.default is MISSING
            }
        )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PredictionsError(f"this is not {what}: {one_line(error)}") from error


def _stored(record: type[Any]) -> tuple[tuple[Field[Any], Any], ...]:
    """Fields with their types; one that takes no part in comparisons is no figure and stays in memory."""
    kinds = get_type_hints(record)
    return tuple((field, kinds[field.name]) for field in fields(record) if field.compare)


def _to_json(value: Any, kind: Any) -> Any:  # noqa: ANN401  (a field, and its type)
    inner = _item_kind(kind)
    if _is_record(inner):
        return {field.name: [_to_json(getattr(item, field.name), of) for item in value] for field, of in _stored(inner)}
    if inner is not None:
        return [_to_json(item, inner) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _from_json(value: Any, kind: Any) -> Any:  # noqa: ANN401
    """Read one field as what its annotation says."""
    inner = _item_kind(kind)
    if _is_record(inner):
        columns = [_list(value[field.name], of) for field, of in _stored(inner)]
        return tuple(inner(*row) for row in zip(*columns, strict=True))
    if inner is not None:
        return tuple(_list(value, inner))
    if NoneType in get_args(kind):
        (kind,) = set(get_args(kind)) - {NoneType}
        if value is None:
            return None
    if kind is float:
        return _float(value)
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value


def _item_kind(kind: Any) -> Any:  # noqa: ANN401
    """Return X of ``tuple[X, ...]``, None of anything else."""
    arguments = get_args(kind)
    return arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else None


def _is_record(kind: Any) -> bool:  # noqa: ANN401
    return hasattr(kind, "__dataclass_fields__")


def _list(values: Any, kind: Any) -> list[Any]:  # noqa: ANN401
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is not a list")
    if all(type(value) is kind for value in values):
        return values
    return [_from_json(value, kind) for value in values]


def _float(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, str):
        return NON_FINITE[value]
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
