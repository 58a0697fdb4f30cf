"""What every logger uses: curves and predictions, from training code to the active run."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import mlflow
from numpy.typing import ArrayLike

from lossacc_mlflow import store
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.keys import parse_key
from lossacc_mlflow.loggers.judged import judged_predictions, judged_regression, judged_top_predictions
from lossacc_mlflow.records import PredictionSummary, RegressionSummary, Split, StepUnit

__all__ = ["log_curves", "log_predictions", "log_regression", "log_top_predictions", "run_tags"]


def log_curves(
    values: Mapping[str, Sequence[float]],
    *,
    step: Sequence[int] | None = None,
    step_unit: StepUnit = "epoch",
    loss: str | None = None,
    n_classes: int | None = None,
    class_counts: Mapping[str, int] | None = None,
    baseline_accuracy: float | None = None,
    baseline_loss: float | None = None,
    run_id: str | None = None,
) -> None:
    """Log whole curves to a run, in a few batches.

    Parameters
    ----------
    values : mapping of str to sequence of float, each of length n_steps
        By key, such as ``train_loss``, ``val_loss``, ``train_accuracy``, ``val_accuracy``.
    step : sequence of int, length n_steps, optional
        1 to n_steps by default.
    step_unit : {"epoch", "iteration", "n_estimators", "n_samples", "global_step"}
    loss : str, optional
        What ``*_loss`` is, such as ``log_loss``; rules that need to know are not applicable without it.
    n_classes : int, optional
    class_counts : mapping of class label to count, optional
        In the training data.
    baseline_accuracy, baseline_loss : float, optional
        What a rule reaches on the validation data that needs no training, or hardly any (FIT004).
    run_id : str, optional
        The active run by default.

    Raises
    ------
    InputError
        If no run is active and none is given, a key is not known, or lengths differ.
    StoreError
        If MLflow cannot be reached or refuses.
    """
    lengths = {len(series) for series in values.values()}
    steps = list(range(1, max(lengths, default=0) + 1)) if step is None else [int(s) for s in step]
    if lengths - {len(steps)}:
        raise InputError(f"curves have {sorted(lengths)} values for {len(steps)} steps: give one value a step.")
    unknown = [key for key in values if parse_key(key) is None]
    if unknown:
        raise InputError(
            f"no curve would be recognised under {', '.join(map(repr, unknown))}: use keys such as 'train_loss', "
            "'val_loss', 'train_accuracy', 'val_accuracy'."
        )
    tags = run_tags(
        step_unit=step_unit,
        loss=loss,
        n_classes=n_classes,
        class_counts=class_counts,
        baseline_accuracy=baseline_accuracy,
        baseline_loss=baseline_loss,
    )
    run = _run_id(run_id)
    store.log_points(run, {key: (steps, [float(v) for v in series]) for key, series in values.items()})
    store.set_tags(run, tags)


def run_tags(
    *,
    step_unit: StepUnit | None = None,
    loss: str | None = None,
    n_classes: int | None = None,
    class_counts: Mapping[str, int] | None = None,
    baseline_accuracy: float | None = None,
    baseline_loss: float | None = None,
) -> dict[str, str]:
    """Return the tags that tell what was logged; those of unknown things are left out."""
    tags: dict[str, str] = {}
    if step_unit is not None:
        tags["lossacc.step_unit"] = step_unit
    if loss is not None:
        tags["lossacc.loss"] = loss
    if n_classes is not None:
        tags["lossacc.n_classes"] = str(n_classes)
    if class_counts is not None:
        tags["lossacc.class_counts"] = json.dumps({str(k): int(v) for k, v in class_counts.items()}, sort_keys=True)
    for name, baseline in (("baseline_accuracy", baseline_accuracy), ("baseline_loss", baseline_loss)):
        if baseline is not None:
            tags[f"lossacc.{name}"] = repr(float(baseline))
    return tags


def log_predictions(
    y_true: ArrayLike | Iterable[Any],
    y_proba: ArrayLike | None = None,
    split: Split = "validation",
    *,
    step: int | None = None,
    sample_id: Sequence[object] | None = None,
    labels: Sequence[object] | None = None,
    sample_weight: ArrayLike | None = None,
    label_issues: bool | None = None,
    run_id: str | None = None,
) -> PredictionSummary:
    """Log what the predictions of one split say: a summary, and a few numbers a sample.

    With `step`, call it after every epoch: the summaries of all steps are kept as
    ``lossacc/predictions/<split>_by_step.csv``, the samples of the latest step. So one sees whether a rising loss is a
    matter of calibration or of refinement, and which step is the best after recalibration. A run without logged loss
    or accuracy of this split is judged by these. Temperature and refinement are fitted anew at every step: 10,000
    samples of 10 classes take less than 0.1 s with all that is written, and six requests of a server.

    Predictions that do not fit into memory are given as blocks of rows, such as a generator that runs the model on one
    batch after another: ``log_predictions((y, model.predict_proba(X)) for X, y in batches)``. They are read once, and
    what exceeds 256 MiB waits in a temporary file.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,), or iterable of blocks
        Without `y_proba`: an iterable of ``(y_true, y_proba)`` or ``(y_true, y_proba, sample_weight)``.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), optional
    split : {"train", "validation", "test"}
    step : int, optional
        Of the training, in the same unit as the curves (tag ``lossacc.step_unit``, epochs by default). Logged twice,
        the last one counts.
    sample_id : sequence of length n_samples, optional
        By which samples are matched across runs; their position by default.
    labels : sequence of length n_classes, optional
        The class of each column.
    sample_weight : array-like of shape (n_samples,), optional
        By which every mean of the summary is weighted; kept with the samples. Those of blocks belong into the blocks.
    label_issues : bool, optional
        Whether to look for wrong labels (extra ``cleanlab``). By default where it is installed, on held-out splits,
        and not at a `step`. Not done where the probabilities do not stay in memory.
    run_id : str, optional
        The active run by default.

    Returns
    -------
    PredictionSummary

    Raises
    ------
    PredictionsError
        If labels and probabilities do not fit together; nothing is logged then.
    InputError
        If the step is no integer, or no run is active and none is given.
    StoreError
        If MLflow cannot be reached or refuses.
    """
    judged = judged_predictions(
        y_true,
        y_proba,
        split,
        step=step,
        sample_id=sample_id,
        labels=labels,
        sample_weight=sample_weight,
        label_issues=label_issues,
    )
    store.keep(_run_id(run_id), judged)
    return cast("PredictionSummary", judged.summary)


def log_top_predictions(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    confidence: ArrayLike,
    split: Split = "validation",
    *,
    p_true: ArrayLike | None = None,
    step: int | None = None,
    sample_id: Sequence[object] | None = None,
    labels: Sequence[object] | None = None,
    run_id: str | None = None,
) -> PredictionSummary:
    """Log answers and their confidence, where the probabilities of all classes are too many to keep or to pass on.

    With `p_true` nothing of the log loss is missing; without it, that of wrong answers is not known, and no rule asks
    for it. What needs every probability (temperature, refinement, suspected labels) is left out.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        True and answered class.
    confidence : array-like of shape (n_samples,)
        Probability of the answer.
    split : {"train", "validation", "test"}
    p_true : array-like of shape (n_samples,), optional
        Probability of the true class.
    step : int, optional
        As in `log_predictions`.
    sample_id : sequence of length n_samples, optional
        By which samples are matched across runs; their position by default.
    labels : sequence of length n_classes, optional
        All classes; those that were seen by default.
    run_id : str, optional
        The active run by default.

    Returns
    -------
    PredictionSummary

    Raises
    ------
    PredictionsError
        If the arrays do not fit together; nothing is logged then.
    InputError
        If the step is no integer, or no run is active and none is given.
    StoreError
        If MLflow cannot be reached or refuses.
    """
    judged = judged_top_predictions(
        y_true, y_pred, confidence, split, p_true=p_true, step=step, sample_id=sample_id, labels=labels
    )
    store.keep(_run_id(run_id), judged)
    return cast("PredictionSummary", judged.summary)


def log_regression(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    split: Split = "validation",
    *,
    sample_id: Sequence[object] | None = None,
    run_id: str | None = None,
) -> RegressionSummary:
    """Log what the predicted numbers of one split say: a summary, and target and prediction of every sample.

    Parameters
    ----------
    y_true, y_pred : array-like of numbers, shape (n_samples,) or (n_samples, 1)
        In the unit of the target.
    split : {"train", "validation", "test"}
    sample_id : sequence of length n_samples, optional
        By which samples are matched across runs; their position by default.
    run_id : str, optional
        The active run by default.

    Returns
    -------
    RegressionSummary

    Raises
    ------
    PredictionsError
        If targets and predictions do not fit together; nothing is logged then.
    InputError
        If no run is active and none is given.
    StoreError
        If MLflow cannot be reached or refuses.
    """
    judged = judged_regression(y_true, y_pred, split, sample_id=sample_id)
    store.keep(_run_id(run_id), judged)
    return cast("RegressionSummary", judged.summary)


def _run_id(run_id: str | None) -> str:
    if run_id is not None:
        return run_id
    active = mlflow.active_run()
    if active is None:
        raise InputError("no run is active: call this inside 'with mlflow.start_run():', or pass run_id.")
    return str(active.info.run_id)
