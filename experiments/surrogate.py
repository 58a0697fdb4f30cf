"""What one wants is few errors; what one trains on is a hinge, a logarithm or a square. How far apart can they be?

Four models tell odd from even digits. Three are linear and differ only in the loss that they are trained on, the
fourth is a small network. Each is judged by all losses of the same decision value f, which is positive where "odd" is
answered, and of the label y = +1 or -1:

=============  ==========================  ==================================
loss           of one sample               lowest at an error rate of e
=============  ==========================  ==================================
0-1            1 where y f <= 0            e
hinge          max(0, 1 - y f)             e
log loss       ln(1 + exp(-y f))           e ln 2
Brier          (1 + exp(y f)) ** -2        e / 4
=============  ==========================  ==================================

The three linear models err alike, on 9 % of the digits, and their log losses are 0.23, 0.27 and 0.45: a square
punishes answers that are right beyond doubt, so that its model dares none, and a hinge stops caring where f is 1.
Neither wants f to be the logarithm of odds; temperatures of 0.5 and 0.2 make it that, and the losses 0.22 and 0.23. The
network errs on 2 %, and is better by every loss. The picture `surrogates.png`, on the run above the four, shows them
and the bounds.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

from experiments.data import DataSet, load_data
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch
from experiments.surrogates import judge_surrogates, plot_surrogates
from lossacc_mlflow.records import Comparison, FloatArray, IntArray

__all__ = ["COMPARISON", "EXPECTED", "RECIPES", "main"]


class LinearClassifier:
    """Linear model of two classes, averaged over its steps; the sigmoid of its decision value is its probability.

    Parameters
    ----------
    loss : {"log_loss", "hinge", "squared_error"}
        What it is trained on.
    alpha : float
        Weight of the penalty.
    eta0 : float
        Length of its steps.
    """

    def __init__(self, loss: str, *, alpha: float = 1e-3, eta0: float) -> None:
        self.loss = loss
        self.alpha = alpha
        self.eta0 = eta0
        self.model_ = SGDClassifier(
            loss=loss, alpha=alpha, learning_rate="constant", eta0=eta0, average=True, random_state=0
        )

    def get_params(self) -> dict[str, object]:
        """Return the parameters by name."""
        return {name: getattr(self, name) for name in ("loss", "alpha", "eta0")}

    def partial_fit(self, X: FloatArray, y: IntArray, classes: IntArray) -> "LinearClassifier":  # noqa: N803
        """Train for one epoch."""
        self.model_.partial_fit(X, y, classes=classes)
        return self

    def predict_proba(self, X: FloatArray) -> NDArray[np.float64]:  # noqa: N803
        """Return probabilities of shape (n_samples, 2)."""
        odd = 1 / (1 + np.exp(-self.model_.decision_function(X)))
        return np.column_stack([1 - odd, odd])


def odd_or_even() -> DataSet:
    """Return the digits, and whether they are odd."""
    data = load_data("digits", train_size=0.5, validation_size=0.4)
    parts = {split: replace(part, y=part.y % 2) for split, part in data.parts.items()}
    return replace(data, name="digits, odd or even", classes=("even", "odd"), parts=parts)


def on_log_loss(data: DataSet) -> TrainedModel:
    """Return a logistic regression."""
    return _with_surrogates(by_epoch(LinearClassifier("log_loss", eta0=0.05), data, n_epochs=40))


def on_hinge(data: DataSet) -> TrainedModel:
    """Return a linear support vector machine."""
    return _with_surrogates(by_epoch(LinearClassifier("hinge", alpha=0.005, eta0=0.02), data, n_epochs=40))


def on_squared_error(data: DataSet) -> TrainedModel:
    """Return a least squares classifier."""
    return _with_surrogates(by_epoch(LinearClassifier("squared_error", eta0=0.002), data, n_epochs=40))


def network_on_log_loss(data: DataSet) -> TrainedModel:
    """Return a network of 128 hidden units."""
    model = MLPClassifier(128, alpha=0.01, learning_rate_init=0.003, batch_size=32, random_state=1)
    return _with_surrogates(by_epoch(model, data, n_epochs=40))


def _with_surrogates(model: TrainedModel) -> TrainedModel:
    """Add all losses of the validation part to what is logged."""
    y, proba = model.data.parts["validation"].y, model.proba["validation"]
    losses = asdict(judge_surrogates(proba[np.arange(len(y)), y]))
    return replace(model, figures={f"surrogate_{name}": value for name, value in losses.items()})


RECIPES: Mapping[str, Recipe] = {
    "log loss": on_log_loss,
    "hinge": on_hinge,
    "squared error": on_squared_error,
    "network, log loss": network_on_log_loss,
}
EXPECTED: Mapping[str, Expected] = {
    "log loss": Expected("healthy"),
    "hinge": Expected("healthy", ("DIS004", "DIS006")),
    "squared error": Expected("healthy", ("DIS004", "DIS006")),
    "network, log loss": Expected("still_improving", ("TRN006",)),
}
COMPARISON = ("CMP004", "CMP006")


def draw(comparison: Comparison) -> Mapping[str, Figure]:
    """Draw the models under the bounds of each loss."""
    p_true = {d.run_name: d.run.samples["validation"].p_true for d in comparison.diagnoses}
    return {"surrogates.png": plot_surrogates({name: judge_surrogates(p_true[name]) for name in RECIPES})}


def main() -> None:
    """Run the job."""
    run_job("surrogate", RECIPES, odd_or_even(), EXPECTED, comparison=COMPARISON, draw=draw)


if __name__ == "__main__":
    main()
