"""Three answers to five questions: the one with more error has the better accuracy. Twice, by two kinds of error.

Three classes, one-hot targets, small enough for a blackboard: mean log loss, mean squared error (Brier score, summed
over the classes) and accuracy of

=================  =====================================================  ========  =======  ========
answers            probability of the right class                         log loss  Brier    accuracy
=================  =====================================================  ========  =======  ========
all barely right   38 % each, the next class 32 %                         0.97      0.58     100 %
one barely wrong   90 %, four times; once 45 %, another class 47 %        0.24      0.12     80 %
one badly wrong    98 %, four times; once 0.1 %, another class 99.8 %     1.40      0.40     80 %
=================  =====================================================  ========  =======  ========

First case: the first has four times the error of the second, by either measure, and gets more right. Second case: it
has more squared error than the third and gets more right, while the log loss agrees with the accuracy there, because a
logarithm, unlike a square, has no upper end. The accuracy asks only which class is ahead, an error asks by how much;
on five samples no difference in accuracy means anything.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.data import DataSet, validation_only
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, as_answered

__all__ = ["COMPARISON", "EXPECTED", "RECIPES", "main"]

QUESTIONS = validation_only("five questions", ("red", "green", "blue"), [0, 1, 2, 0, 1])
BARELY_RIGHT = (0.38, 0.32, 0.30)
"""Probability of the right class, of the next one and of the last one."""


def all_barely_right(data: DataSet) -> TrainedModel:
    """Return five right answers, each hardly ahead of the next class."""
    return _answer(data, [BARELY_RIGHT] * 5)


def one_barely_wrong(data: DataSet) -> TrainedModel:
    """Return four sure right answers, and one that is wrong by a hair."""
    return _answer(data, [(0.9, 0.05, 0.05)] * 4 + [(0.45, 0.47, 0.08)])


def one_badly_wrong(data: DataSet) -> TrainedModel:
    """Return four sure right answers, and a sure wrong one."""
    return _answer(data, [(0.98, 0.01, 0.01)] * 4 + [(0.001, 0.998, 0.001)])


def _answer(data: DataSet, probabilities: Sequence[Sequence[float]]) -> TrainedModel:
    """Turn the classes so that each sample's right one comes first."""
    y = data.parts["validation"].y
    columns = (y[:, None] + np.arange(3)) % 3
    proba = np.empty((len(y), 3))
    np.put_along_axis(proba, columns, np.asarray(probabilities), axis=1)
    return as_answered(data, proba)


RECIPES: Mapping[str, Recipe] = {
    "all barely right": all_barely_right,
    "one barely wrong": one_barely_wrong,
    "one badly wrong": one_badly_wrong,
}
EXPECTED: Mapping[str, Expected] = {
    "all barely right": Expected("not_enough_information", ("LOG005", "DIS006")),
    "one barely wrong": Expected("not_enough_information", ("LOG005",)),
    "one badly wrong": Expected("not_enough_information", ("LOG005", "DIS006")),
}
COMPARISON = ("CMP001", "CMP002")


def main() -> None:
    """Run the job."""
    run_job("more_error_better_accuracy", RECIPES, QUESTIONS, EXPECTED, comparison=COMPARISON)


if __name__ == "__main__":
    main()
