"""The questions that are put to every judge, and which labels answer them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import LabelledRun
from benchmarks.judging import Opinion
from benchmarks.peers import Question

__all__ = ["MIN_OF_EACH", "TASKS", "Task"]

MIN_OF_EACH = 10
"""Runs of each class below which a set is reported and not counted in a mean."""


@dataclass(frozen=True)
class Task:
    """A yes/no question, and the runs whose labels answer it.

    Parameters
    ----------
    title : str
        As it stands in the tables.
    question : str
        The peers that answer it.
    says : callable
        Opinion -> what our rules answer; None where they abstain.
    positive : frozenset of str
        Labels of which yes is the right answer.
    negative : frozenset of str or None
        Labels of which no is; None for all others.
    needs_accuracy : bool
        Only runs of which both validation curves are known.
    """

    title: str
    question: Question
    says: Callable[[Opinion], bool | None]
    positive: frozenset[str]
    negative: frozenset[str] | None
    needs_accuracy: bool = False

    def truth(self, runs: Sequence[LabelledRun]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Choose the runs that have an answer.

        Returns
        -------
        index : ndarray of intp, shape (n,)
        truth : ndarray of bool, shape (n,)
        """
        chosen = [
            i
            for i, one in enumerate(runs)
            if (one.label in self.positive or self.negative is None or one.label in self.negative)
            and (not self.needs_accuracy or len(one.history.validation_accuracy_alone))
        ]
        return np.array(chosen, np.intp), np.array([runs[i].label in self.positive for i in chosen], bool)


def _verdict(*verdicts: str) -> Callable[[Opinion], bool | None]:
    def says(opinion: Opinion) -> bool | None:
        return None if opinion.verdict == "not_enough_information" else opinion.verdict in verdicts

    return says


_OVERFIT = _verdict("overfitting", "loss_overfitting")
_RISE = frozenset({"overfit", "conflict_loss_up_acc_flat"})
_HEALTHY, _DIVERGENCE = frozenset({"healthy"}), frozenset({"instability_train_rises"})

TASKS: tuple[Task, ...] = (
    Task("overfit / healthy", "overfit", _OVERFIT, frozenset({"overfit"}), _HEALTHY),
    Task("overfit or conflict / healthy", "overfit", _OVERFIT, _RISE, _HEALTHY),
    Task("overfit / late divergence", "overfit", _OVERFIT, frozenset({"overfit"}), _DIVERGENCE),
    Task("overfit or conflict / late divergence", "overfit", _OVERFIT, _RISE, _DIVERGENCE),
    Task("late divergence / healthy", "unstable", _verdict("diverged", "unstable"), _DIVERGENCE, _HEALTHY),
    Task("not learning / all others", "not_learning", _verdict("not_learning"), frozenset({"not_learning"}), None),
    Task(
        "conflict / all others",
        "conflict",
        lambda opinion: "DIS001" in opinion.steps,
        frozenset({"conflict_loss_up_acc_flat"}),
        None,
        needs_accuracy=True,
    ),
)
"""Every question, ours first."""
