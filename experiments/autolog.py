"""Is one line enough? Plain scikit-learn code, in which nothing is logged, and the curves are there all the same.

Six models learn the handwritten digits as any script would fit them: a random forest, gradient boosting, a network, a
logistic regression, a pipeline and a search. ``mlflow.sklearn.autolog()`` logs parameters, data sets and one point of
each training metric; ``lossacc_mlflow.autolog()`` adds loss and accuracy of training and validation at every step, the
predictions, and a diagnosis of every run when it ends.
"""

from collections.abc import Callable, Mapping

import mlflow
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lossacc_mlflow
from experiments.data import DataSet, load_data
from experiments.job import Expected, run_training_code

__all__ = ["EXPECTED", "RECIPES", "main"]


def random_forest(data: DataSet) -> None:
    """Fit a random forest: a curve over its trees."""
    train = data.parts["train"]
    RandomForestClassifier(100, random_state=0).fit(train.X, train.y)


def gradient_boosting(data: DataSet) -> None:
    """Fit gradient boosting: a curve over its stages."""
    train = data.parts["train"]
    model = GradientBoostingClassifier(n_estimators=60, subsample=0.5, max_features="sqrt", random_state=0)
    model.fit(train.X, train.y)


def network(data: DataSet) -> None:
    """Fit a network: a curve over its epochs."""
    train = data.parts["train"]
    MLPClassifier(64, alpha=0, learning_rate_init=0.01, random_state=0).fit(train.X, train.y)


def logistic_regression(data: DataSet) -> None:
    """Fit a logistic regression: a curve over the iterations of its solver."""
    train = data.parts["train"]
    LogisticRegression(C=1.0, max_iter=200).fit(train.X, train.y)


def pipeline(data: DataSet) -> None:
    """Fit a pipeline: a curve over the iterations of its last step, on scaled pixels."""
    train = data.parts["train"]
    make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(train.X, train.y)


def search(data: DataSet) -> None:
    """Search: a curve of the best model, and a run of each candidate."""
    train = data.parts["train"]
    model = HistGradientBoostingClassifier(max_iter=40, random_state=0)
    GridSearchCV(model, {"max_leaf_nodes": [4, 16]}, cv=3).fit(train.X, train.y)


RECIPES: Mapping[str, Callable[[DataSet], None]] = {
    "random forest": random_forest,
    "gradient boosting": gradient_boosting,
    "network": network,
    "logistic regression": logistic_regression,
    "pipeline": pipeline,
    "search": search,
}
EXPECTED: Mapping[str, Expected] = {
    "random forest": Expected("healthy", ("DIS004", "DIS006")),
    "gradient boosting": Expected("still_improving", ("TRN006", "DIS004", "DIS006")),
    "network": Expected("healthy"),
    "logistic regression": Expected("healthy", ("DIS004", "DIS006")),
    "pipeline": Expected("healthy", ("DIS004", "DIS006")),
    "search": Expected("still_improving", ("TRN006",)),
}


def main() -> None:
    """Switch both on, run the training code, and check what came out."""
    data = load_data("digits")
    held_out = data.parts["validation"]
    mlflow.sklearn.autolog(log_models=False, silent=True)
    lossacc_mlflow.autolog(validation_data=(held_out.X, held_out.y))
    run_training_code("autolog", RECIPES, data, EXPECTED)


if __name__ == "__main__":
    main()
