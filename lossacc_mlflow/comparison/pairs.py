"""Which two models are worth explaining against each other."""

from collections.abc import Sequence
from itertools import combinations

from lossacc_mlflow.comparison.rows import is_reversed, known_accuracy, settled_loss
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.pairing import compare_samples
from lossacc_mlflow.records import ComparisonRow, Diagnosis, PairedComparison, Split

__all__ = ["explain_pairs"]


def explain_pairs(ranked: Sequence[tuple[ComparisonRow, Diagnosis]], split: Split) -> tuple[PairedComparison, ...]:
    """Explain the pairs worth explaining, most accurate first; runs judged on other samples are passed over.

    Parameters
    ----------
    ranked : sequence of (ComparisonRow, Diagnosis)
        Most accurate first; diagnoses with ``run.samples``.
    split : {"train", "validation", "test"}

    Returns
    -------
    tuple of PairedComparison
        Neighbours by accuracy, the best by accuracy against the best by loss, and every reversal.
    """
    judged = [(row, d) for row, d in ranked if known_accuracy(row) is not None and split in d.run.samples]
    by_loss = min(range(len(judged)), key=lambda i: settled_loss(judged[i][0]), default=0)
    explained = []
    for i, j in combinations(range(len(judged)), 2):
        (better, a), (worse, b) = judged[i], judged[j]
        if not (j == i + 1 or (i == 0 and j == by_loss) or is_reversed(better, worse)):
            continue
        try:
            samples = a.run.samples[split], b.run.samples[split]
            explained.append(compare_samples(*samples, name_a=better.name, name_b=worse.name))
        except PredictionsError:
            # Other samples: nothing can be paired, and the rows still say what each run reached.
            continue
    return tuple(explained)
