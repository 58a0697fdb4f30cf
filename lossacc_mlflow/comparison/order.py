"""CMP001: loss and accuracy put the models in different orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isfinite
from typing import ClassVar

from lossacc_mlflow.comparison.base import ComparisonRule
from lossacc_mlflow.comparison.rows import is_reversed, known_accuracy
from lossacc_mlflow.pairing import ALPHA
from lossacc_mlflow.records import Comparison, ComparisonRow, Evidence, Finding, Level
from lossacc_mlflow.wording import number, percent

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
        told = [self._after_temperature(comparison, reversals)]
        told += [p.explanation for p in pairs if (p.name_a, p.name_b) == (better.name, worse.name)]
        return self.flagged(
            f"In {len(reversals)} of {total} pairs the model with the higher accuracy has the higher loss, most of "
            f"all {_figures(better)} against {_figures(worse)}. {' '.join(text for text in told if text)}".rstrip(),
            evidence,
            "Choose by accuracy if the answers count, by loss after temperature if the probabilities do; the paired "
            "explanations say which samples make the difference.",
        )

    def _after_temperature(
        self, comparison: Comparison, reversals: Sequence[tuple[ComparisonRow, ComparisonRow]]
    ) -> str:
        """How many of the reversals are settled in both, and how many a temperature resolves."""
        tests = {(t.run_id_a, t.run_id_b): t for t in comparison.tests}
        tested = [tests[key] for a, b in reversals if (key := (a.run_id, b.run_id)) in tests]
        known = [t for t in tested if isfinite(t.delta_loss_after_temperature)]
        if not known:
            return ""
        settled = sum(t.mcnemar_p < ALPHA and t.loss_decided for t in known)
        agreeing = sum(t.delta_loss_after_temperature <= 0 for t in known)
        return (
            f"Of {len(known)} on the same samples {settled} {'is' if settled == 1 else 'are'} significant in both, and "
            f"after each model's own temperature {agreeing} agree{'s' if agreeing == 1 else ''}."
        )


def _figures(row: ComparisonRow) -> str:
    return f"'{row.name}' ({percent(row.accuracy)}, {number(row.loss)})"
