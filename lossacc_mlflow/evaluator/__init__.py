"""The ``mlflow.model_evaluator`` entry point: ``mlflow.models.evaluate(..., evaluators=["default", "lossacc"])``.

MLflow loads it while it is imported itself, so nothing else of this package, nor MLflow, is imported before its use.
"""

from collections.abc import Mapping
from inspect import currentframe
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.models import EvaluationResult

__all__ = ["LossaccEvaluator"]

_MODEL_TYPES = ("classifier", "regressor")
_OWN_OPTIONS = frozenset({"split", "probabilities", "proba_prefix", "sample_id"})


class LossaccEvaluator:
    """Explains the predictions of a classifier or regressor that MLflow evaluates, on the run it evaluates them in.

    The run gets what ``log_predictions`` (``log_regression``) and ``diagnose(run_id, write=True)`` would give it. The
    class has the two methods of ``mlflow.models.ModelEvaluator``, of which it cannot be a subclass: MLflow is still
    being imported when it asks for this class.

    Options of ``evaluator_config={"lossacc": {...}}`` are the fields of
    :class:`lossacc_mlflow.evaluator.options.EvaluatorOptions`.
    """

    name = "lossacc"

    @classmethod
    def can_evaluate(cls, *, model_type: str | None, evaluator_config: Mapping[str, Any] | None, **_: object) -> bool:
        """Tell whether this evaluator is to run.

        Parameters
        ----------
        model_type : str or None
        evaluator_config : mapping or None

        Returns
        -------
        bool
            With ``evaluators=None`` MLflow runs all whoever can: then only where an option is given that only this
            evaluator has. Where it was named, for classifiers and regressors.
        """
        if model_type not in _MODEL_TYPES:
            return False
        # MLflow asks with the same arguments while it collects evaluators and before it runs a named one.
        frame = currentframe()
        caller = frame.f_back.f_code.co_name if frame is not None and frame.f_back is not None else ""
        return caller == "_evaluate" or bool(_OWN_OPTIONS & set(evaluator_config or {}))

    def evaluate(
        self,
        *,
        model_type: str,
        dataset: Any,  # noqa: ANN401  (mlflow.data.evaluation_dataset.EvaluationDataset)
        run_id: str,
        evaluator_config: Mapping[str, Any] | None,
        model: Any = None,  # noqa: ANN401  (mlflow.pyfunc.PyFuncModel, or what looks like one)
        predictions: str | None = None,
        model_id: str | None = None,
        **_: object,
    ) -> "EvaluationResult":
        """Log the predictions, diagnose the run, and write the result to it.

        Parameters
        ----------
        model_type : {"classifier", "regressor"}
        dataset : mlflow.data.evaluation_dataset.EvaluationDataset
        run_id : str
        evaluator_config : mapping
        model : mlflow.pyfunc.PyFuncModel, optional
            The predictions stand in the dataset where there is none.
        predictions : str, optional
            Column of the model's output that holds the predictions.
        model_id : str, optional
            Of the logged model, to which MLflow logs the metrics that are returned.

        Returns
        -------
        mlflow.models.EvaluationResult
            Metrics ``lossacc/...`` as they stand on the run, and the artifacts by their path. Empty where something
            failed: the tag ``lossacc.status`` and one warning then say what.

        Raises
        ------
        InputError
            If an option is not known or does not fit the data.
        """
        from lossacc_mlflow.evaluator.evaluation import evaluate  # noqa: PLC0415  (see the module)
        from lossacc_mlflow.evaluator.options import read_options  # noqa: PLC0415

        return evaluate(
            model,
            dataset,
            read_options(evaluator_config or {}),
            is_classifier=model_type == "classifier",
            run_id=run_id,
            output_column=predictions,
            model_id=model_id,
        )
