"""Runs that belong together."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from lossacc_mlflow.comparison import ComparisonRule, compare_diagnoses
from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import Comparison, RunData
from tests.builders import make_curve


def named_run(name: str, curves: Mapping[str, ArrayLike], **more: Any) -> RunData:  # noqa: ANN401  (fields of RunData)
    """Make a run whose id is its name, from values by key."""
    return RunData(name, name, tuple(make_curve(key, values) for key, values in curves.items()), **more)


def compared(runs: Sequence[RunData], rule: ComparisonRule) -> Comparison:
    """Compare runs by one rule; its finding is the only one."""
    return compare_diagnoses([judge(run) for run in runs], rules=(rule,))


def predicting_run(
    name: str,
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_id: Sequence[object] | None = None,
    temperature: bool = True,
    **more: Any,  # noqa: ANN401  (fields of RunData)
) -> RunData:
    """Make a run whose id is its name, from predictions of the validation split."""
    predictions = make_predictions(y_true, y_proba, sample_id=sample_id)
    summary, samples = judge_predictions(predictions, temperature=temperature)
    return RunData(name, name, predictions={"validation": summary}, samples={"validation": samples}, **more)
