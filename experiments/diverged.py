"""Training comes apart: the train loss itself climbs, or turns into NaN. The steps are too large.

Gradient boosting adds a tree for what is still wrong, shrunk by its learning rate. At 0.6 each tree corrects the last
one by too much: after a dozen iterations the corrections grow instead of shrinking, and train and validation loss
rise together. No penalty cures that, and it is no overfitting. The softmax regression is written by hand: once large
steps have driven its logits beyond what single precision can take the exponential of, every weight is NaN.
"""

from collections.abc import Mapping

from sklearn.ensemble import GradientBoostingClassifier

from experiments.data import DataSet, load_data
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch, by_step
from experiments.softmax import NaiveSoftmaxRegression

__all__ = ["EXPECTED", "RECIPES", "main"]


def boosting(data: DataSet) -> TrainedModel:
    """Return stochastic gradient boosting that over-corrects."""
    model = GradientBoostingClassifier(
        n_estimators=50, learning_rate=0.6, subsample=0.5, max_features="sqrt", random_state=0
    )
    return by_step(model, data)


def overflow(data: DataSet) -> TrainedModel:
    """Return a softmax regression whose weights are lost."""
    return by_epoch(NaiveSoftmaxRegression(learning_rate=2.8), data, n_epochs=40)


RECIPES: Mapping[str, Recipe] = {"boosting": boosting, "overflow": overflow}
EXPECTED: Mapping[str, Expected] = {
    "boosting": Expected("diverged", ("TRN002", "FIT005", "DIS003", "DIS006", "DIS009")),
    "overflow": Expected("diverged", ("TRN001",)),
}


def main() -> None:
    """Run the job."""
    run_job("diverged", RECIPES, load_data("digits"), EXPECTED)


if __name__ == "__main__":
    main()
