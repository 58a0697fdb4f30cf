"""What every rule has in common.

A rule is a frozen dataclass: its docstring is its manual, its fields are its thresholds, and ``replace(rule, ...)``
configures it. It sees one run and nothing else, and returns a finding for every run: flagged, clear, or not
applicable where it cannot know.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

from lossacc_mlflow.memory import remembered
from lossacc_mlflow.records import Evidence, Finding, Level, PredictionSummary, RunData, Split

__all__ = ["JUDGED_SPLITS", "NEEDS_PREDICTIONS", "Question", "Rule", "judged_predictions", "share"]

JUDGED_SPLITS: tuple[Split, ...] = ("validation", "test")
"""Splits on which predictions are judged, the one that models are chosen by first."""

NEEDS_PREDICTIONS = (
    "Predictions of the validation or test split are needed: log them with lossacc_mlflow.log_predictions."
)


@dataclass(frozen=True, slots=True)
class Question(ABC):
    """What rules of one run and rules across runs share: a code, a title, a level, and a docstring as manual."""

    code: ClassVar[str]
    title: ClassVar[str]
    level: ClassVar[Level]

    def flagged(
        self,
        message: str,
        evidence: Sequence[Evidence],
        advice: str,
        *,
        split: Split | None = None,
        step: int | None = None,
        step_interval: tuple[int, int] | None = None,
    ) -> Finding:
        """Make the finding of what the rule applies to, and which a person should look at."""
        return Finding(
            self.code, self.title, self.level, "flagged", message, tuple(evidence), split, step, step_interval, advice
        )

    def clear(self, message: str, evidence: Sequence[Evidence] = (), *, split: Split | None = None) -> Finding:
        """Make the finding of what was judged and is fine; of numbers that are not finite nobody can say so."""
        if not all(isfinite(e.value) for e in evidence):
            return self.not_applicable("The numbers that this rule looks at are not finite; see TRN001.", evidence)
        return Finding(self.code, self.title, self.level, "clear", message, tuple(evidence), split)

    def not_applicable(self, message: str, evidence: Sequence[Evidence] = ()) -> Finding:
        """Make the finding of what the rule cannot know about; the message says what is missing."""
        return Finding(self.code, self.title, self.level, "not_applicable", message, tuple(evidence))


@dataclass(frozen=True, slots=True)
class Rule(Question):
    """One question asked of one run."""

    @abstractmethod
    def check(self, run: RunData) -> Finding:
        """Judge one run.

        Parameters
        ----------
        run : RunData

        Returns
        -------
        Finding
            Never an exception for anything that a run can hold.
        """

    def ask(self, run: RunData) -> Finding:
        """Judge one run, once: several rules ask the same other one, and of long curves that takes time."""
        answers = _answers(run)
        if self not in answers:
            answers[self] = self.check(run)
        return answers[self]

    def is_flagged(self, run: RunData) -> bool:
        """Tell whether the finding of a run is flagged."""
        return self.ask(run).status == "flagged"


@remembered
def _answers(_: RunData) -> dict[Rule, Finding]:
    """What each rule has said of a run."""
    return {}


def share(part: float, whole: float) -> float:
    """Divide, NaN by zero."""
    return part / whole if whole else float("nan")


def judged_predictions(run: RunData, *figures: str) -> tuple[Split, PredictionSummary] | None:
    """Choose the predictions that a rule judges.

    Parameters
    ----------
    run : RunData
    *figures : str
        Fields of :class:`PredictionSummary` that must be known and finite.

    Returns
    -------
    tuple of (split, PredictionSummary) or None
        Of the first of ``JUDGED_SPLITS`` that has them.
    """
    for split in JUDGED_SPLITS:
        summary = run.predictions.get(split)
        if summary is not None and all(_is_finite(getattr(summary, name)) for name in figures):
            return split, summary
    return None


def _is_finite(value: float | None) -> bool:
    return value is not None and isfinite(value)
