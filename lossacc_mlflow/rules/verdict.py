"""From findings to one verdict and one discrepancy, as words that can be sorted and filtered."""

from collections.abc import Mapping, Sequence

from lossacc_mlflow.curves import ends_non_finite, loss_curve, quality_curve
from lossacc_mlflow.records import Discrepancy, Finding, RunData, Verdict
from lossacc_mlflow.rules.observation import Observation, observe

__all__ = ["decide_discrepancy", "decide_verdict", "decisive_finding", "headline"]


def decide_verdict(run: RunData, findings: Sequence[Finding]) -> Verdict:
    """Say in one word how the training went; the first that applies.

    Parameters
    ----------
    run : RunData
    findings : sequence of Finding
        Of all rules.

    Returns
    -------
    str
        ``not_enough_information`` where the loss looks like a score (LOG008);
        ``diverged`` where the run ends non-finite, was non-finite and never got past chance, or came apart (TRN002);
        ``not_enough_information`` where fewer than five finite points of train and validation are known, or where
        the validation loss ends above its best by what noise could explain and no accuracy decides.
    """
    found = {f.code: f for f in findings}
    seen = observe(run)
    if _flagged(found, "LOG008"):
        return "not_enough_information"
    never_came_back = _flagged(found, "TRN001") and _flagged(found, "TRN003")
    if ends_non_finite(run) or never_came_back or _flagged(found, "TRN002"):
        return "diverged"
    if not _has_course(seen) or _is_in_doubt(found, seen):
        return "not_enough_information"
    if _flagged(found, "TRN003"):
        return "not_learning"
    if _flagged(found, "FIT002"):
        return "overfitting"
    if _flagged(found, "FIT001"):
        return "overfitting" if seen.validation_quality is None else "loss_overfitting"
    if _flagged(found, "FIT004"):
        return "underfitting"
    if _flagged(found, "TRN001") or _flagged(found, "TRN004"):
        return "unstable"
    if _flagged(found, "TRN006"):
        return "still_improving"
    return "healthy"


def decide_discrepancy(run: RunData, findings: Sequence[Finding]) -> Discrepancy:
    """Say in one word why loss and accuracy disagree; the first that applies.

    Parameters
    ----------
    run : RunData
    findings : sequence of Finding
        Of all rules.

    Returns
    -------
    str
    """
    found = {f.code: f for f in findings}
    if any(_flagged(found, code) for code in ("LOG001", "LOG002", "LOG003")):
        return "infeasible_values"
    if _flagged(found, "LOG006") and _tells_of_penalty(found["LOG006"]):
        return "penalty_in_loss"
    if _flagged(found, "DIS007"):
        return "imbalance"
    largest = max(_costs_in_nats(run, found).items(), key=lambda item: item[1], default=None)
    if largest is not None:
        return largest[0]
    # What a logged loss says of calibration is a note with an if; a rising loss beside it is a fact.
    if _flagged(found, "DIS006") and not (found["DIS006"].level == "note" and _flagged(found, "DIS001")):
        return "calibration"
    if _flagged(found, "DIS001"):
        return "loss_up_accuracy_flat"
    if _flagged(found, "DIS002"):
        return "unknown"
    both = any(
        split in run.predictions or (loss_curve(run, split) is not None and quality_curve(run, split) is not None)
        for split in ("validation", "test")
    )
    return "none" if both else "not_enough_information"


def decisive_finding(verdict: Verdict, findings: Sequence[Finding]) -> Finding | None:
    """Choose the finding that decided a verdict.

    Parameters
    ----------
    verdict : str
    findings : sequence of Finding

    Returns
    -------
    Finding or None
        None where no flagged finding did: the run is healthy, or too little is known.
    """
    flagged = {f.code: f for f in findings if f.status == "flagged"}
    return next((flagged[code] for code in _DECISIVE.get(verdict, ()) if code in flagged), None)


def headline(verdict: Verdict, findings: Sequence[Finding], discrepancy: Discrepancy = "none") -> str:
    """Choose the sentences that a person should read first.

    Parameters
    ----------
    verdict : str
    findings : sequence of Finding
    discrepancy : str

    Returns
    -------
    str
        The message of the finding that decided the verdict, and of the one that decided the discrepancy.
    """
    flagged = {f.code: f for f in findings if f.status == "flagged"}
    decisive = decisive_finding(verdict, findings)
    if decisive is None and verdict == "healthy":
        # Loss and accuracy may disagree in a run that is well otherwise.
        decisive = flagged.get("DIS001")
    first = decisive.message if decisive is not None else _WORDS[verdict]
    attributed = [flagged[code].message for code in _ATTRIBUTED.get(discrepancy, ()) if code in flagged]
    return " ".join([first, *attributed[:1]])


_ATTRIBUTED: Mapping[Discrepancy, tuple[str, ...]] = {
    "infeasible_values": ("LOG001", "LOG002", "LOG003"),
    "penalty_in_loss": ("LOG006",),
    "imbalance": ("DIS007",),
    "few_huge_errors": ("DIS005",),
    "overconfident_errors": ("DIS003",),
    "hesitant_correct": ("DIS004",),
    "label_errors": ("DIS008",),
    "calibration": ("DIS006",),
}
"""Findings that are worth a second sentence: figures that cannot be right, and who is to blame for the loss."""

_DECISIVE: Mapping[Verdict, tuple[str, ...]] = {
    "diverged": ("TRN002", "TRN001"),
    "not_learning": ("TRN003",),
    "overfitting": ("FIT002", "FIT001"),
    "loss_overfitting": ("FIT001",),
    "underfitting": ("FIT004",),
    "unstable": ("TRN001", "TRN004"),
    "still_improving": ("TRN006",),
    "not_enough_information": ("LOG008", "LOG005"),
}

_WORDS: Mapping[Verdict, str] = {
    "diverged": "The last values are not finite.",
    "not_enough_information": (
        "What was logged does not suffice to judge the course of the training: train and validation loss over at "
        "least five steps of one training are needed."
    ),
    "not_learning": "The model does not get past chance.",
    "overfitting": "The model overfits.",
    "loss_overfitting": "The loss on held-out data rises while the accuracy holds.",
    "underfitting": "The model does no better than a baseline.",
    "unstable": "The curves jump.",
    "still_improving": "The loss on held-out data was still falling at the end.",
    "healthy": "The loss on held-out data ends near its best value, and the model has learned.",
}


def _flagged(found: Mapping[str, Finding], code: str) -> bool:
    return code in found and found[code].status == "flagged"


def _has_course(seen: Observation) -> bool:
    """Whether train and validation are both known over enough steps, by loss or by accuracy."""
    by_loss = seen.train_loss is not None and seen.validation_loss is not None
    by_quality = seen.train_quality is not None and seen.validation_quality is not None
    return by_loss or by_quality


def _is_in_doubt(found: Mapping[str, Finding], seen: Observation) -> bool:
    """Whether the loss ends above its best by what noise could explain, with no accuracy to decide."""
    rise = found.get("FIT001")
    if rise is None or rise.status != "not_applicable" or seen.validation_quality is not None:
        return False
    return any(
        e.name == "validation_rise_relative" and e.threshold is not None and e.value > e.threshold
        for e in rise.evidence
    )


def _tells_of_penalty(finding: Finding) -> bool:
    """Whether LOG006 tells of something added: on held-out data it may be a running mean, or another loss."""
    return finding.split == "train" or _value(finding, "logged_minus_predicted_loss") > 0


def _costs_in_nats(run: RunData, found: Mapping[str, Finding]) -> dict[Discrepancy, float]:
    """What each attributed cause adds to the loss, per sample."""
    costs: dict[Discrepancy, float] = {}
    if _flagged(found, "DIS005"):
        costs["few_huge_errors"] = _carried(run, found["DIS005"], "loss_share_huge_errors")
    if _flagged(found, "DIS003"):
        costs["overconfident_errors"] = _value(found["DIS003"], "calibration_loss_incorrect")
    if _flagged(found, "DIS004"):
        costs["hesitant_correct"] = _value(found["DIS004"], "calibration_loss_correct")
    if _flagged(found, "DIS008"):
        costs["label_errors"] = _carried(run, found["DIS008"], "loss_share_label_issues")
        if not any(e.name == "sure_label_issues" for e in found["DIS008"].evidence):
            # A model that is too sure suspects too many labels: what its temperature removes is not the labels' fault.
            costs["label_errors"] -= costs.get("overconfident_errors", 0.0)
    return costs


def _carried(run: RunData, finding: Finding, share_name: str) -> float:
    """A share of the loss, in nats."""
    summary = None if finding.split is None else run.predictions.get(finding.split)
    return 0.0 if summary is None else _value(finding, share_name) * summary.log_loss


def _value(finding: Finding, name: str) -> float:
    return next((e.value for e in finding.evidence if e.name == name), 0.0)
