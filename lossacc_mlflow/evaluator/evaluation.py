"""From an evaluated dataset to a diagnosed run, by the same way that training code takes."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from mlflow.models import EvaluationArtifact, EvaluationResult
from mlflow.models.evaluation.artifacts import (
    CsvEvaluationArtifact,
    ImageEvaluationArtifact,
    JsonEvaluationArtifact,
    TextEvaluationArtifact,
)
from mlflow.tracking.artifact_utils import get_artifact_uri

from lossacc_mlflow import store
from lossacc_mlflow.errors import InputError, PredictionsError
from lossacc_mlflow.evaluator.answers import Answers, classifier_answers, read_sample_id, regressor_answers
from lossacc_mlflow.evaluator.options import EvaluatorOptions
from lossacc_mlflow.loggers.base import log_curves, log_predictions, log_regression
from lossacc_mlflow.outputs import run_update
from lossacc_mlflow.pipeline import diagnose
from lossacc_mlflow.predictions.inputs import check_weight
from lossacc_mlflow.records import Artifact, RunUpdate, Split
from lossacc_mlflow.wording import percent

__all__ = ["evaluate"]

_logger = logging.getLogger(__name__)

_ACCURACY_KEYS: Mapping[Split, str] = {"train": "train_accuracy", "validation": "val_accuracy", "test": "test_accuracy"}
_KINDS: Mapping[str, type[EvaluationArtifact]] = {
    ".png": ImageEvaluationArtifact,
    ".csv": CsvEvaluationArtifact,
    ".json": JsonEvaluationArtifact,
    ".html": TextEvaluationArtifact,
}


def evaluate(
    model: Any,  # noqa: ANN401  (mlflow.pyfunc.PyFuncModel, or what looks like one)
    dataset: Any,  # noqa: ANN401  (mlflow.data.evaluation_dataset.EvaluationDataset)
    options: EvaluatorOptions,
    *,
    is_classifier: bool,
    run_id: str,
    output_column: str | None = None,
    model_id: str | None = None,
) -> EvaluationResult:
    """Log what a model predicts, diagnose the run, and write the result to it.

    Parameters
    ----------
    model : mlflow.pyfunc.PyFuncModel or None
    dataset : mlflow.data.evaluation_dataset.EvaluationDataset
    options : EvaluatorOptions
    is_classifier : bool
    run_id : str
    output_column : str, optional
        Column of the model's output that holds the predictions.
    model_id : str, optional

    Returns
    -------
    mlflow.models.EvaluationResult
        Empty where something failed.

    Raises
    ------
    InputError
        If the options do not fit the data.
    """
    try:
        sample_id = read_sample_id(dataset, options)
        ask = classifier_answers if is_classifier else regressor_answers
        answers = ask(model, dataset, options, output_column=output_column)
        _log(answers, dataset.labels_data, options, sample_id, is_classifier=is_classifier, run_id=run_id)
        return _diagnosed(run_id, model_id)
    except Exception as error:
        if isinstance(error, InputError) and not isinstance(error, PredictionsError):
            raise
        _logger.warning("lossacc could not explain this evaluation: %s", error)
        _logger.debug("", exc_info=True)
        with suppress(Exception):  # the store itself may be what failed
            store.set_tags(run_id, {"lossacc.status": f"failed: {error}"[:500]})
        return EvaluationResult({}, {}, run_id)


def _log(
    answers: Answers,
    y_true: Any,  # noqa: ANN401  (array-like)
    options: EvaluatorOptions,
    sample_id: list[object] | None,
    *,
    is_classifier: bool,
    run_id: str,
) -> None:
    """Log the answers as training code would."""
    weight = options.sample_weights
    if weight is not None and len(weight) != len(y_true):
        raise InputError(f"option sample_weights has {len(weight)} entries for {len(y_true)} samples: give one each.")
    if not is_classifier:
        if weight is not None:
            _logger.warning("lossacc counts every sample of a regression once: sample_weights is left out.")
        log_regression(y_true, answers.array, options.split, sample_id=sample_id, run_id=run_id)
    elif answers.are_probabilities:
        log_predictions(
            y_true,
            answers.array,
            options.split,
            sample_id=sample_id,
            labels=answers.labels,
            sample_weight=weight,
            run_id=run_id,
        )
    else:
        _log_accuracy(np.asarray(y_true), answers.array, options, run_id)


def _log_accuracy(
    y_true: Any,  # noqa: ANN401  (an array of labels)
    y_pred: Any,  # noqa: ANN401  (an array of labels)
    options: EvaluatorOptions,
    run_id: str,
) -> None:
    """Log what labels alone tell, and say what they do not."""
    if len(y_true) != len(y_pred):
        raise PredictionsError(f"there are {len(y_pred)} predictions for {len(y_true)} samples: give one a sample.")
    right = [str(a) == str(b) for a, b in zip(y_true.tolist(), y_pred.tolist(), strict=True)]
    accuracy = float(np.average(right, weights=check_weight(options.sample_weights, len(right))))
    n_classes = len(np.unique(y_true))
    log_curves(
        {_ACCURACY_KEYS[options.split]: [accuracy]},
        step=[0],
        n_classes=n_classes if n_classes > 1 else None,
        run_id=run_id,
    )
    _logger.warning(
        "lossacc saw labels and no probabilities: the accuracy is %s, but the loss, who carries it, calibration and "
        "the worst samples are not known. Evaluate a model with predict_proba, or one that answers with "
        "probabilities, or name the columns that hold them in evaluator_config={'lossacc': {'probabilities': [...]}}.",
        percent(accuracy),
    )


def _diagnosed(run_id: str, model_id: str | None) -> EvaluationResult:
    """Diagnose the run and write the result to it.

    With a model id, MLflow logs the metrics that are returned, to the run and to the model: those that the run does
    not have yet are left to it, so that none stands there twice.
    """
    diagnosis = diagnose(run_id)
    update = run_update(diagnosis)
    known = diagnosis.run.own_metrics
    written = {k: v for k, v in update.metrics.items() if k in known} if model_id is not None else update.metrics
    store.write_update(diagnosis.run, replace(update, metrics=written))
    return EvaluationResult(dict(update.metrics), _artifacts(run_id, update), run_id)


def _artifacts(run_id: str, update: RunUpdate) -> dict[str, EvaluationArtifact]:
    """The files of an update as MLflow returns them from an evaluation, by their path on the run."""
    with TemporaryDirectory() as folder:
        return {a.path: _artifact(run_id, a, Path(folder)) for a in update.artifacts if Path(a.path).suffix in _KINDS}


def _artifact(run_id: str, artifact: Artifact, folder: Path) -> EvaluationArtifact:
    made = _KINDS[Path(artifact.path).suffix](get_artifact_uri(run_id, artifact.path))
    copy = folder / Path(artifact.path).name
    copy.write_bytes(artifact.body)
    made._load(str(copy))  # noqa: SLF001  (as evaluators have to: there is no public way)
    return made
