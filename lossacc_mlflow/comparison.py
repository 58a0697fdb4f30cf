"""Many diagnoses side by side: ranked rows, the pairs worth explaining, the CMP findings, and which model to take."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import isfinite
from typing import ClassVar

from lossacc_mlflow.curves import is_over_steps, loss_curve, quality_curve, summarize_curve
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.pairing import ALPHA, compare_samples, write_p_value
from lossacc_mlflow.records import (
    Comparison,
    ComparisonRow,
    CurveSummary,
    Diagnosis,
    Evidence,
    Finding,
    Level,
    PairedComparison,
    RunData,
    Split,
    Status,
)
from lossacc_mlflow.rules import Question
from lossacc_mlflow.wording import number

__all__ = ["COMPARISON_RULES", "ComparisonRule", "OrderReverses", "compare_diagnoses"]


@dataclass(frozen=True, slots=True)
class ComparisonRule(Question):
    """One question asked of several runs at once."""

    @abstractmethod
    def check(self, rows: Sequence[ComparisonRow], pairs: Sequence[PairedComparison]) -> Finding:
        """Judge the compared runs.

        Parameters
        ----------
        rows : sequence of ComparisonRow
        pairs : sequence of PairedComparison

        Returns
        -------
        Finding
        """


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

    def check(self, rows: Sequence[ComparisonRow], pairs: Sequence[PairedComparison]) -> Finding:
        """Count the pairs in which one is ahead in accuracy and behind in loss."""
        known = [r for r in rows if _accuracy(r) is not None and r.loss is not None and isfinite(r.loss)]
        if len(known) < 2:
            return self._finding("not_applicable", "Fewer than two runs with both accuracy and loss.")
        reversals = [(a, b) for a, b in combinations(known, 2) if _reversed(a, b)]
        total = len(known) * (len(known) - 1) // 2
        evidence = (Evidence("reversed_pairs", len(reversals), self.max_reversed), Evidence("pairs", total))
        if len(reversals) <= self.max_reversed:
            return self._finding("clear", "Loss and accuracy put the runs in the same order.", evidence)
        better, worse = max(reversals, key=lambda pair: (pair[0].loss or 0.0) - (pair[1].loss or 0.0))
        explained = [p for p in pairs if p.delta_loss > 0 and p.delta_accuracy > 0]
        agreeing = sum(1 for p in explained if p.delta_loss_after_temperature <= 0)
        after = f" After each model's own temperature {agreeing} of {len(explained)} agree." if explained else ""
        return self._finding(
            "flagged",
            f"In {len(reversals)} of {total} pairs the model with the higher accuracy has the higher loss, most of "
            f"all {_figures(better)} against {_figures(worse)}.{after}",
            evidence,
            "Choose by accuracy if the answers count, by loss after temperature if the probabilities do; the paired "
            "explanations say which samples make the difference.",
        )

    def _finding(self, status: Status, message: str, evidence: tuple[Evidence, ...] = (), advice: str = "") -> Finding:
        return Finding(self.code, self.title, self.level, status, message, evidence, advice=advice)


COMPARISON_RULES: tuple[ComparisonRule, ...] = (OrderReverses(),)


def compare_diagnoses(
    diagnoses: Sequence[Diagnosis], *, name: str = "", experiment_id: str = "", split: Split | None = None
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

    Returns
    -------
    Comparison
        Rows by accuracy, best first, those without one last. Pairs for every two runs whose order by loss reverses
        their order by accuracy, for neighbours in that order, and for the best by accuracy against the best by loss.
        Runs that share a name carry the start of their id behind it.
    """
    if split is None:
        split = "validation" if any(_knows_validation(d.run) for d in diagnoses) else "test"
    labels = _labels(diagnoses)
    ranked = sorted(((_row(d, labels[d.run_id], split), d) for d in diagnoses), key=lambda item: _rank(item[0]))
    rows = tuple(row for row, _ in ranked)
    pairs = _pairs(ranked, split)
    return Comparison(
        name=name,
        experiment_id=experiment_id,
        rows=rows,
        pairs=pairs,
        findings=tuple(rule.check(rows, pairs) for rule in COMPARISON_RULES),
        recommendation=_recommend(rows, pairs, split),
        diagnoses=tuple(d for _, d in ranked),
    )


def _knows_validation(run: RunData) -> bool:
    return "validation" in run.predictions or any(c.split == "validation" for c in run.curves)


def _labels(diagnoses: Sequence[Diagnosis]) -> Mapping[str, str]:
    """A name for each run id that no other run has."""
    count = Counter(d.run_name for d in diagnoses)
    return {d.run_id: d.run_name if count[d.run_name] == 1 else f"{d.run_name} ({d.run_id[:6]})" for d in diagnoses}


def _row(diagnosis: Diagnosis, label: str, split: Split) -> ComparisonRow:
    run = diagnosis.run
    row = _final_figures(run, label, split)
    test = _final_figures(run, label, "test")
    course = _course(run, split)
    return replace(
        row,
        test_accuracy=test.accuracy,
        test_loss=test.loss,
        verdict=diagnosis.verdict,
        discrepancy=diagnosis.discrepancy,
        best_step=None if course is None else course.smoothed_best_step,
        last_step=None if course is None else course.last_step,
        step_unit=None if course is None else course.step_unit,
        findings=tuple(f.code for f in diagnosis.flagged),
    )


def _final_figures(run: RunData, label: str, split: Split) -> ComparisonRow:
    """A row with the figures of one split: of the predictions where they are known, else the last ones logged."""
    summary = run.predictions.get(split)
    quality, loss = quality_curve(run, split), loss_curve(run, split)
    row = ComparisonRow(
        run_id=run.run_id,
        name=label,
        split=split if summary is not None or quality is not None or loss is not None else None,
        accuracy=float(quality.value[-1]) if quality is not None and len(quality) else None,
        loss=float(loss.value[-1]) if loss is not None and len(loss) else None,
        loss_name="" if loss is None else loss.metric.name,
        loss_after_temperature=None,
        test_accuracy=None,
        test_loss=None,
        verdict="not_enough_information",
        discrepancy="not_enough_information",
        best_step=None,
        last_step=None,
        step_unit=None,
        findings=(),
        quality_name="accuracy" if quality is None else quality.metric.name,
    )
    if summary is None:
        return row
    return replace(
        row,
        accuracy=summary.accuracy,
        loss=summary.log_loss,
        loss_name="log_loss",
        loss_after_temperature=summary.refinement_loss,
        quality_name="accuracy",
    )


def _course(run: RunData, split: Split) -> CurveSummary | None:
    curve = loss_curve(run, split)
    return None if curve is None or len(curve) < 2 or not is_over_steps(curve) else summarize_curve(curve)


def _accuracy(row: ComparisonRow) -> float | None:
    """The accuracy where it can be one: finite and not above 1."""
    return row.accuracy if row.accuracy is not None and isfinite(row.accuracy) and row.accuracy <= 1 else None


def _settled_loss(row: ComparisonRow) -> float:
    """Loss after temperature where known, else as logged; infinite where unknown."""
    value = row.loss_after_temperature if row.loss_after_temperature is not None else row.loss
    return value if value is not None and isfinite(value) else float("inf")


def _rank(row: ComparisonRow) -> tuple[bool, float, float, str]:
    """Accuracy first, loss among equals; what is not known or not finite last."""
    accuracy = _accuracy(row)
    loss = row.loss if row.loss is not None and isfinite(row.loss) else float("inf")
    return accuracy is None, -(accuracy or 0.0), loss, row.name


def _reversed(a: ComparisonRow, b: ComparisonRow) -> bool:
    """Whether one of two runs has both the higher accuracy and the higher loss, of the same kind."""
    x, y = _accuracy(a), _accuracy(b)
    if x is None or y is None or a.loss is None or b.loss is None or a.loss_name != b.loss_name:
        return False
    return (x - y) * (a.loss - b.loss) > 0


def _pairs(ranked: Sequence[tuple[ComparisonRow, Diagnosis]], split: Split) -> tuple[PairedComparison, ...]:
    """Explain the pairs worth explaining, most accurate first; runs judged on other samples are passed over."""
    judged = [(row, d) for row, d in ranked if _accuracy(row) is not None and split in d.run.samples]
    by_loss = min(range(len(judged)), key=lambda i: _settled_loss(judged[i][0]), default=0)
    explained = []
    for i, j in combinations(range(len(judged)), 2):
        (better, a), (worse, b) = judged[i], judged[j]
        if not (j == i + 1 or (i == 0 and j == by_loss) or _reversed(better, worse)):
            continue
        try:
            samples = a.run.samples[split], b.run.samples[split]
            explained.append(compare_samples(*samples, name_a=better.name, name_b=worse.name))
        except PredictionsError:
            # Other samples: nothing can be paired, and the rows still say what each run reached.
            continue
    return tuple(explained)


def _figures(row: ComparisonRow) -> str:
    return f"'{row.name}' ({100 * (row.accuracy or 0.0):.1f} %, {number(row.loss or 0.0)})"


def _recommend(rows: Sequence[ComparisonRow], pairs: Sequence[PairedComparison], split: Split) -> tuple[str, ...]:
    """Which model to take, and why: one where a single one will do, else one for answers and one for probabilities."""
    answers = next((r for r in rows if _accuracy(r) is not None), None)
    probabilities = min(rows, key=_settled_loss, default=None)
    if probabilities is not None and _settled_loss(probabilities) == float("inf"):
        probabilities = None
    if answers is None and probabilities is None:
        return ("No run has an accuracy or a loss to choose by.",)
    if answers is None or probabilities is None or answers.quality_name != "accuracy":
        only = answers or probabilities
        return (f"Take '{only.name}': the best {split} figure that is known.",) if only else ()
    settled = " after its own temperature" if probabilities.loss_after_temperature is not None else ""
    loss_text = f"lowest {split} loss{settled} ({number(_settled_loss(probabilities))})"
    accuracy_text = f"highest {split} accuracy ({100 * (answers.accuracy or 0.0):.1f} %)"
    if answers.run_id == probabilities.run_id:
        return (f"Take '{answers.name}': it has both the {accuracy_text} and the {loss_text}.", *_caveat(rows, answers))
    pair = next((p for p in pairs if p.name_a == answers.name and p.name_b == probabilities.name), None)
    if pair is not None and pair.mcnemar_p >= ALPHA:
        return (
            f"Take '{probabilities.name}': it has the {loss_text}, and its accuracy "
            f"({100 * pair.accuracy_b:.1f} %) is not significantly below the best one, "
            f"{100 * pair.accuracy_a:.1f} % of '{answers.name}' (McNemar p = {write_p_value(pair.mcnemar_p)}, "
            f"{pair.n_samples} samples).",
        )
    sure = "" if pair is None else f"; significantly so (McNemar p = {write_p_value(pair.mcnemar_p)})"
    return (
        f"If the answers count, take '{answers.name}': it has the {accuracy_text}{sure}.",
        f"If the probabilities count, take '{probabilities.name}': it has the {loss_text}.",
    )


def _caveat(rows: Sequence[ComparisonRow], taken: ComparisonRow) -> tuple[str, ...]:
    """What must be done before the model that was chosen after its temperature has the lowest loss indeed."""
    lowest = min(
        (r for r in rows if r.loss is not None and isfinite(r.loss)), key=lambda r: r.loss or 0.0, default=taken
    )
    if lowest.run_id == taken.run_id or taken.loss_after_temperature is None or taken.loss is None:
        return ()
    return (
        f"Apply its temperature first: as it stands its loss is {number(taken.loss)}, above the {number(lowest.loss)} "
        f"of '{lowest.name}'.",
    )
