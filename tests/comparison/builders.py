"""Runs that belong together."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from lossacc_mlflow.comparison import ComparisonRule, compare_diagnoses
from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.records import Comparison, RunData
from tests.builders import make_curve


def named_run(name: str, curves: Mapping[str, ArrayLike], **more: Any) -> RunData:  # noqa: ANN401  (fields of RunData)
    """Make a run whose id is its name, from values by key."""
    return RunData(name, name, tuple(make_curve(key, values) for key, values in curves.items()), **more)


def compared(runs: Sequence[RunData], rule: ComparisonRule) -> Comparison:
    """Compare runs by one rule; its finding is the only one."""
    return compare_diagnoses([judge(run) for run in runs], rules=(rule,))
