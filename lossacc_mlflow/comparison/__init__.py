"""Many diagnoses side by side: ranked rows, the pairs worth explaining, the CMP findings, and which model to take."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lossacc_mlflow.comparison.base import ComparisonRule
from lossacc_mlflow.comparison.comparability import NotComparable, find_odd_runs
from lossacc_mlflow.comparison.differences import Dominated, NotSignificant
from lossacc_mlflow.comparison.order import OrderReverses
from lossacc_mlflow.comparison.pairs import explain_pairs
from lossacc_mlflow.comparison.recommendation import recommend
from lossacc_mlflow.comparison.rows import choose_split, rank_rows
from lossacc_mlflow.comparison.siblings import BehindSiblings
from lossacc_mlflow.comparison.twins import TwinRuns
from lossacc_mlflow.records import Comparison, ComparisonRow, Diagnosis, Split

__all__ = [
    "COMPARISON_RULES",
    "BehindSiblings",
    "ComparisonRule",
    "Dominated",
    "NotComparable",
    "NotSignificant",
    "OrderReverses",
    "TwinRuns",
    "compare_diagnoses",
]

COMPARISON_RULES: tuple[ComparisonRule, ...] = (
    OrderReverses(),
    NotSignificant(),
    NotComparable(),
    Dominated(),
    TwinRuns(),
    BehindSiblings(),
)


def compare_diagnoses(
    diagnoses: Sequence[Diagnosis],
    *,
    name: str = "",
    experiment_id: str = "",
    split: Split | None = None,
    rules: Sequence[ComparisonRule] = COMPARISON_RULES,
) -> Comparison:
    """Put diagnosed runs side by side.

    Parameters
    ----------
    diagnoses : sequence of Diagnosis
        With ``run.samples`` where paired explanations are wanted.
    name, experiment_id : str
        Of the experiment.
    split : {"train", "validation", "test"}, optional
        The split that models are chosen by: validation where a run has it, else test.
    rules : sequence of ComparisonRule

    Returns
    -------
    Comparison
        Rows by accuracy, best first, those without one last. Pairs for every two runs whose order by loss reverses
        their order by accuracy, for neighbours in that order, and for the best by accuracy against the best by loss.
        Every two runs on the same samples are tested, together.
        Runs that share a name carry the start of their id behind it. What a rule found about one run stands in its
        row as well.
    """
    split = split or choose_split(diagnoses)
    ranked = rank_rows(diagnoses, split)
    rows = tuple(row for row, _ in ranked)
    pairs, tests = explain_pairs(ranked, split)
    odd = find_odd_runs(rows, [d.run for _, d in ranked], tests, split)
    comparison = Comparison(
        name=name,
        experiment_id=experiment_id,
        rows=rows,
        pairs=pairs,
        findings=(),
        recommendation=(),
        diagnoses=tuple(d for _, d in ranked),
        split=split,
        tests=tests,
        other_loss_ids=frozenset(o.run_id for o in odd if o.only_loss),
        odd_run_ids=frozenset(o.run_id for o in odd if not o.only_loss),
    )
    remarks = [(rule.code, rule.remarks(comparison)) for rule in rules]
    return replace(
        comparison,
        rows=tuple(_with_remarks(row, remarks) for row in rows),
        findings=tuple(rule.check(comparison) for rule in rules),
        recommendation=recommend(comparison),
    )


def _with_remarks(row: ComparisonRow, remarks: Sequence[tuple[str, Mapping[str, str]]]) -> ComparisonRow:
    """Put the code and the sentence of each rule that singles out this run into its row."""
    concerning = [(code, found[row.run_id]) for code, found in remarks if row.run_id in found]
    return replace(
        row,
        findings=(*row.findings, *(code for code, _ in concerning)),
        remarks=tuple(remark for _, remark in concerning),
    )
