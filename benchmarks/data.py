"""Labelled training curves: a directory -> runs whose answer is known, and harder variants of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from lossacc_mlflow.errors import CurveFileError
from lossacc_mlflow.files import read_curve_file
from lossacc_mlflow.records import Curve, FloatArray, IntArray, RunData

__all__ = [
    "FORMAT",
    "NOT_SCORED",
    "History",
    "LabelledRun",
    "add_noise",
    "drop_accuracy",
    "drop_chance_level",
    "drop_loss",
    "read_labelled_runs",
    "subsample",
    "truncate",
]

FORMAT = """\
DIR holds two files.
  curves.parquet (or curves.csv): one row a step. Columns: curve_id, step, and any of train_loss, validation_loss,
    train_accuracy, validation_accuracy (every spelling that `lossacc diagnose --file` reads). In parquet a missing
    value counts as a NaN that was logged where its column is otherwise filled and the row holds something else of the
    same split, or nothing at all; elsewhere as not logged. In CSV the text nan is a NaN, an empty cell not logged.
  labels.csv: one row a curve. Columns: set, curve_id, label, and optionally n_classes, majority_accuracy (what is
    known of the chance level) and onset_step (where a person said that overfitting began).
Labels: healthy, overfit, conflict_loss_up_acc_flat (validation loss up, accuracy holds), instability_train_rises (late
divergence: train loss up too), diverged_nonfinite, not_learning, and any other name, which counts as a negative where
one label is told from all the rest. ambiguous, excluded, no_metric, too_short and disputed are left out; runs with the
same values count once."""

NOT_SCORED = frozenset({"ambiguous", "excluded", "no_metric", "too_short", "disputed"})
"""Labels that say that there is no agreed answer."""


@dataclass(frozen=True, eq=False)
class History:
    """The curves of one run as the peers' rules want them: finite losses of the same steps, accuracies likewise.

    Parameters
    ----------
    step : ndarray of int64, shape (n,)
        Steps at which train and validation loss are both finite.
    train_loss, validation_loss : ndarray of float64, shape (n,)
    train_accuracy, validation_accuracy : ndarray of float64, shape (m,)
        Of the steps at which both are finite; shape (0,) where either is not known.
    validation_accuracy_alone : ndarray of float64, shape (k,)
        The finite validation accuracies, whatever is known of the train accuracy.
    first_nan_of_train : int or None
        Step of the first train loss that is not finite.
    """

    step: IntArray
    train_loss: FloatArray
    validation_loss: FloatArray
    train_accuracy: FloatArray
    validation_accuracy: FloatArray
    validation_accuracy_alone: FloatArray
    first_nan_of_train: int | None

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, eq=False)
class LabelledRun:
    """A run, and what is known to be true of it.

    Parameters
    ----------
    data_set : str
        Name of the collection.
    label : str
    onset_step : int or None
        Where a person said that overfitting began.
    run : RunData
    """

    data_set: str
    label: str
    onset_step: int | None
    run: RunData

    @cached_property
    def history(self) -> History:
        """The curves, aligned for the peers."""
        return _align(self.run)

    @cached_property
    def first_nonfinite_step(self) -> int | None:
        """Step of the first value of any curve that is not finite."""
        steps = [int(c.step[np.argmin(np.isfinite(c.value))]) for c in self.run.curves if not _is_finite(c)]
        return min(steps, default=None)


@lru_cache(maxsize=1)
def read_labelled_runs(directory: Path) -> tuple[LabelledRun, ...]:
    """Read the runs of a directory that have an agreed answer, each once.

    Parameters
    ----------
    directory : Path
        See `FORMAT`.

    Returns
    -------
    tuple of LabelledRun
        In the order of the curve file; without those labelled as one of `NOT_SCORED`, and without copies. Remembered,
        so that every process reads them once.

    Raises
    ------
    CurveFileError
        If a file is missing or does not have the columns that it needs.
    """
    files = [directory / f"curves.{suffix}" for suffix in ("parquet", "csv")]
    curve_file = next((file for file in files if file.is_file()), files[0])
    labels = _read_labels(directory / "labels.csv")
    runs, seen = [], set()
    for run in read_curve_file(curve_file, group_by="curve_id"):
        if run.run_id not in labels.index or (row := labels.loc[run.run_id]).label in NOT_SCORED:
            continue
        content = _fingerprint(run)
        if content in seen:
            continue
        seen.add(content)
        n_classes, majority, onset = row.get("n_classes"), row.get("majority_accuracy"), row.get("onset_step")
        known = replace(
            run,
            n_classes=int(n_classes) if pd.notna(n_classes) else run.n_classes,
            majority_accuracy=float(majority) if pd.notna(majority) else run.majority_accuracy,
        )
        runs.append(LabelledRun(str(row.set), str(row.label), int(onset) if pd.notna(onset) else None, known))
    return tuple(runs)


def add_noise(one: LabelledRun, level: float, rng: np.random.Generator) -> LabelledRun:
    """Multiply every value of every curve by 1 + level · a standard normal number of its own.

    Nothing is clipped: an accuracy may come out above 1, and every judge has to live with it.
    """

    def shaken(curve: Curve) -> Curve:
        return replace(curve, value=curve.value * (1 + level * rng.standard_normal(len(curve))))

    return _with_curves(one, [shaken(c) for c in one.run.curves])


def drop_accuracy(one: LabelledRun) -> LabelledRun:
    """Keep the losses only."""
    return _with_curves(one, [c for c in one.run.curves if not c.metric.greater_is_better])


def drop_loss(one: LabelledRun) -> LabelledRun:
    """Keep the accuracies only."""
    return _with_curves(one, [c for c in one.run.curves if c.metric.greater_is_better])


def drop_chance_level(one: LabelledRun) -> LabelledRun:
    """Forget how many classes there are, and how large the largest is."""
    return replace(one, run=replace(one.run, n_classes=None, majority_accuracy=None))


def subsample(one: LabelledRun, n_points: int) -> LabelledRun:
    """Keep n_points steps, spread evenly over the run, the first and the last among them."""
    steps = _all_steps(one.run)
    if len(steps) <= n_points:
        return one
    kept = steps[np.linspace(0, len(steps) - 1, n_points).round().astype(int)]
    return _with_curves(one, [_at(c, np.isin(c.step, kept)) for c in one.run.curves])


def truncate(one: LabelledRun, n_points: int) -> LabelledRun:
    """Keep the first n_points steps."""
    steps = _all_steps(one.run)
    if len(steps) <= n_points:
        return one
    return _with_curves(one, [_at(c, c.step <= steps[n_points - 1]) for c in one.run.curves])


def _read_labels(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise CurveFileError(f"{str(path)!r} does not exist; wanted is one row a curve.\n{FORMAT}")
    labels = pd.read_csv(path, dtype={"curve_id": str, "set": str, "label": str})
    if absent := {"set", "curve_id", "label"} - set(labels.columns):
        raise CurveFileError(f"{str(path)!r} has no column {sorted(absent)[0]!r}; it has {', '.join(labels.columns)}.")
    if (twice := labels.curve_id[labels.curve_id.duplicated()]).size:
        raise CurveFileError(f"{str(path)!r} names the curve {twice.iloc[0]!r} twice.")
    return labels.set_index("curve_id")


def _fingerprint(run: RunData) -> str:
    parts = [part for c in run.curves for part in (c.key.encode(), c.step.tobytes(), c.value.tobytes())]
    return sha256(b"|".join(parts)).hexdigest()


def _is_finite(curve: Curve) -> bool:
    return bool(np.isfinite(curve.value).all())


def _all_steps(run: RunData) -> IntArray:
    return np.unique(np.concatenate([c.step for c in run.curves])) if run.curves else np.empty(0, np.int64)


def _at(curve: Curve, kept: np.ndarray) -> Curve:
    return replace(curve, step=curve.step[kept], value=curve.value[kept])


def _with_curves(one: LabelledRun, curves: Sequence[Curve]) -> LabelledRun:
    return replace(one, run=replace(one.run, curves=tuple(c for c in curves if len(c))))


def _align(run: RunData) -> History:
    empty = np.empty(0)

    def finite(split: str, *, is_loss: bool) -> tuple[IntArray, FloatArray]:
        chosen = (c for c in run.curves if c.split == split and c.metric.greater_is_better is not is_loss)
        curve = next(chosen, None)
        if curve is None:
            return np.empty(0, np.int64), empty
        kept = np.isfinite(curve.value)
        return curve.step[kept], curve.value[kept]

    def pair(*, is_loss: bool) -> tuple[IntArray, FloatArray, FloatArray]:
        (train_step, train), (step, validation) = (finite(s, is_loss=is_loss) for s in ("train", "validation"))
        common, i, j = np.intersect1d(train_step, step, assume_unique=True, return_indices=True)
        return common, train[i], validation[j]

    step, train_loss, validation_loss = pair(is_loss=True)
    _, train_accuracy, validation_accuracy = pair(is_loss=False)
    train = next((c for c in run.curves if c.split == "train" and not c.metric.greater_is_better), None)
    broken = None if train is None or _is_finite(train) else int(train.step[np.argmin(np.isfinite(train.value))])
    return History(
        step=step,
        train_loss=train_loss,
        validation_loss=validation_loss,
        train_accuracy=train_accuracy,
        validation_accuracy=validation_accuracy,
        validation_accuracy_alone=finite("validation", is_loss=False)[1],
        first_nan_of_train=broken,
    )
