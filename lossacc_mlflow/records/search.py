"""Records of a search: which parameters each candidate had, and what it scored."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lossacc_mlflow.records.arrays import FloatArray, freeze_arrays, freeze_mappings

__all__ = ["SearchResults", "SearchScore"]


@dataclass(frozen=True, slots=True, eq=False)
class SearchScore:
    """One metric of every candidate of a search; greater is better, as in scikit-learn's scorers.

    Parameters
    ----------
    metric : str
        The scorer's name, such as ``accuracy`` or ``neg_log_loss``.
    validation_mean, validation_sd : ndarray of float64, shape (n_candidates,)
        Over the folds; NaN where a fit failed.
    train_mean, train_sd : ndarray of float64, shape (n_candidates,)
        NaN throughout where the search was not asked for train scores.
    """

    metric: str
    validation_mean: FloatArray
    validation_sd: FloatArray
    train_mean: FloatArray
    train_sd: FloatArray

    def __post_init__(self) -> None:
        names = ("validation_mean", "validation_sd", "train_mean", "train_sd")
        freeze_arrays(self, **{name: (getattr(self, name), np.float64) for name in names})

    @property
    def has_train(self) -> bool:
        """Whether train scores are known."""
        return bool(np.isfinite(self.train_mean).any())


@dataclass(frozen=True, slots=True, eq=False)
class SearchResults:
    """The candidates of a search.

    Parameters
    ----------
    parameters : mapping of str to tuple of str or float, each of length n_candidates
        Values by name: floats of parameters of which every value is a number, else texts. A candidate that does not
        have a parameter has an empty text, or NaN.
    scores : tuple of SearchScore
        The metric that decided comes first.
    best : int or None
        The candidate that was chosen; None where none was.
    n_splits : int
        Folds that each score is the mean of.
    """

    parameters: Mapping[str, tuple[str, ...] | tuple[float, ...]]
    scores: tuple[SearchScore, ...]
    best: int | None
    n_splits: int

    def __post_init__(self) -> None:
        freeze_mappings(self, "parameters")

    def __len__(self) -> int:
        return len(self.scores[0].validation_mean)
