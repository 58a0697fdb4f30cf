"""CMP001: loss and accuracy put the models in different orders."""

from dataclasses import dataclass
from itertools import combinations
from math import isfinite
from typing import ClassVar

from lossacc_mlflow.comparison.base import ComparisonRule
from lossacc_mlflow.comparison.rows import is_reversed, known_accuracy
from lossacc_mlflow.records import Comparison, ComparisonRow, Evidence, Finding, Level
from lossacc_mlflow.wording import number

__all__ = ["OrderReverses"]


@dataclass(frozen=True, slots=True)
class OrderReverses(ComparisonRule):
    """Of two models, the one with the higher accuracy has the higher loss.

    How it is detected: among all pairs of runs whose accuracy and loss (of the same kind, on the same split) are
    known, more than ``max_reversed`` have one run ahead in accuracy and behind in loss.

    Why it matters: choosing by loss and choosing by accuracy then give different models. Neither figure is wrong:
    accuracy counts answers, the loss weighs how sure each of them was.

    What to do: read the paired explanations. They split the difference in loss over the samples that both, one or
    neither got right, and say what is left of it after each model's own temperature.

    Parameters
    ----------
    max_reversed : int
        Reversed pairs that are still passed over.
    """

    code: ClassVar[str] = "CMP001"
    title: ClassVar[str] = "Order by loss reverses order by accuracy"
    level: ClassVar[Level] = "note"
    max_reversed: int = 0

    def check(self, comparison: Comparison) -> Finding:
        """Count the pairs in which one is ahead in accuracy and behind in loss."""
        rows, pairs = comparison.rows, comparison.pairs
        known = [r for r in rows if known_accuracy(r) is not None and r.loss is not None and isfinite(r.loss)]
        if len(known) < 2:
            return self.not_applicable("Fewer than two runs with both accuracy and loss.")
        reversals = [(a, b) for a, b in combinations(known, 2) if is_reversed(a, b)]
        total = len(known) * (len(known) - 1) // 2
        evidence = (Evidence("reversed_pairs", len(reversals), self.max_reversed), Evidence("pairs", total))
        if len(reversals) <= self.max_reversed:
            return self.clear("Loss and accuracy put the runs in the same order.", evidence)
        better, worse = max(reversals, key=lambda pair: (pair[0].loss or 0.0) - (pair[1].loss or 0.0))
        explained = [p for p in pairs if p.delta_loss > 0 and p.delta_accuracy > 0]
        agreeing = sum(1 for p in explained if p.delta_loss_after_temperature <= 0)
        after = f" After each model's own temperature {agreeing} of {len(explained)} agree." if explained else ""
        return self.flagged(
            f"In {len(reversals)} of {total} pairs the model with the higher accuracy has the higher loss, most of "
            f"all {_figures(better)} against {_figures(worse)}.{after}",
            evidence,
            "Choose by accuracy if the answers count, by loss after temperature if the probabilities do; the paired "
            "explanations say which samples make the difference.",
        )


def _figures(row: ComparisonRow) -> str:
    return f"'{row.name}' ({100 * (row.accuracy or 0.0):.1f} %, {number(row.loss or 0.0)})"
