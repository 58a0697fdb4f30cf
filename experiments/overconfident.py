"""The loss doubles while the answers get no worse, and one number takes it all back. Who is to blame?

Two models read digits of which only the upper half is seen. The network is trained for 300 epochs without a penalty,
ten times what it needs: its validation loss is lowest at epoch 26, with 0.48, and ends at 0.93, while its accuracy goes
from 84.5 % to 85.3 %. The softmax regression is calmer: 80.3 % right, and a loss of 0.61.

What one temperature takes away from the network's loss without changing an answer (calibration) grows from 0.01 to 0.44
over the epochs; what it leaves (refinement) still improves, from 0.479 to 0.473. The network learned on, and became too
sure of what it knew. Divided by its temperature, 3.2, it has the lower loss as well as the higher accuracy: 0.47
against 0.61.
"""

from collections.abc import Mapping
from dataclasses import replace

from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from experiments.data import DataSet, load_data
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch, by_epoch_with_predictions

__all__ = ["COMPARISON", "EXPECTED", "RECIPES", "main"]

OVER_CONFIDENT, CALM = "trained on and on", "calm"
_UPPER_HALF = slice(32)


def upper_halves() -> DataSet:
    """Return the digits by the upper half of their pixels: hard enough for models to err, and half to judge by."""
    data = load_data("digits", train_size=0.3, validation_size=0.5)
    parts = {split: replace(part, X=part.X[:, _UPPER_HALF]) for split, part in data.parts.items()}
    return replace(data, name="digits, upper halves", parts=parts)


def network(data: DataSet) -> TrainedModel:
    """Return a network that was trained for ten times the epochs that its loss needs."""
    model = MLPClassifier(256, alpha=0, learning_rate_init=0.003, batch_size=32, random_state=0)
    return by_epoch_with_predictions(model, data, n_epochs=300, every=10)


def softmax_regression(data: DataSet) -> TrainedModel:
    """Return a softmax regression, whose few weights keep it from being sure."""
    return by_epoch(LogisticRegression(solver="saga", C=3, random_state=0), data, n_epochs=50)


RECIPES: Mapping[str, Recipe] = {OVER_CONFIDENT: network, CALM: softmax_regression}
EXPECTED: Mapping[str, Expected] = {
    OVER_CONFIDENT: Expected(
        "loss_overfitting",
        ("FIT001", "FIT005", "DIS001", "DIS003", "DIS006"),
        # A few wrong answers are so sure that the clip decides what they cost: about a tenth of the loss.
        undecided=("DIS009",),
    ),
    CALM: Expected("healthy"),
}
COMPARISON = ("CMP001",)


def main() -> None:
    """Run the job."""
    run_job("overconfident", RECIPES, upper_halves(), EXPECTED, comparison=COMPARISON)


if __name__ == "__main__":
    main()
