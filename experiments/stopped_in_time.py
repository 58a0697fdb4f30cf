"""What a good training looks like: the loss has stopped falling, and has not begun to rise.

The network of the experiment `overfit`, on the same data with wrong labels and without a penalty, with smaller steps
and stopped at epoch 80. Training on would have shown what stopping prevents: see `overfit`. That its probabilities do
not hold is no fault of the training: three in ten of the labels that they are held against are wrong.
"""

from collections.abc import Mapping

from sklearn.neural_network import MLPClassifier

from experiments.data import DataSet, load_data, with_noisy_labels
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch

__all__ = ["EXPECTED", "RECIPES", "main"]


def stopped_in_time(data: DataSet) -> TrainedModel:
    """Return a network that was stopped when its validation loss had settled."""
    model = MLPClassifier(128, alpha=0, learning_rate_init=2e-4, batch_size=64, random_state=0)
    return by_epoch(model, data, n_epochs=80)


RECIPES: Mapping[str, Recipe] = {"stopped in time": stopped_in_time}
EXPECTED: Mapping[str, Expected] = {"stopped in time": Expected("healthy", ("DIS006",))}


def main() -> None:
    """Run the job."""
    run_job("stopped_in_time", RECIPES, with_noisy_labels(load_data("digits"), 0.3), EXPECTED)


if __name__ == "__main__":
    main()
