"""What every rule across runs has in common."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from lossacc_mlflow.records import Comparison, Finding
from lossacc_mlflow.rules import Question

__all__ = ["ComparisonRule"]


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
