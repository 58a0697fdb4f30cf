import json
from dataclasses import fields
from importlib.resources import files
from math import inf, nan
from typing import Any, get_args

import jsonschema
import numpy as np
import pytest

from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.records import (
    ClassSummary,
    ClippedLoss,
    ComparisonRow,
    CurveSummary,
    Discrepancy,
    Evidence,
    Finding,
    LossBounds,
    PairedComparison,
    PredictionSummary,
    RegressionSummary,
    Verdict,
)
from lossacc_mlflow.render import DISCREPANCIES, VERDICTS, jsonable, render_comparison_json, render_json, render_jsonl
from tests.render.examples import (
    broken_comparison,
    broken_diagnosis,
    comparison,
    hostile_diagnosis,
    overfitted_run,
)


def schema(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files("lossacc_mlflow").joinpath(f"schemas/{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(content)
    return content


def loads(text: str) -> dict[str, Any]:
    """Read strict JSON: a bare NaN or Infinity is an error."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    payload: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return payload


@pytest.mark.parametrize("value", [nan, inf, -inf, 1.5])
def test_findings_satisfy_their_schema_whatever_the_numbers(value: float) -> None:
    payload = loads(render_json(broken_diagnosis(value)))
    jsonschema.validate(payload, schema("findings"))
    expected = {nan: "nan", inf: "inf", -inf: "-inf"}.get(value, value)
    assert payload["curves"][0]["best"] == expected
    assert payload["bounds"]["validation"]["loss_correct"] == [expected, expected]
    assert payload["predictions"]["validation"]["temperature"] == expected


@pytest.mark.parametrize("value", [nan, inf, -inf, 1.5])
def test_comparison_satisfies_its_schema_whatever_the_numbers(value: float) -> None:
    payload = loads(render_comparison_json(broken_comparison(value)))
    jsonschema.validate(payload, schema("comparison"))
    assert payload["pairs"]
    assert payload["pairs"][0]["groups"][3]["name"] == "both_wrong"


def test_real_and_hostile_diagnoses_satisfy_the_schema() -> None:
    for diagnosis in (judge(overfitted_run()), hostile_diagnosis()):
        payload = loads(render_json(diagnosis))
        jsonschema.validate(payload, schema("findings"))
        assert payload["run_name"] == diagnosis.run_name
    jsonschema.validate(loads(render_comparison_json(comparison("a"))), schema("comparison"))


def test_schema_refuses_an_unknown_verdict_and_a_bare_step() -> None:
    payload = loads(render_json(judge(overfitted_run())))
    for change in ({"verdict": "fine"}, {"schema_version": 2}, {"surprise": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(payload | change, schema("findings"))


@pytest.mark.parametrize(
    ("name", "definition", "record"),
    [
        ("findings", "prediction_summary", PredictionSummary),
        ("findings", "class_summary", ClassSummary),
        ("findings", "clipped_loss", ClippedLoss),
        ("findings", "regression_summary", RegressionSummary),
        ("findings", "loss_bounds", LossBounds),
        ("findings", "curve", CurveSummary),
        ("findings", "finding", Finding),
        ("findings", "evidence", Evidence),
        ("comparison", "finding", Finding),
        ("comparison", "row", ComparisonRow),
        ("comparison", "pair", PairedComparison),
    ],
)
def test_schemas_name_every_field_of_the_records(name: str, definition: str, record: type[Any]) -> None:
    properties = schema(name)["$defs"][definition]
    assert list(properties["properties"]) == properties["required"] == [f.name for f in fields(record) if f.compare]


def test_every_verdict_and_discrepancy_is_in_words_and_in_the_schema() -> None:
    properties = schema("findings")["properties"]
    assert list(get_args(Verdict)) == list(VERDICTS) == properties["verdict"]["enum"]
    assert list(get_args(Discrepancy)) == list(DISCREPANCIES) == properties["discrepancy"]["enum"]


def test_jsonl_is_one_line_even_with_line_breaks_in_names() -> None:
    assert len(render_jsonl(hostile_diagnosis()).splitlines()) == 1


def test_numpy_values_become_json_values_and_the_unknown_is_refused() -> None:
    assert jsonable({"a": np.float32("nan"), "b": np.array([1, 2]), "c": np.bool_(True)}) == {
        "a": "nan",
        "b": [1, 2],
        "c": True,
    }
    with pytest.raises(TypeError, match="object cannot be written"):
        jsonable(object())
