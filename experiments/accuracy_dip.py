"""The accuracy falls from 90 % to 63 % around epoch 45, while the loss improves at every epoch. What happened?

Nothing is wrong. The network begins with "malignant" for all tumours, which is wrong for most of them, and first learns
which answer is the more frequent one. On the way to "benign" for all there is a moment in which the benign ones have
crossed 50 % and the malignant ones have not yet: there the accuracy is 90 %. Then they cross too, and only after that
does the network learn to keep them apart. The loss sees one steady improvement; the accuracy counts who has just
crossed the line. Eight of thirty random starts show a dip of more than 20 points, each at an epoch of its own; the loss
falls at every epoch of all thirty.
"""

from collections.abc import Mapping

import numpy as np
from sklearn.neural_network import MLPClassifier

from experiments.data import DataSet, load_data
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch

__all__ = ["EXPECTED", "RECIPES", "main"]

DIP = slice(30, 60)
"""The epochs in which the accuracy must be low, counted from 0."""


def two_hidden_layers(data: DataSet) -> TrainedModel:
    """Return a network that learns from the whole training part at once, so that its loss falls steadily."""
    n_train = len(data.parts["train"].y)
    model = MLPClassifier((32, 32), activation="logistic", batch_size=n_train, random_state=1)
    trained = by_epoch(model, data, n_epochs=150)
    _check_dip(trained)
    return trained


def _check_dip(trained: TrainedModel) -> None:
    """Stop where the accuracy does not fall and recover by 20 points, or the loss ever rises."""
    loss, accuracy = trained.curves.values["val_loss"], trained.curves.values["val_accuracy"]
    before, low, after = accuracy[: DIP.start].max(), accuracy[DIP].min(), accuracy[DIP.stop :].max()
    if not (before - low > 0.2 and after - low > 0.2 and np.all(np.diff(loss) < 0)):
        raise SystemExit(f"there is no dip while the loss improves: the accuracy goes {before}, {low}, {after}.")


RECIPES: Mapping[str, Recipe] = {"two hidden layers": two_hidden_layers}
EXPECTED: Mapping[str, Expected] = {
    "two hidden layers": Expected("still_improving", ("TRN006", "DIS004", "DIS006")),
}


def main() -> None:
    """Run the job."""
    run_job("accuracy_dip", RECIPES, load_data("breast_cancer"), EXPECTED)


if __name__ == "__main__":
    main()
