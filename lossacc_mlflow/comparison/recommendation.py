"""Which model to take, and why."""

from collections.abc import Sequence
from math import isfinite

from lossacc_mlflow.comparison.rows import known_accuracy, needs_temperature, settled_loss
from lossacc_mlflow.pairing import ALPHA
from lossacc_mlflow.records import Comparison, ComparisonRow, PairTest, Split, Verdict
from lossacc_mlflow.wording import number, p_value, percent

__all__ = ["recommend"]


_WORTHLESS: tuple[Verdict, ...] = ("diverged", "not_learning")
"""Verdicts of runs that nobody should take, however good one of their figures is."""

_MAX_NAMED = 3


def recommend(comparison: Comparison) -> tuple[str, ...]:
    """Say which model to take, and why: one where a single one will do, else one for answers, one for probabilities.

    Parameters
    ----------
    comparison : Comparison
        Its rows (most accurate first), tests and the runs that cannot be compared.

    Returns
    -------
    tuple of str
        At least one sentence.
    """
    rows = [row for row in comparison.rows if row.verdict not in _WORTHLESS]
    if comparison.rows and not rows:
        return ("No run is worth taking: all have diverged, or never learned.",)
    odd = [row for row in rows if row.run_id in comparison.odd_run_ids]
    rows = [row for row in rows if row not in odd]
    by_loss = [row for row in rows if row.run_id not in comparison.other_loss_ids]
    return (*_choose(rows, by_loss, comparison.tests, comparison.split), *_left_out(odd))


def _choose(
    rows: Sequence[ComparisonRow], by_loss: Sequence[ComparisonRow], tests: Sequence[PairTest], split: Split
) -> tuple[str, ...]:
    answers = next((r for r in rows if known_accuracy(r) is not None), None)
    probabilities = min(by_loss, key=settled_loss, default=None)
    if probabilities is not None and settled_loss(probabilities) == float("inf"):
        probabilities = None
    if answers is None and probabilities is None:
        return ("No run has an accuracy or a loss to choose by.",)
    if answers is None or probabilities is None or answers.quality_name != "accuracy":
        only = answers or probabilities
        return (f"Take '{only.name}': the best {split} figure that is known.",) if only else ()
    if answers.run_id == probabilities.run_id:
        return (
            f"Take '{answers.name}': it has both the {_accuracy(answers, split)} and the {_loss(answers, split)}.",
            *_caveat(by_loss, answers),
            *_close_behind(rows, tests, answers),
        )
    test = _find(tests, answers, probabilities)
    loss_p = float("nan") if test is None else _loss_p(test, answers, probabilities)
    if test is not None and not test.mcnemar_p < ALPHA:
        return (
            f"Take '{probabilities.name}': it has the {_loss(probabilities, split)}, and its accuracy "
            f"({percent(probabilities.accuracy)}) is not significantly below the best one, "
            f"{percent(answers.accuracy)} of '{answers.name}' (McNemar {p_value(test.mcnemar_p)}, "
            f"{test.n_samples} samples).",
            *_caveat(by_loss, probabilities),
        )
    if test is not None and not loss_p < ALPHA:
        return (
            f"Take '{answers.name}': it has the {_accuracy(answers, split)}, significantly above the "
            f"{percent(probabilities.accuracy)} of '{probabilities.name}' (McNemar "
            f"{p_value(test.mcnemar_p)}), and its loss ({number(settled_loss(answers))}{_settled(answers)}) is "
            f"not significantly above the lowest one, {number(settled_loss(probabilities))} ("
            f"{p_value(loss_p)}, {test.n_samples} samples).",
            *_caveat(by_loss, answers),
        )
    sure = "" if test is None else f"; significantly so (McNemar {p_value(test.mcnemar_p)})"
    return (
        f"If the answers count, take '{answers.name}': it has the {_accuracy(answers, split)}{sure}.",
        f"If {_what_counts(probabilities)}, take '{probabilities.name}': it has the {_loss(probabilities, split)}.",
        *_caveat(by_loss, probabilities),
    )


def _what_counts(row: ComparisonRow) -> str:
    """Which losses are of probabilities; of a regression it is the loss itself."""
    of_probabilities = row.loss_name in ("", "loss", "log_loss", "brier_score_loss")
    return "the probabilities count" if of_probabilities else f"the {row.loss_name.replace('_', ' ')} counts"


def _accuracy(row: ComparisonRow, split: Split) -> str:
    return f"highest {split} accuracy ({percent(row.accuracy)})"


def _loss(row: ComparisonRow, split: Split) -> str:
    return f"lowest {split} loss{_settled(row)} ({number(settled_loss(row))})"


def _settled(row: ComparisonRow) -> str:
    return " after its own temperature" if needs_temperature(row) else ""


def _find(tests: Sequence[PairTest], one: ComparisonRow, other: ComparisonRow) -> PairTest | None:
    wanted = {one.run_id, other.run_id}
    return next((t for t in tests if {t.run_id_a, t.run_id_b} == wanted), None)


def _loss_p(test: PairTest, one: ComparisonRow, other: ComparisonRow) -> float:
    """The p value of the losses that the choice is by: after temperature where that helps one of them."""
    helps = needs_temperature(one) or needs_temperature(other)
    return test.after_temperature_p if helps and isfinite(test.after_temperature_p) else test.loss_p


def _close_behind(rows: Sequence[ComparisonRow], tests: Sequence[PairTest], taken: ComparisonRow) -> tuple[str, ...]:
    """Who is not significantly worse in accuracy nor in loss than the run that is taken."""
    close = []
    for row in rows:
        test = _find(tests, taken, row)
        if test is not None and not test.mcnemar_p < ALPHA and not _loss_p(test, taken, row) < ALPHA:
            close.append(f"'{row.name}'")
    if not close:
        return ()
    more = f" and {len(close) - _MAX_NAMED} more" if len(close) > _MAX_NAMED else ""
    return (
        f"Its lead over {', '.join(close[:_MAX_NAMED])}{more} is not significant, in accuracy or in loss: the simpler "
        "of them may do.",
    )


def _caveat(rows: Sequence[ComparisonRow], taken: ComparisonRow) -> tuple[str, ...]:
    """What must be done before the model that was chosen after its temperature has the lowest loss indeed."""
    lowest = min(
        (r for r in rows if r.loss is not None and isfinite(r.loss)), key=lambda r: r.loss or 0.0, default=taken
    )
    if lowest.run_id == taken.run_id or not needs_temperature(taken) or taken.loss is None:
        return ()
    return (
        f"Apply its temperature first: as it stands its loss is {number(taken.loss)}, above the {number(lowest.loss)} "
        f"of '{lowest.name}'.",
    )


def _left_out(odd: Sequence[ComparisonRow]) -> tuple[str, ...]:
    """Which runs were not considered because they cannot be compared."""
    if not odd:
        return ()
    named = ", ".join(f"'{row.name}'" for row in odd[:_MAX_NAMED])
    more = f" and {len(odd) - _MAX_NAMED} more" if len(odd) > _MAX_NAMED else ""
    return (f"Not considered, as not comparable (CMP003): {named}{more}.",)
