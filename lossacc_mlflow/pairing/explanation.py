"""A paired comparison in words: significance first, then who pays for the difference, then what temperature leaves."""

from math import isfinite, isnan

from lossacc_mlflow.pairing.significance import ALPHA
from lossacc_mlflow.records import PairedComparison
from lossacc_mlflow.wording import number, p_value, percent

__all__ = ["explain"]

_FEW_SAMPLES = 1000
"""Below as many the mid-p value stands beside McNemar's exact one, which is too careful there."""

_T_TEST_SAMPLES = 300
"""From as many on a paired t test on log losses holds its level."""

_GROUP_WORDS = {
    "both_right": "that both get right",
    "only_a_right": "that only {a} gets right",
    "only_b_right": "that only {b} gets right",
    "both_wrong": "that both get wrong",
}


def explain(pair: PairedComparison) -> str:
    """Tell of a paired comparison in one paragraph.

    Parameters
    ----------
    pair : PairedComparison

    Returns
    -------
    str
        What is not significant comes first.
    """
    sentences = [_significance(pair), _attribution(pair), _after_temperature(pair)]
    return " ".join(sentence for sentence in sentences if sentence)


def _significance(pair: PairedComparison) -> str:
    """Both tests, the one that settles nothing first."""
    claims = [_accuracy_claim(pair), _loss_claim(pair)] if isfinite(pair.delta_loss) else [_accuracy_claim(pair)]
    claims.sort(key=lambda claim: claim[0])
    (settled, first), rest = claims[0], claims[1:]
    text = f"{'Significant' if settled else 'Not significant'} {first}"
    for also, claim in rest:
        text += f"; {'' if also == settled else 'significant '}{'and ' if also == settled else ''}{claim}"
    return f"{text}."


def _accuracy_claim(pair: PairedComparison) -> tuple[bool, str]:
    digits = 1 if abs(pair.delta_accuracy) >= 0.001 or pair.delta_accuracy == 0 else 2
    a, b = percent(pair.accuracy_a, digits), percent(pair.accuracy_b, digits)
    tests = f"exact McNemar {p_value(pair.mcnemar_p)}"
    if pair.n_samples < _FEW_SAMPLES:
        tests += f", mid-{p_value(pair.mcnemar_mid_p)}"
    adjusted = pair.mcnemar_p
    if not isnan(pair.mcnemar_p_holm) and pair.n_pairs > 1:
        adjusted = pair.mcnemar_p_holm
        tests += f", {p_value(adjusted)} among {pair.n_pairs} pairs"
    words = f"in accuracy: '{pair.name_a}' {a} and '{pair.name_b}' {b} of {pair.n_samples:,} samples ({tests})"
    return adjusted < ALPHA, words


def _loss_claim(pair: PairedComparison) -> tuple[bool, str]:
    tests = f"paired t {p_value(pair.paired_t_p)}"
    if pair.at_clip:
        tests = (
            f"some probabilities are next to 0 or 1, where the loss of one sample goes up to {number(pair.loss_max)}; "
            f"by Brier scores {p_value(pair.brier_t_p)}"
        )
    if not isnan(pair.loss_p_holm) and pair.n_pairs > 1:
        tests += f", {p_value(pair.loss_p_holm)} among {pair.n_pairs} pairs"
    if pair.at_clip and not pair.decided:
        tests += "; undecided, as a few such samples more could turn the order round"
    elif not pair.at_clip and pair.n_samples < _T_TEST_SAMPLES:
        tests += f"; approximate below {_T_TEST_SAMPLES} samples"
    return pair.decided, f"in loss: {number(pair.loss_a)} and {number(pair.loss_b)} ({tests})"


def _attribution(pair: PairedComparison) -> str:
    if isnan(pair.delta_loss):
        return (
            f"The mean confidence is {percent(pair.confidence_a)} and {percent(pair.confidence_b)}. The losses are not "
            "known, as the probability of the true class is missing where an answer is wrong: log all probabilities, "
            "or p_true, to see which samples make the difference."
        )
    if pair.delta_loss == 0:
        return "The losses are the same."
    a, b = f"'{pair.name_a}'", f"'{pair.name_b}'"
    higher, lower, sign = (a, b, 1.0) if pair.delta_loss > 0 else (b, a, -1.0)
    loss_high, loss_low = sorted((pair.loss_a, pair.loss_b), reverse=True)
    words = {name: text.format(a=a, b=b) for name, text in _GROUP_WORDS.items()}
    parts = [
        (number(sign * g.contribution), f"from {g.n:,} sample{'s' * (g.n != 1)} {words[g.name]}")
        for g in sorted(pair.groups, key=lambda g: -sign * g.contribution)
        if g.n
    ]
    (most, origin), rest = parts[0], [" ".join(part) for part in parts[1:]]
    said = [f"{most} comes {origin}", *rest]
    return (
        f"Of the {number(abs(pair.delta_loss))} by which the loss of {higher} ({number(loss_high)}) is higher than "
        f"that of {lower} ({number(loss_low)}), {', '.join(said[:-1])}{', and ' if rest else ''}{said[-1]}."
    )


def _after_temperature(pair: PairedComparison) -> str:
    after = pair.delta_loss_after_temperature
    if isnan(after) or not pair.delta_loss:
        return ""
    figures = f"'{pair.name_a}' {number(pair.loss_a_after_temperature)}"
    figures += f", '{pair.name_b}' {number(pair.loss_b_after_temperature)}"
    first = f"After {_say_temperatures(pair)} ({figures}; {p_value(pair.after_temperature_t_p)})"
    if after * pair.delta_loss < 0:
        return f"{first} the order by loss turns round, and {_agreement(pair)}."
    removed = 1 - after / pair.delta_loss
    if removed > 0.05:
        gone = f"{percent(removed, 0)} of the difference is gone"
        return f"{first} {gone}; the order by loss stays, and {_agreement(pair)}."
    order = _agreement(pair) if pair.delta_accuracy == 0 else f"the order by loss still {_agreement(pair)}"
    return f"{first} the difference is {number(abs(after))}: it is not a matter of temperature, and {order}."


def _say_temperatures(pair: PairedComparison) -> str:
    if isnan(pair.temperature_a) or isnan(pair.temperature_b):
        return "each model's own temperature"
    return f"temperatures {number(pair.temperature_a)} and {number(pair.temperature_b)}"


def _agreement(pair: PairedComparison) -> str:
    """Whether the order by loss after temperature is that by accuracy."""
    if pair.delta_accuracy == 0:
        return "the accuracies are the same"
    agrees = pair.delta_loss_after_temperature * pair.delta_accuracy < 0
    return f"{'agrees' if agrees else 'disagrees'} with accuracy"
