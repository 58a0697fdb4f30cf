"""The loss jumps up and down to the end: the steps are too large to settle.

Softmax regression on the digits, with a penalty, by mini-batches with momentum. The problem is convex: there is one
best place to go to, and each step jumps far beyond it. Which epoch one stops at is a matter of luck, and wherever that
is, the model is much too sure of itself.
"""

from collections.abc import Mapping

from sklearn.neural_network import MLPClassifier

from experiments.data import DataSet, load_data
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch

__all__ = ["EXPECTED", "RECIPES", "main"]


def large_steps(data: DataSet) -> TrainedModel:
    """Return a softmax regression, which is a network without a hidden layer, with steps sixty times too large."""
    model = MLPClassifier((), solver="sgd", alpha=0.1, learning_rate_init=6, batch_size=32, random_state=0)
    return by_epoch(model, data, n_epochs=80)


RECIPES: Mapping[str, Recipe] = {"learning rate 6": large_steps}
EXPECTED: Mapping[str, Expected] = {"learning rate 6": Expected("unstable", ("TRN004", "DIS003", "DIS006", "DIS009"))}


def main() -> None:
    """Run the job."""
    run_job("oscillating", RECIPES, load_data("digits"), EXPECTED)


if __name__ == "__main__":
    main()
