"""An accuracy of 3.9, and one of 98.1: how can that be?

Neither can. The digits 0 to 3 are learned as if they were numbers: one output, squared error, rounded to the nearest
digit. That it works at all hides two mistakes in what is logged. The first run logs how many of every four answers are
right, and calls 3.9 of 4 an accuracy; the second logs a percentage, 98.1 instead of 0.981. Every statement about
chance, error rate and loss would multiply by 1 - accuracy, by -2.9 and by -97.1.

The third run learns the same digits as what they are, four classes without an order, and logs a fraction.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from experiments.data import DataSet, Part, load_data
from experiments.job import Expected, run_job
from experiments.models import Recipe, Scores, TrainedModel, by_epoch, regression_by_epoch
from lossacc_mlflow.records import FloatArray, IntArray

__all__ = ["COMPARISON", "EXPECTED", "RECIPES", "main"]

N_DIGITS = 4


def first_digits() -> DataSet:
    """Return the digits 0 to 3, as numbers."""
    data = load_data("digits", train_size=0.6, validation_size=0.3, random_state=1)
    parts = {split: _first(part) for split, part in data.parts.items()}
    return replace(data, name="digits 0 to 3", classes=(), parts=parts)


def per_four(data: DataSet) -> TrainedModel:
    """Return a regression that logs how many of four answers are right."""
    return _regression(data, 4)


def in_percent(data: DataSet) -> TrainedModel:
    """Return the same regression, with the percentage of right answers."""
    return _regression(data, 100)


def as_classes(data: DataSet) -> TrainedModel:
    """Return a network that learns four classes."""
    parts = {split: replace(part, y=part.y.astype(np.int64)) for split, part in data.parts.items()}
    classes = tuple(str(digit) for digit in range(N_DIGITS))
    model = MLPClassifier((128, 64), alpha=0.1, batch_size=32, random_state=1)
    return by_epoch(model, replace(data, classes=classes, parts=parts), n_epochs=30)


def _first(part: Part) -> Part:
    rows = part.y < N_DIGITS
    return Part(part.X[rows], part.y[rows].astype(np.float64), part.sample_id[rows])


def _regression(data: DataSet, of: int) -> TrainedModel:
    model = MLPRegressor(hidden_layer_sizes=(128, 64), alpha=0.1, batch_size=32, random_state=1)
    return regression_by_epoch(model, data, n_epochs=30, scores=_squared_error_and_accuracy(of))


def _squared_error_and_accuracy(of: int) -> Scores:
    """The mistake: an accuracy that counts the right ones of so many."""

    def scores(y_true: FloatArray, y_pred: FloatArray) -> Mapping[str, float]:
        digit: IntArray = np.clip(np.rint(y_pred), 0, N_DIGITS - 1).astype(np.int64)
        return {"loss": float(np.mean((y_pred - y_true) ** 2)), "accuracy": of * float(np.mean(digit == y_true))}

    return scores


RECIPES: Mapping[str, Recipe] = {"right of four": per_four, "in percent": in_percent, "as classes": as_classes}
EXPECTED: Mapping[str, Expected] = {
    "right of four": Expected("still_improving", ("LOG001", "LOG007", "TRN006")),
    "in percent": Expected("still_improving", ("LOG001", "LOG007", "TRN006")),
    "as classes": Expected("still_improving", ("TRN006",)),
}
COMPARISON = ("CMP003",)


def main() -> None:
    """Run the job."""
    run_job("label_encoding", RECIPES, first_digits(), EXPECTED, comparison=COMPARISON)


if __name__ == "__main__":
    main()
