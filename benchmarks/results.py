"""All answers to all variants, to be looked up by question, set, variant and judge."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import LabelledRun
from benchmarks.judging import VARIANTS, Opinion, Round
from benchmarks.peers import PEERS, Peer
from benchmarks.scoring import Ballot, Comparison, Score
from benchmarks.tasks import MIN_OF_EACH, Task
from lossacc_mlflow.records import FloatArray

__all__ = ["OURS", "Question", "Results"]

OURS = "lossacc"
"""How our rules are called in the tables."""


@dataclass(frozen=True, eq=False)
class Question:
    """A task put to the runs of one set.

    Parameters
    ----------
    task : Task
    data_set : str
    index : ndarray of intp, shape (n,)
        Positions of the runs.
    truth : ndarray of bool, shape (n,)
    """

    task: Task
    data_set: str
    index: NDArray[np.intp]
    truth: NDArray[np.bool_]

    @property
    def n_positive(self) -> int:
        """Runs of which yes is the right answer."""
        return int(self.truth.sum())

    @property
    def n_negative(self) -> int:
        """Runs of which no is the right answer."""
        return int((~self.truth).sum())

    @property
    def counts(self) -> bool:
        """Whether there are enough runs of each class to count in a mean."""
        return min(self.n_positive, self.n_negative) >= MIN_OF_EACH


@dataclass(frozen=True, eq=False)
class Results:
    """Every answer of every judge.

    Parameters
    ----------
    runs : sequence of LabelledRun, length n_runs
    rounds : sequence of Round
    """

    runs: Sequence[LabelledRun]
    rounds: Sequence[Round]
    _ballots: dict[tuple[str, str, str], Ballot] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def sets(self) -> tuple[str, ...]:
        """The collections, in the order in which they begin."""
        return tuple(dict.fromkeys(one.data_set for one in self.runs))

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """The variants that were judged."""
        judged = {one.variant for one in self.rounds}
        return tuple(variant.name for variant in VARIANTS if variant.name in judged)

    def opinions(self, variant: str, index: NDArray[np.intp]) -> list[list[Opinion]]:
        """What our rules said, a list for each round."""
        return [[one.opinions[i] for i in index] for one in self.rounds if one.variant == variant]

    def questions(self, task: Task) -> list[Question]:
        """Put a task to every set that has runs of both classes."""
        index, truth = task.truth(self.runs)
        sets = np.array([self.runs[i].data_set for i in index])
        asked = (Question(task, name, index[sets == name], truth[sets == name]) for name in self.sets)
        return [one for one in asked if one.n_positive and one.n_negative]

    def judges(self, task: Task) -> list[Peer | None]:
        """Ours (None), and the peers that answer a task."""
        return [None, *(peer for peer in PEERS if peer.question == task.question)]

    def score(self, question: Question, variant: str, judge: Peer | None = None) -> Score:
        """Score one judge."""
        return self._ballot(question, variant).score(self.judges(question.task).index(judge))

    def score_plainly(self, question: Question, variant: str) -> Score:
        """Score ours with no in the place of no answer."""
        return self._ballot(question, variant).score(-1)

    def compare(self, question: Question, variant: str, peer: Peer) -> Comparison:
        """Compare ours with one peer."""
        return self._ballot(question, variant).compare(0, self.judges(question.task).index(peer))

    def can_answer(self, judge: Peer | None, variant: str) -> bool:
        """Whether a judge gets what it needs."""
        if judge is None:
            return True
        return not variant.startswith("loss alone" if judge.needs_accuracy else "accuracy alone")

    def _ballot(self, question: Question, variant: str) -> Ballot:
        key = question.task.title, question.data_set, variant
        if key not in self._ballots:
            rounds = [one for one in self.rounds if one.variant == variant]
            answers = [self._answers(question, one) for one in rounds]
            self._ballots[key] = Ballot(question.truth, np.stack(answers, axis=1))
        return self._ballots[key]

    def _answers(self, question: Question, one: Round) -> FloatArray:
        """Answers of every judge in one round, ours first, and last ours with no for no answer."""
        says = question.task.says
        ours = np.array([np.nan if (a := says(one.opinions[i])) is None else float(a) for i in question.index])
        columns = np.array([PEERS.index(peer) for peer in self.judges(question.task) if peer is not None], np.intp)
        return np.column_stack([ours, one.peers[question.index][:, columns], ours == 1])
