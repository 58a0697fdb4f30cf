"""Which model to take, and why."""

from collections.abc import Sequence
from math import isfinite

from lossacc_mlflow.comparison.rows import known_accuracy, settled_loss
from lossacc_mlflow.pairing import ALPHA, write_p_value
from lossacc_mlflow.records import ComparisonRow, PairedComparison, Split, Verdict
from lossacc_mlflow.wording import number

__all__ = ["recommend"]


_WORTHLESS: tuple[Verdict, ...] = ("diverged", "not_learning")
"""Verdicts of runs that nobody should take, however good one of their figures is."""


def recommend(rows: Sequence[ComparisonRow], pairs: Sequence[PairedComparison], split: Split) -> tuple[str, ...]:
    """Say which model to take, and why: one where a single one will do, else one for answers, one for probabilities.

    Parameters
    ----------
    rows : sequence of ComparisonRow
        Most accurate first.
    pairs : sequence of PairedComparison
    split : {"train", "validation", "test"}

    Returns
    -------
    tuple of str
        At least one sentence.
    """
    failed = [row for row in rows if row.verdict in _WORTHLESS]
    rows = [row for row in rows if row not in failed]
    if failed and not rows:
        return ("No run is worth taking: all have diverged, or never learned.",)
    answers = next((r for r in rows if known_accuracy(r) is not None), None)
    probabilities = min(rows, key=settled_loss, default=None)
    if probabilities is not None and settled_loss(probabilities) == float("inf"):
        probabilities = None
    if answers is None and probabilities is None:
        return ("No run has an accuracy or a loss to choose by.",)
    if answers is None or probabilities is None or answers.quality_name != "accuracy":
        only = answers or probabilities
        return (f"Take '{only.name}': the best {split} figure that is known.",) if only else ()
    settled = " after its own temperature" if probabilities.loss_after_temperature is not None else ""
    loss_text = f"lowest {split} loss{settled} ({number(settled_loss(probabilities))})"
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
