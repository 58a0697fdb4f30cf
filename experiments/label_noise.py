"""The validation loss rises from the first epoch, and no temperature makes it good. Is the model bad, or the labels?

One softmax regression learns the digits, and is judged twice on the same validation digits: with the labels as they
are, and with one in ten replaced by another digit, as careless annotators would. The first run is healthy. In the
second the loss is seven times as high, rises from the start and looks over-confident: every wrong label is an error
that the model is sure of, and it is right to be.

Confident learning finds the labels to look at: it suspects 67, and 58 of them are among the 65 that were replaced
(precision 87 %, recall 89 %). They carry 87 % of the loss. That it is not the model shows in which answers they are: of
wrong labels half are among the surer half of the answers, of a model's own mistakes few.
"""

from collections.abc import Mapping
from importlib.util import find_spec

import mlflow
import numpy as np
from sklearn.linear_model import LogisticRegression

from experiments.data import DataSet, load_data, with_noisy_labels
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch
from lossacc_mlflow.records import Comparison

__all__ = ["COMPARISON", "EXPECTED", "RECIPES", "main"]

AS_THEY_ARE, REPLACED = "labels as they are", "one in ten replaced"
SHARE = 0.1
MIN_PRECISION = MIN_RECALL = 0.75


def as_they_are(data: DataSet) -> TrainedModel:
    """Return a softmax regression."""
    return by_epoch(LogisticRegression(solver="saga", C=10, random_state=0), data, n_epochs=60)


def one_in_ten_replaced(data: DataSet) -> TrainedModel:
    """Return the same softmax regression, judged by other labels."""
    return as_they_are(with_noisy_labels(data, SHARE, splits=("validation",)))


RECIPES: Mapping[str, Recipe] = {AS_THEY_ARE: as_they_are, REPLACED: one_in_ten_replaced}
EXPECTED: Mapping[str, Expected] = {
    AS_THEY_ARE: Expected("healthy"),
    REPLACED: Expected("loss_overfitting", ("FIT001", "FIT005", "DIS001", "DIS002", "DIS003", "DIS006", "DIS008")),
}
COMPARISON = ("CMP003",)


def main() -> None:
    """Run the job, and hold the suspects against the labels that were replaced."""
    if find_spec("cleanlab") is None:
        raise SystemExit("suspected label errors are found by cleanlab: pip install 'lossacc-mlflow[cleanlab]'.")
    data = load_data("digits", train_size=0.5, validation_size=0.4)
    precision, recall = _log_precision_and_recall(
        run_job("label_noise", RECIPES, data, EXPECTED, comparison=COMPARISON), data
    )
    print(f"Of the suspected label errors {precision:.0%} are ones, and {recall:.0%} of all were found.")
    if precision < MIN_PRECISION or recall < MIN_RECALL:
        raise SystemExit(f"both must be at least {MIN_PRECISION:.0%}.")


def _log_precision_and_recall(comparison: Comparison, data: DataSet) -> tuple[float, float]:
    """How many suspects are errors, and how many errors are suspected."""
    diagnosis = next(d for d in comparison.diagnoses if d.run_name == REPLACED)
    suspected = diagnosis.run.samples["validation"].label_issue
    if suspected is None:
        raise SystemExit(f"nobody looked for label errors in run '{REPLACED}'.")
    noisy = with_noisy_labels(data, SHARE, splits=("validation",))
    replaced = noisy.parts["validation"].y != data.parts["validation"].y
    found = int(np.sum(suspected & replaced))
    precision, recall = found / int(suspected.sum()), found / int(replaced.sum())
    # On the run above: the diagnosis of the model lists every key that it finds.
    with mlflow.start_run(run_id=diagnosis.run.tags["mlflow.parentRunId"]):
        mlflow.log_metrics({"label_issues_precision": precision, "label_issues_recall": recall})
    return precision, recall


if __name__ == "__main__":
    main()
