"""Two models on the same samples: where exactly the difference in their losses comes from, and how sure it is."""

from lossacc_mlflow.pairing.attribution import (
    adjust_for_many,
    compare_outcomes,
    compare_predictions,
    compare_samples,
    hangs_on_clip,
)
from lossacc_mlflow.pairing.outcomes import Outcomes, align_outcomes, outcomes_of
from lossacc_mlflow.pairing.significance import ALPHA, holm, least_disagreement, mcnemar, paired_t

__all__ = [
    "ALPHA",
    "Outcomes",
    "adjust_for_many",
    "align_outcomes",
    "compare_outcomes",
    "compare_predictions",
    "compare_samples",
    "hangs_on_clip",
    "holm",
    "least_disagreement",
    "mcnemar",
    "outcomes_of",
    "paired_t",
]
