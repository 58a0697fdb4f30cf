"""The loss improves until epoch 537 and then gets worse, while the accuracy stays above 90 %. Is that overfitting?

A network of 32 hidden units learns to tell benign from malignant tumours, without any penalty, for 2,000 epochs. It
needs a quarter of them. From there on the same answers are given with ever more certainty, and the few wrong ones
cost ever more: the probabilities overfit, the answers do not.
"""

from collections.abc import Mapping

from sklearn.neural_network import MLPClassifier

from experiments.data import DataSet, load_data
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch

__all__ = ["EXPECTED", "RECIPES", "main"]


def trained_on_and_on(data: DataSet) -> TrainedModel:
    """Return a network that was trained for four times the epochs it needs."""
    model = MLPClassifier(32, alpha=0, learning_rate_init=6e-4, batch_size=200, random_state=0)
    return by_epoch(model, data, n_epochs=2_000)


RECIPES: Mapping[str, Recipe] = {"trained on and on": trained_on_and_on}
EXPECTED: Mapping[str, Expected] = {
    "trained on and on": Expected("loss_overfitting", ("FIT001", "FIT005", "DIS001", "DIS006")),
}


def main() -> None:
    """Run the job."""
    run_job("overtrained", RECIPES, load_data("breast_cancer"), EXPECTED)


if __name__ == "__main__":
    main()
