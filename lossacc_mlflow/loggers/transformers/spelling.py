"""Under which keys a training is logged, beside what transformers' own callback writes to the same run."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import sqrt

from lossacc_mlflow.keys import SPLIT_PREFIXES
from lossacc_mlflow.records import Split

__all__ = ["Spelling"]

_THEIRS = {
    "train_loss": "loss",
    "val_loss": "eval_loss",
    "val_accuracy": "eval_accuracy",
    "val_rmse": "eval_rmse",
    "val_r2": "eval_r2",
}


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the scores of one training are spelled.

    Parameters
    ----------
    is_beside_mlflow : bool
        Whether transformers' ``MLflowCallback`` writes to the same run.
    is_squared : bool
        Whether the loss is a mean squared error: logged by us it is its root.
    is_rarely_logged : bool
        Whether transformers logs the training loss less often than we do.
    """

    is_beside_mlflow: bool
    is_squared: bool
    is_rarely_logged: bool

    @property
    def logged_elsewhere(self) -> frozenset[str]:
        """Keys under which the judge, and only he, sees what transformers writes itself."""
        if not self.is_beside_mlflow:
            return frozenset()
        return frozenset({"epoch", *_THEIRS.values()} - ({"loss"} if self.is_rarely_logged else set()))

    def ours(self, split: Split, scores: Mapping[str, float]) -> dict[str, float]:
        """Spell ``loss``, ``accuracy``, ``rmse`` and ``r2`` of a split as we log them."""
        prefix = SPLIT_PREFIXES[split]
        values = {f"{prefix}_{name}": value for name, value in scores.items()}
        loss = f"{prefix}_loss"
        if self.is_squared and loss in values and not self.is_beside_mlflow:
            squared = values.pop(loss)
            values.setdefault(f"{prefix}_rmse", sqrt(squared) if squared >= 0 else squared)
        return values

    def mean_loss(self, value: float) -> dict[str, float]:
        """Spell a mean training loss that transformers does not log itself.

        Beside it, under its own key: as ``train_loss`` it logs the mean over the whole run.
        """
        return {"loss": value} if self.is_beside_mlflow else self.ours("train", {"loss": value})

    def written(self, values: Mapping[str, float], theirs: Collection[str]) -> dict[str, float]:
        """Spell those of our keys whose values transformers logs as it does."""
        seen = set(theirs) if self.is_beside_mlflow else set()
        return {_THEIRS.get(key, key) if key in seen else key: value for key, value in values.items()}
