"""What predictions, or accuracy and loss alone, say: rows of text in plain words."""

from collections.abc import Callable, Sequence

from lossacc_mlflow.records import LossBounds, PredictionSummary
from lossacc_mlflow.render.format import interval, quantity, signed, temperature_words
from lossacc_mlflow.wording import number, percent

__all__ = ["bounds_rows", "loss_identity", "prediction_groups"]


def loss_identity(summary: PredictionSummary) -> str:
    """Write L = a c + e w: what right and wrong answers add to the loss."""
    wrong = 1 - summary.accuracy
    if wrong <= 0:
        return f"{number(summary.log_loss)}, all of it from right answers: none is wrong"
    if summary.accuracy <= 0:
        return f"{number(summary.log_loss)}, all of it from wrong answers: none is right"
    return (
        f"{number(summary.log_loss)} = {percent(summary.accuracy)} right \u00d7 {number(summary.loss_correct)} "
        f"+ {percent(wrong)} wrong \u00d7 {number(summary.loss_incorrect)}"
    )


def _temperature(summary: PredictionSummary) -> str:
    if summary.temperature is None:
        return "not asked for"
    if summary.temperature_at_bound:
        return f"{number(summary.temperature)} (at its bound)"
    return f"{number(summary.temperature)} ({temperature_words(summary.temperature)})"


def _removable(summary: PredictionSummary) -> str:
    if summary.calibration_loss is None:
        return "not asked for"
    text = signed(summary.calibration_loss, "nats")
    return text if summary.calibration_loss_se is None else f"{text} ± {number(summary.calibration_loss_se)}"


_PredictionLine = tuple[str, Callable[[PredictionSummary], str]]
_PREDICTION_GROUPS: tuple[tuple[str, tuple[_PredictionLine, ...]], ...] = (
    (
        "How good it is",
        (
            ("Samples", lambda s: f"{s.n_samples:,}"),
            ("Classes", lambda s: f"{s.n_classes:,}"),
            ("Accuracy", lambda s: percent(s.accuracy)),
            ("Balanced accuracy", lambda s: percent(s.balanced_accuracy)),
            ("Macro F1", lambda s: percent(s.f1_macro)),
            ("Log loss", lambda s: quantity(s.log_loss, "nats")),
            ("Brier score (summed over classes)", lambda s: number(s.brier)),
        ),
    ),
    (
        "Who carries the loss",
        (
            ("Mean loss of right answers", lambda s: quantity(s.loss_correct, "nats")),
            ("Mean loss of wrong answers", lambda s: quantity(s.loss_incorrect, "nats")),
            ("Share of the loss from wrong answers", lambda s: percent(s.loss_share_incorrect)),
            ("Share of the loss from the worst 1 % of samples", lambda s: percent(s.loss_share_top1pct)),
            ("Samples whose true class got next to no probability", lambda s: f"{s.n_huge_errors:,}"),
            ("Share of the loss from those", lambda s: percent(s.loss_share_huge_errors)),
            ("Samples whose true class got probability 0", lambda s: f"{s.n_zero_probability:,}"),
            ("Gini coefficient of the loss (0 even, 1 on one sample)", lambda s: number(s.loss_gini)),
        ),
    ),
    (
        "Whether its probabilities keep their word",
        (
            ("Mean confidence", lambda s: percent(s.mean_confidence)),
            ("Mean confidence of wrong answers", lambda s: percent(s.confidence_incorrect)),
            ("Calibration error (ECE)", lambda s: percent(s.ece)),
            (
                "ECE of a calibrated model by chance: mean, 95 % below",
                lambda s: f"{percent(s.ece_expected)}, {percent(s.ece_q95)}",
            ),
            (
                "Over-confident and under-confident part of the ECE",
                lambda s: f"{percent(s.ece_overconfident)}, {percent(s.ece_underconfident)}",
            ),
            ("Over-confidence, loss minus expected loss", lambda s: signed(s.overconfidence_nats, "nats")),
            ("The same in standard errors (Spiegelhalter's z)", lambda s: signed(s.overconfidence_z)),
            ("Best temperature", _temperature),
            ("Loss that the temperature removes (± standard error)", _removable),
            ("… over wrong answers", lambda s: signed(s.calibration_loss_incorrect, "nats")),
            ("… over right answers", lambda s: signed(s.calibration_loss_correct, "nats")),
            ("Loss that remains at this temperature", lambda s: quantity(s.refinement_loss, "nats")),
        ),
    ),
    (
        "Against guessing",
        (
            ("Accuracy of always answering the largest class", lambda s: percent(s.majority_accuracy)),
            ("Loss of answering the class shares", lambda s: quantity(s.prior_loss, "nats")),
            ("Share of that loss which the model removes (skill)", lambda s: percent(s.skill)),
        ),
    ),
)


def prediction_groups(
    summaries: Sequence[PredictionSummary],
) -> tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...]:
    """Write prediction summaries side by side, in plain words.

    Parameters
    ----------
    summaries : sequence of PredictionSummary
        One a column.

    Returns
    -------
    tuple of (group, ((label, (value, ...)), ...))
    """
    return tuple(
        (group, tuple((label, tuple(write(s) for s in summaries)) for label, write in lines))
        for group, lines in _PREDICTION_GROUPS
    )


def bounds_rows(bounds: LossBounds) -> tuple[tuple[str, str], ...]:
    """Write what accuracy, loss and class count alone prove.

    Parameters
    ----------
    bounds : LossBounds

    Returns
    -------
    tuple of (label, value)
    """
    part = bounds.removable_loss / bounds.loss if bounds.loss > 0 else float("nan")
    removable = quantity(bounds.removable_loss, "nats")
    return (
        ("Loss that is possible at this accuracy", interval(bounds.floor, bounds.ceiling, "nats")),
        ("Loss of a calibrated model", interval(bounds.calibrated_low, bounds.calibrated_high, "nats")),
        (
            "Loss removable without changing a prediction",
            f"{removable}, {percent(part)} of it" if bounds.removable_loss > 0 else "none proved",
        ),
        ("Mean loss of right answers", interval(*bounds.loss_correct, "nats")),
        ("Mean loss of wrong answers", interval(*bounds.loss_incorrect, "nats")),
        ("Share of the loss from wrong answers", interval(*bounds.loss_share_incorrect, "fraction")),
    )
