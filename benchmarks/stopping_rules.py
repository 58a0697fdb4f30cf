"""When to stop a training: at the first alarm, or when the validation loss has not improved for a while."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.peers import NEVER
from benchmarks.stopping import first_alarm
from lossacc_mlflow.records import FloatArray, Verdict

__all__ = ["ALARM", "END", "RISE", "STOPPING_RULES", "Course", "Outcome", "Stopped", "patience", "stop_when", "stopped"]

_OVERFITTING: tuple[Verdict, ...] = ("overfitting", "loss_overfitting", "diverged")

ALARM = "`stop_when` overfitting, loss_overfitting or diverged"
"""Name of the rule that stands for ours."""

RISE = 0.05
"""How far above its best a validation loss ends that has risen, relative to it."""

END = 0.1
"""Share of the steps that are the end of a training."""


@dataclass(frozen=True, eq=False)
class Course:
    """One training as a stopping rule sees it, to its full length.

    Parameters
    ----------
    group : str
        Of which kind it is: library and model, or data set.
    rows : tuple of mapping of str to float
        What was logged, step by step; without steps at which there was no validation loss at the end.
    val_loss : ndarray of float64, shape (n_steps,)
        NaN where there is none.
    n_classes, n_validation : int or None
    majority_accuracy : float or None
    """

    group: str
    rows: tuple[Mapping[str, float], ...]
    val_loss: FloatArray
    n_classes: int | None
    n_validation: int | None
    majority_accuracy: float | None = None

    @property
    def kind(self) -> str:
        """What the validation loss does in the end: it rises, it still improves, or neither."""
        last = max(1, round(END * len(self.val_loss)))
        best = np.nanmin(self.val_loss)
        # Losses of either sign, as of densities: their range stands for their size.
        size = abs(best) if np.nanmin(self.val_loss) > 0 else np.nanmax(self.val_loss) - best
        if not np.isfinite(self.val_loss[-1]) or np.nanmean(self.val_loss[-last:]) - best > RISE * size:
            return "rises"
        return "improves" if np.nanargmin(self.val_loss) >= len(self.val_loss) - last else "levels off"


@dataclass(frozen=True)
class Outcome:
    """What became of one training under one rule.

    Parameters
    ----------
    stopped : bool
    kept : bool
        Whether the best step of the whole training had been reached.
    lost : float
        Part of the improvement from the first step to the best that the best step so far had not reached.
    saved : float
        Share of the steps that were not trained.
    delay : int
        Steps from the best one to the stop; 0 where it was not reached.
    """

    stopped: bool
    kept: bool
    lost: float
    saved: float
    delay: int


@dataclass(frozen=True)
class Stopped:
    """One training, under every rule.

    Parameters
    ----------
    group, kind : str
        As in `Course`.
    by_rule : mapping of str to Outcome
    """

    group: str
    kind: str
    by_rule: Mapping[str, Outcome]


Rule = Callable[[Course], int]


def stop_when(course: Course, alarms: Sequence[Verdict]) -> int:
    """Position at which ``stop_when`` ends a training, -1 for never.

    The callbacks of every framework ask the same `Monitor`, and it looks at nothing that comes later: to show it a
    whole training step by step gives the stop of a training that was stopped.
    """
    return first_alarm(
        enumerate(course.rows),
        n_classes=course.n_classes,
        n_validation=course.n_validation,
        majority_accuracy=course.majority_accuracy,
        alarms=alarms,
    )


def patience(course: Course, n_steps: int) -> int:
    """Position at which the validation loss has not improved for ``n_steps`` steps, -1 for never.

    As Keras' and Lightning's EarlyStopping with ``min_delta=0``.
    """
    best, waited = np.inf, 0
    for i, loss in enumerate(course.val_loss):
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited >= n_steps:
            return i
    return NEVER


STOPPING_RULES: Mapping[str, Rule] = {
    '`stop_when="overfitting"`': partial(stop_when, alarms=("overfitting",)),
    ALARM: partial(stop_when, alarms=_OVERFITTING),
    "patience 5": partial(patience, n_steps=5),
    "patience 10": partial(patience, n_steps=10),
    "patience 20": partial(patience, n_steps=20),
}


def _outcome(course: Course, stop: int) -> Outcome:
    """Say what became of a training that was stopped, and kept its best step so far.

    Parameters
    ----------
    course : Course
    stop : int
        Position, or -1 for never.
    """
    loss = np.where(np.isfinite(course.val_loss), course.val_loss, np.inf)
    last = len(loss) - 1 if stop == NEVER else stop
    best, reached = int(np.argmin(loss)), float(loss[: last + 1].min())
    gain = loss[0] - loss[best] if np.isfinite(loss[0]) else np.inf
    missing = reached - float(loss[best])
    return Outcome(
        stopped=stop != NEVER,
        kept=best <= last,
        lost=missing / gain if missing > 0 and gain > 0 else 0.0,
        saved=(len(loss) - 1 - last) / len(loss),
        delay=max(0, last - best) if stop != NEVER else 0,
    )


def stopped(course: Course) -> Stopped:
    """Ask every rule when to stop a training.

    Parameters
    ----------
    course : Course
    """
    found = {name: _outcome(course, rule(course)) for name, rule in STOPPING_RULES.items()}
    return Stopped(course.group, course.kind, found)
