"""What every rule across runs has in common."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lossacc_mlflow.memory import remembered
from lossacc_mlflow.records import Comparison, Finding, RunData
from lossacc_mlflow.rules import Question

__all__ = ["ComparisonRule"]

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class ComparisonRule(Question):
    """One question asked of several runs at once."""

    @abstractmethod
    def check(self, comparison: Comparison) -> Finding:
        """Judge the compared runs.

        Parameters
        ----------
        comparison : Comparison
            Its rows, pairs and diagnoses; findings are not looked at.

        Returns
        -------
        Finding
            One for all runs; its message names those concerned.
        """

    def remarks(self, comparison: Comparison) -> Mapping[str, str]:  # noqa: ARG002  (for those that override it)
        """Say what is found about single runs.

        Parameters
        ----------
        comparison : Comparison

        Returns
        -------
        mapping of str to str
            What to tell each run concerned, by its id; nothing by default.
        """
        return {}

    def once(self, comparison: Comparison, find: Callable[[Sequence[RunData]], _Found]) -> _Found:
        """Search the runs of a comparison, once: the finding and the remarks tell of the same search.

        Parameters
        ----------
        comparison : Comparison
        find : callable
            What this rule looks for, always the same.

        Returns
        -------
        object
            What `find` returned.
        """
        searches = _searches(comparison)
        if self not in searches:
            searches[self] = find([d.run for d in comparison.diagnoses])
        found: _Found = searches[self]
        return found


@remembered
def _searches(_: Comparison) -> dict[ComparisonRule, Any]:
    """What each rule has found among the runs of a comparison."""
    return {}
