"""What answering without looking at the input gives on the samples that were predicted, and how far chance may lead."""

from math import sqrt

from lossacc_mlflow.records import PredictionSummary

__all__ = ["balanced_accuracy_sd", "equal_share"]


def equal_share(summary: PredictionSummary) -> float:
    """Return the balanced accuracy of answering without looking: one over the classes that occur.

    Parameters
    ----------
    summary : PredictionSummary

    Returns
    -------
    float
    """
    return 1 / (sum(c.n_samples > 0 for c in summary.classes) or summary.n_classes)


def balanced_accuracy_sd(summary: PredictionSummary) -> float:
    """Return the standard deviation of the balanced accuracy of answers that are given without looking.

    Parameters
    ----------
    summary : PredictionSummary

    Returns
    -------
    float
    """
    present = [c for c in summary.classes if c.n_samples]
    if not present:
        # How many samples each class has is not known: equal shares of what the largest leaves.
        n, k, majority = summary.n_samples, summary.n_classes, summary.majority_accuracy
        return sqrt((1 / majority + (k - 1) ** 2 / max(1 - majority, 1 / n)) / (4 * n)) / k
    answered = [c.n_predicted / summary.n_samples for c in present]
    variance = sum(a * (1 - a) / c.n_samples for a, c in zip(answered, present, strict=True))
    return sqrt(variance) / len(present)
