"""90 % of the fruit are apples, and 90 % of the answers are right. Is that good?

It is what one gets for calling everything an apple. Both models are logistic regressions, trained alike on the same
fruit, 90 apples to 10 pears. The first only weighs them: apples and pears weigh nearly the same, so it says "apple"
every time, and has an accuracy of 90.0 %, a balanced accuracy of 50 %, and the loss of somebody who knows nothing but
the shares, 0.325 nats. The second also measures how long each is for its width: 99 % right, nine in ten pears found,
and a loss of 0.047.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from experiments.data import DataSet, split_data, standardised
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch

__all__ = ["COMPARISON", "EXPECTED", "RECIPES", "main"]

BY_WEIGHT, BY_SHAPE = "by weight", "by weight and shape"


def apples_and_pears(*, n_samples: int = 2_500, random_state: int = 0) -> DataSet:
    """Return fruit by its weight (grams) and its length over its width; one in ten is a pear."""
    rng = np.random.default_rng(random_state)
    pear = np.arange(n_samples) % 10 == 0
    weight = rng.normal(np.where(pear, 165, 160), 30)
    shape = rng.normal(np.where(pear, 1.25, 0.95), 0.08)
    data = split_data("fruit", ("apple", "pear"), np.column_stack([weight, shape]), pear.astype(np.int64))
    return standardised(data)


def by_weight(data: DataSet) -> TrainedModel:
    """Return a model that sees the weight alone, and has nothing to tell by."""
    parts = {split: replace(part, X=part.X[:, :1]) for split, part in data.parts.items()}
    return _logistic_regression(replace(data, parts=parts))


def by_weight_and_shape(data: DataSet) -> TrainedModel:
    """Return a model that sees both."""
    return _logistic_regression(data)


def _logistic_regression(data: DataSet) -> TrainedModel:
    return by_epoch(LogisticRegression(solver="saga", random_state=0), data, n_epochs=15)


RECIPES: Mapping[str, Recipe] = {BY_WEIGHT: by_weight, BY_SHAPE: by_weight_and_shape}
EXPECTED: Mapping[str, Expected] = {
    BY_WEIGHT: Expected("not_learning", ("TRN003", "DIS007")),
    BY_SHAPE: Expected("healthy"),
}
COMPARISON = ("CMP004",)


def main() -> None:
    """Run the job."""
    run_job("imbalanced", RECIPES, apples_and_pears(), EXPECTED, comparison=COMPARISON)


if __name__ == "__main__":
    main()
