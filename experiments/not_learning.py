"""The model does no better than guessing. Two common causes: a learning rate far too small, labels that do not belong.

The first network has hardly moved from its random weights after 60 epochs. The second one learns, but what it is
taught are shuffled labels, as a bug in the data loading makes them: it learns them by heart, and its train accuracy
says nothing. On new digits it guesses, with great confidence.
"""

from collections.abc import Mapping

from sklearn.neural_network import MLPClassifier

from experiments.data import DataSet, load_data, with_shuffled_labels
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch

__all__ = ["EXPECTED", "RECIPES", "main"]


def tiny_learning_rate(data: DataSet) -> TrainedModel:
    """Return a network whose steps are ten thousand times too small."""
    return by_epoch(MLPClassifier(64, learning_rate_init=1e-7, batch_size=32, random_state=0), data, n_epochs=60)


def shuffled_labels(data: DataSet) -> TrainedModel:
    """Return a network that was taught labels at random."""
    model = MLPClassifier(128, alpha=0, batch_size=32, random_state=0)
    return by_epoch(model, with_shuffled_labels(data), n_epochs=150)


RECIPES: Mapping[str, Recipe] = {"tiny learning rate": tiny_learning_rate, "shuffled labels": shuffled_labels}
EXPECTED: Mapping[str, Expected] = {
    "tiny learning rate": Expected("not_learning", ("TRN003", "FIT004", "DIS006")),
    "shuffled labels": Expected("not_learning", ("TRN003", "FIT004", "DIS003", "DIS006")),
}


def main() -> None:
    """Run the job."""
    run_job("not_learning", RECIPES, load_data("digits"), EXPECTED)


if __name__ == "__main__":
    main()
