"""Looking numbers up: in the evidence of flagged findings by name, in the summaries by curve."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite

from lossacc_mlflow.plots.panels import Panel
from lossacc_mlflow.records import Curve, CurveSummary, Finding, StepUnit

__all__ = ["Flagged", "step_word", "summary_of", "value_of"]

_STEPS: Mapping[StepUnit, str] = {"n_estimators": "estimator", "n_samples": "training sample", "global_step": "step"}


class Flagged:
    """The flagged findings of a run by code, and their evidence by name."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._by_code = {f.code: f for f in findings}

    def __contains__(self, code: str) -> bool:
        return code in self._by_code

    def __getitem__(self, code: str) -> Finding:
        return self._by_code[code]

    def first(self, *codes: str) -> Finding | None:
        """The first of these that is flagged."""
        return next((self._by_code[code] for code in codes if code in self._by_code), None)

    def value(self, code: str, name: str) -> float | None:
        """A number of the evidence; None where there is none, or it is not finite."""
        return value_of(self._by_code.get(code), name)

    def threshold(self, code: str, name: str) -> float | None:
        """What the number was held against."""
        finding = self._by_code.get(code)
        return None if finding is None else next((e.threshold for e in finding.evidence if e.name == name), None)


def value_of(finding: Finding | None, name: str) -> float | None:
    """Return a number of the evidence of a finding.

    Parameters
    ----------
    finding : Finding or None
    name : str

    Returns
    -------
    float or None
        None where there is none, or it is not finite.
    """
    values = () if finding is None else (e.value for e in finding.evidence if e.name == name)
    return next((value for value in values if isfinite(value)), None)


def summary_of(panel: Panel, curve: Curve, summaries: Sequence[CurveSummary]) -> CurveSummary | None:
    """Find the summary of a curve in a panel, in the unit in which the panel shows it.

    Parameters
    ----------
    panel : Panel
    curve : Curve
        One of its curves.
    summaries : sequence of CurveSummary

    Returns
    -------
    CurveSummary or None
        None where there is none, or nothing was finite.
    """
    wanted = (curve.metric.name, curve.split, curve.step_unit)
    found = next((s for s in summaries if (s.metric, s.split, s.step_unit) == wanted), None)
    if found is None or not isfinite(found.best):
        return None
    if curve.split not in panel.in_percent:
        return found
    return replace(found, best=found.best / 100, smoothed_best=found.smoothed_best / 100, first=found.first / 100)


def step_word(unit: StepUnit, count: float) -> str:
    """Count steps in words.

    Examples
    --------
    >>> step_word("epoch", 1), step_word("n_estimators", 1200)
    ('1 epoch', '1,200 estimators')
    """
    return f"{count:,.0f} {_STEPS.get(unit, unit)}{'s' * (count != 1)}"
