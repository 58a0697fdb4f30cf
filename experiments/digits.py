"""The main job: ten kinds of models on the handwritten digits, each trained, diagnosed and compared.

The over-trained network must come out as ``loss_overfitting``: its validation loss rises by half while its validation
accuracy holds. Everything is seeded; run it with ``python -m experiments.digits`` or ``mlflow run .``.
"""

from collections.abc import Mapping
from importlib.util import find_spec

from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from experiments.data import DataSet, load_data
from experiments.job import Expected, run_job
from experiments.models import (
    Recipe,
    TrainedModel,
    by_epoch,
    by_sample_size,
    by_step,
)

__all__ = ["EXPECTED", "RECIPES", "main"]

OVER_TRAINED = "mlp, over-trained"


def logistic_regression(data: DataSet) -> TrainedModel:
    """Logistic regression, by epochs of SAGA."""
    return by_epoch(LogisticRegression(solver="saga", C=1.0, random_state=0), data, n_epochs=60)


def strongly_regularised_mlp(data: DataSet) -> TrainedModel:
    """Return a network held back by its penalty: hesitant on every digit."""
    model = MLPClassifier(64, alpha=3, learning_rate_init=0.003, batch_size=64, random_state=0)
    return by_epoch(model, data, n_epochs=60)


def weakly_regularised_mlp(data: DataSet) -> TrainedModel:
    """Return a network as one would train it."""
    model = MLPClassifier(128, alpha=0.001, batch_size=32, random_state=0)
    return by_epoch(model, data, n_epochs=60)


def over_trained_mlp(data: DataSet) -> TrainedModel:
    """Return a deep network without any penalty, trained for four times the epochs that its loss needs."""
    model = MLPClassifier(
        (64, 64, 64), activation="logistic", alpha=0, learning_rate_init=0.005, batch_size=16, random_state=0
    )
    return by_epoch(model, data, n_epochs=150)


def random_forest(data: DataSet) -> TrainedModel:
    """Random forest, by its trees."""
    return by_step(RandomForestClassifier(200, random_state=0), data)


def hist_gradient_boosting(data: DataSet) -> TrainedModel:
    """Histogram gradient boosting, by its iterations."""
    return by_step(HistGradientBoostingClassifier(max_iter=100, max_leaf_nodes=8, random_state=0), data)


def gradient_boosting(data: DataSet) -> TrainedModel:
    """Stochastic gradient boosting, by its iterations."""
    model = GradientBoostingClassifier(n_estimators=120, subsample=0.5, max_features="sqrt", random_state=0)
    return by_step(model, data)


def naive_bayes(data: DataSet) -> TrainedModel:
    """Gaussian naive Bayes: it has no steps, and takes correlated pixels for independent evidence."""
    return by_sample_size(GaussianNB(var_smoothing=1e-3), data)


def calibrated_svc(data: DataSet) -> TrainedModel:
    """Support vector classifier, its probabilities calibrated by cross-validation."""
    return by_sample_size(CalibratedClassifierCV(SVC(C=10), ensemble=False), data)


def convolutional_network(data: DataSet) -> TrainedModel:
    """Small convolutional network in PyTorch."""
    from experiments.cnn import ConvolutionalNetwork  # noqa: PLC0415  (only where torch is installed)

    return by_epoch(ConvolutionalNetwork(), data, n_epochs=30)


RECIPES: Mapping[str, Recipe] = {
    "logistic regression": logistic_regression,
    "mlp, strongly regularised": strongly_regularised_mlp,
    "mlp, weakly regularised": weakly_regularised_mlp,
    OVER_TRAINED: over_trained_mlp,
    "random forest": random_forest,
    "hist gradient boosting": hist_gradient_boosting,
    "gradient boosting": gradient_boosting,
    "naive Bayes": naive_bayes,
    "svc, calibrated": calibrated_svc,
    **({"convolutional network": convolutional_network} if find_spec("torch") else {}),
}
EXPECTED: Mapping[str, Expected] = {
    OVER_TRAINED: Expected("loss_overfitting", ("FIT001", "FIT005", "DIS001"), undecided=("DIS006",)),
}


def main() -> None:
    """Run the job."""
    run_job("digits", RECIPES, load_data("digits"), EXPECTED)


if __name__ == "__main__":
    main()
