"""What the loggers of XGBoost and LightGBM share: when to score, what is logged, which predictions are kept."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.keys import SPLIT_PREFIXES
from lossacc_mlflow.loggers.best_step import BestStep
from lossacc_mlflow.loggers.boosting.roles import Entry, foreign_keys
from lossacc_mlflow.loggers.boosting.scores import ScoredSet, Task, probabilities, score
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.records import Split

__all__ = ["BoostingLog", "Pace"]


_N_JUDGED = 4  # scored iterations that tell what one costs at this stride


class Pace:
    """Which iterations are scored: all, until scoring has cost more than it may; then every 2nd, 4th, ...

    Parameters
    ----------
    share : float
        Of the time of the training that scoring may take.
    grace : float
        Seconds of scoring that are always free, so that short trainings are scored at every iteration.
    """

    def __init__(self, share: float = 0.015, grace: float = 0.25) -> None:
        self.stride = 1
        self._share, self._grace = share, grace
        self._begin = self._since = time.perf_counter()
        self._spent = self._spent_since = 0.0
        self._n_since = 0

    def is_due(self, step: int) -> bool:
        """Whether to score this iteration."""
        return step % self.stride == 0

    def spend(self, seconds: float) -> None:
        """Account for what the scoring of one iteration has cost."""
        now = time.perf_counter()
        self._spent += seconds
        self._spent_since += seconds
        self._n_since += 1
        if self._spent <= self._grace + self._share * (now - self._begin):
            return
        if self._n_since >= _N_JUDGED and self._spent_since > self._share * (now - self._since):
            self.stride *= 2
            self._since, self._spent_since, self._n_since = now, 0.0, 0


class BoostingLog:
    """Scores and predictions of one boosted training on their way into its run.

    Parameters
    ----------
    options : Options
    name : str
        Of the library, for messages.
    task : Task or None
        None: only what the library evaluates itself is known.
    sets : sequence of ScoredSet
        At most one of each split.
    roles : mapping of str to split
        Of the library's own evaluation sets.
    entries : collection of Entry
        What the library has evaluated at the first iteration.
    is_logged_by_mlflow : bool
        Whether MLflow's own autologging writes `entries` to the same run.
    classes : ndarray of shape (n_classes,), optional
        The class of each place; 0 to K-1 by default.
    answer : callable
        Called at the end: step and outputs of the held-out set that the model's own ``predict`` answers with, or None.

    Attributes
    ----------
    log : TrainingLog
    last_step : int or None
        That was scored.
    last, best : tuple of (int, ndarray) or None
        Step and outputs of the held-out set, of the last iteration that was scored and of the one with the best loss.
    held_out_loss : dict of int to float
    """

    def __init__(
        self,
        options: Options,
        *,
        name: str,
        task: Task | None,
        sets: Sequence[ScoredSet],
        roles: Mapping[str, Split | None],
        entries: Collection[Entry],
        is_logged_by_mlflow: bool,
        classes: NDArray[Any] | None,
        answer: Callable[[], tuple[int, NDArray[Any]] | None],
    ) -> None:
        self._options, self._task, self._roles = options, task, roles
        self._classes, self._answer = classes, answer
        # Weigh all sets or none: a weighted training loss beside a plain validation loss would show a gap that is none.
        is_plain = any(one.weight is None for one in sets)
        has_other_weights = is_plain and any(one.weight is not None for one in sets)
        self._sets = [replace(one, weight=None) if is_plain else one for one in sets]
        self._held_out = next(
            (one for split in ("validation", "test") for one in self._sets if one.split == split), None
        )
        self._pace = Pace()
        self.last_step: int | None = None
        self.last: tuple[int, NDArray[Any]] | None = None
        self.best: tuple[int, NDArray[Any]] | None = None
        self.held_out_loss: dict[int, float] = {}
        self._best_step = BestStep()
        values, meanings = foreign_keys(entries, roles)
        if has_other_weights:  # the library's figures and ours are not the same: both are logged, and ours are read
            values, meanings = {}, self._own_meanings()
        self.log = TrainingLog(
            options,
            name=name,
            step_unit="iteration",
            loss=task.loss if task else None,
            n_classes=task.n_classes if task else None,
            class_counts=self._class_counts(),
            n_validation=None if self._held_out is None else len(self._held_out.y),
            logged_elsewhere=values if is_logged_by_mlflow else (),
            before_close=self._finish,
        )
        if is_logged_by_mlflow and meanings:
            self.log.set_tags({"lossacc.keys": ",".join(f"{key}={meaning}" for key, meaning in meanings.items())})

    def is_due(self, step: int) -> bool:
        """Whether to call `take` after this iteration."""
        return self._pace.is_due(step) or self._keeps_predictions(step)

    def take(self, step: int, entries: Iterable[Entry] = ()) -> None:
        """Score all sets as the model stands after this iteration."""
        begin = time.perf_counter()
        values: dict[str, float] = {}
        if self._task is None:
            values, _ = foreign_keys(entries, self._roles)
        else:
            for one in self._sets:
                outputs = one.outputs()
                scores = score(self._task, one, outputs)
                values |= {f"{SPLIT_PREFIXES[one.split]}_{key}": value for key, value in scores.items()}
                if one is self._held_out:
                    self._keep(step, outputs, scores)
        self.last_step = step
        self.log.log(step, values)
        self._pace.spend(time.perf_counter() - begin)
        if self._keeps_predictions(step) and self.last is not None:
            self._log_predictions(*self.last)

    def _keeps_predictions(self, step: int) -> bool:
        every = self._options.predictions
        return isinstance(every, int) and (step + 1) % every == 0

    def _keep(self, step: int, outputs: NDArray[Any], scores: Mapping[str, float]) -> None:
        if (
            self._best_step.consider(step, {f"val_{name}": value for name, value in scores.items()})
            or self.best is None
        ):
            self.best = (step, outputs)
        self.held_out_loss[step] = scores.get("loss", scores.get("rmse", -scores.get("accuracy", 0.0)))
        self.last = (step, outputs)

    def _finish(self, status: str) -> None:
        """Log the predictions that are kept of the end."""
        if status != "FINISHED":
            return
        if self._held_out is not None and self._options.predictions is not None:
            with shielded(f"predictions of {self.log.name}", self.log.run_id, tag=self.log.set_tags):
                found = self.best if self._options.predictions == "best" else self._answer()
                if found is not None and not self._keeps_predictions(found[0]):
                    self._log_predictions(*found)
        self.last = self.best = None

    def _log_predictions(self, step: int, outputs: NDArray[Any]) -> None:
        held_out, task = self._held_out, self._task
        if held_out is None or task is None:
            return
        if task.kind == "regression":
            self.log.log_regression(held_out.y, outputs, held_out.split, step=step)
        elif task.has_probabilities:
            labels = np.arange(task.n_classes or 2) if self._classes is None else self._classes
            self.log.log_predictions(
                labels[held_out.y],
                probabilities(task, outputs),
                held_out.split,
                step=step,
                labels=labels.tolist(),
                sample_weight=held_out.weight,
            )

    def _class_counts(self) -> dict[str, int] | None:
        train = next((one for one in self._sets if one.split == "train"), None)
        if train is None or self._task is None or self._task.kind == "regression":
            return None
        counts = np.bincount(train.y, minlength=self._task.n_classes or 2)
        names = range(len(counts)) if self._classes is None else self._classes.tolist()
        return {str(name): int(count) for name, count in zip(names, counts, strict=True)}

    def _own_meanings(self) -> dict[str, str]:
        names = {"loss": self._task.loss, "accuracy": "accuracy"} if self._task and self._task.loss else {}
        return {
            f"{SPLIT_PREFIXES[one.split]}_{name}": f"{one.split}:{metric}"
            for one in self._sets
            for name, metric in names.items()
        }
