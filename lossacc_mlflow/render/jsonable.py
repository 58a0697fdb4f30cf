"""Records as JSON: ``findings.json``, ``comparison.json`` and what the commands print for other programs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from math import isfinite, isnan
from typing import Any

import numpy as np

from lossacc_mlflow.records import Comparison, Diagnosis, PredictionReport

__all__ = [
    "SCHEMA_VERSION",
    "comparison_payload",
    "findings_payload",
    "jsonable",
    "render_comparison_json",
    "render_json",
    "render_jsonl",
    "render_predictions_json",
]

SCHEMA_VERSION = 1
"""Version of the shape of ``findings.json`` and ``comparison.json``; see the JSON Schemas in ``schemas/``."""


def jsonable(value: object) -> Any:  # noqa: ANN401  (a JSON value has no narrower type that mypy could follow)
    """Turn records, mappings, sequences and numpy values into what JSON knows.

    Parameters
    ----------
    value : object
        Dataclass instance, mapping, iterable, numpy scalar or array, str, bool, number or None.

    Returns
    -------
    dict, list, str, bool, int, float or None
        Non-finite numbers are the strings ``"nan"``, ``"inf"`` and ``"-inf"``: JSON has none of them.

    Raises
    ------
    TypeError
        For anything else.

    Examples
    --------
    >>> jsonable({"loss": float("nan"), "interval": (0.5, float("inf"))})
    {'loss': 'nan', 'interval': [0.5, 'inf']}
    """
    match value:
        case None | bool() | str():
            return value
        case float():
            return float(value) if isfinite(value) else _non_finite(value)
        case int():
            return int(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {name: jsonable(getattr(value, name)) for name in _field_names(type(value))}
    match value:
        case np.generic() | np.ndarray():
            return jsonable(value.tolist())
        case Mapping():
            return {str(key): jsonable(item) for key, item in value.items()}
        case Iterable():
            return [jsonable(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


@cache
def _field_names(record: type) -> tuple[str, ...]:
    """Names of the fields to write; one that takes no part in comparisons (the sums of a summary) is no figure."""
    return tuple(field.name for field in fields(record) if field.compare)


def findings_payload(diagnosis: Diagnosis) -> dict[str, Any]:
    """Collect the content of ``findings.json``; it satisfies ``schemas/findings.schema.json``.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    dict
        Of JSON values only.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": diagnosis.run_id,
        "run_name": diagnosis.run_name,
        "verdict": diagnosis.verdict,
        "discrepancy": diagnosis.discrepancy,
        "headline": diagnosis.headline,
        "findings": jsonable(diagnosis.findings),
        "curves": jsonable(diagnosis.curves),
        "predictions": jsonable(diagnosis.run.predictions),
        "regressions": jsonable(diagnosis.run.regressions),
        "bounds": jsonable(diagnosis.bounds),
        "other_keys": jsonable(diagnosis.run.other_keys),
        "warnings": jsonable(diagnosis.run.warnings),
    }


def render_json(diagnosis: Diagnosis, *, indent: int | None = 2) -> str:
    """Write ``findings.json``.

    Parameters
    ----------
    diagnosis : Diagnosis
    indent : int or None
        None writes everything on one line.

    Returns
    -------
    str
        Strict JSON (no NaN), ASCII only, without a final line break.
    """
    return _dumps(findings_payload(diagnosis), indent)


def render_jsonl(diagnosis: Diagnosis) -> str:
    """Write the content of ``findings.json`` on one line, without a line break."""
    return render_json(diagnosis, indent=None)


def comparison_payload(comparison: Comparison) -> dict[str, Any]:
    """Collect the content of ``comparison.json``; it satisfies ``schemas/comparison.schema.json``.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict
        Of JSON values only.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "name": comparison.name,
        "experiment_id": comparison.experiment_id,
        "recommendation": jsonable(comparison.recommendation),
        "rows": jsonable(comparison.rows),
        "pairs": jsonable(comparison.pairs),
        "findings": jsonable(comparison.findings),
    }


def render_comparison_json(comparison: Comparison, *, indent: int | None = 2) -> str:
    """Write ``comparison.json``: strict JSON, ASCII only, without a final line break."""
    return _dumps(comparison_payload(comparison), indent)


def render_predictions_json(report: PredictionReport, *, indent: int | None = 2) -> str:
    """Write what prediction files say; it satisfies ``schemas/predictions.schema.json``.

    Parameters
    ----------
    report : PredictionReport
    indent : int or None
        None writes everything on one line.

    Returns
    -------
    str
        Strict JSON, ASCII only, without a final line break: ``files``, ``summaries`` and ``findings`` have one entry
        a file, in the order in which they were named.
    """
    payload = {
        "schema_version": SCHEMA_VERSION,
        "files": [{"name": f.name, "path": f.path, "discrepancy": f.discrepancy} for f in report.files],
        "summaries": [jsonable(f.summary) for f in report.files],
        "findings": [jsonable(f.findings) for f in report.files],
        "pairs": jsonable(report.pairs),
        "remarks": jsonable(report.remarks),
    }
    return _dumps(payload, indent)


def _dumps(payload: dict[str, Any], indent: int | None) -> str:
    return json.dumps(payload, indent=indent, allow_nan=False)


def _non_finite(value: float) -> str:
    if isnan(value):
        return "nan"
    return "inf" if value > 0 else "-inf"
