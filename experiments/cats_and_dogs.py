"""Two models tell cats from dogs, one 80 % right and one 95 % right, and the better one has the higher loss. How?

The loss weighs how sure each answer is, and the accuracy does not. The first model is 97 % sure where it is right and
55 % sure where it is wrong: a loss of 0.80 x 0.030 + 0.20 x 0.799 = 0.18. The second is 60 % sure where it is right
and 99.9 % sure where it is wrong: 0.95 x 0.511 + 0.05 x 6.908 = 0.83. Its 95 right answers alone cost more than all
answers of the first, and its five wrong ones nearly as much again.

The probabilities are written down here, not learned: a hundred animals, so that each number can be checked by hand.
"""

from collections.abc import Mapping
from importlib.util import find_spec

import numpy as np

from experiments.data import DataSet, validation_only
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, as_answered

__all__ = ["COMPARISON", "EXPECTED", "RECIPES", "main"]

ANIMALS = validation_only("cats and dogs", ("cat", "dog"), [0] * 50 + [1] * 50)


def sure_when_right(data: DataSet) -> TrainedModel:
    """Return the model that is right 80 times and says 97 %, and wrong 20 times and says 55 %."""
    return _answer(data, n_wrong=20, when_right=0.97, when_wrong=0.55)


def sure_when_wrong(data: DataSet) -> TrainedModel:
    """Return the model that is right 95 times and says 60 %, and wrong 5 times and says 99.9 %."""
    return _answer(data, n_wrong=5, when_right=0.6, when_wrong=0.999)


def _answer(data: DataSet, *, n_wrong: int, when_right: float, when_wrong: float) -> TrainedModel:
    """Give answers of two confidences; half of the wrong ones are about cats, the first of each kind."""
    y = data.parts["validation"].y
    cats, dogs = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    p_true = np.full(len(y), when_right)
    p_true[[*cats[: n_wrong // 2], *dogs[: n_wrong - n_wrong // 2]]] = 1 - when_wrong
    proba = np.empty((len(y), 2))
    rows = np.arange(len(y))
    proba[rows, y], proba[rows, 1 - y] = p_true, 1 - p_true
    return as_answered(data, proba, n_wrong=n_wrong, when_right=when_right, when_wrong=when_wrong)


# An answer as sure as these five and wrong makes one look at its label; cleanlab does, where it is installed.
SUSPECTED = ("DIS008",) if find_spec("cleanlab") else ()
RECIPES: Mapping[str, Recipe] = {"80 % right": sure_when_right, "95 % right": sure_when_wrong}
EXPECTED: Mapping[str, Expected] = {
    "80 % right": Expected("not_enough_information", ("LOG005", "DIS006")),
    "95 % right": Expected("not_enough_information", ("LOG005", "DIS006", *SUSPECTED)),
}
COMPARISON = ("CMP001",)


def main() -> None:
    """Run the job."""
    run_job("cats_and_dogs", RECIPES, ANIMALS, EXPECTED, comparison=COMPARISON)


if __name__ == "__main__":
    main()
