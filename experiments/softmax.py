"""Softmax regression as one writes it on a first day, with the mistake that one makes there."""

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.records import FloatArray, IntArray

__all__ = ["NaiveSoftmaxRegression"]


class NaiveSoftmaxRegression:
    """Softmax regression in single precision, by mini-batches with momentum; its softmax overflows.

    The exponentials are taken of the logits as they are, without taking off the largest one first. Single precision
    ends at exp(88.7): beyond that a probability is infinity over infinity, which is NaN, and so is every weight after
    the next step.

    Parameters
    ----------
    learning_rate : float
    momentum : float
    batch_size : int
    random_state : int
        Seed of the order of the samples.
    """

    def __init__(
        self, *, learning_rate: float = 0.1, momentum: float = 0.9, batch_size: int = 32, random_state: int = 0
    ) -> None:
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.batch_size = batch_size
        self.random_state = random_state

    def get_params(self) -> dict[str, object]:
        """Return the parameters by name."""
        return {name: getattr(self, name) for name in ("learning_rate", "momentum", "batch_size", "random_state")}

    def partial_fit(self, X: FloatArray, y: IntArray, classes: IntArray) -> "NaiveSoftmaxRegression":  # noqa: N803
        """Train for one epoch on labels 0 to n_classes - 1; the first call sets the weights to zero."""
        if not hasattr(self, "weights_"):
            self.weights_ = np.zeros((X.shape[1] + 1, len(classes)), dtype=np.float32)
            self.velocity_ = np.zeros_like(self.weights_)
            self.rng_ = np.random.default_rng(self.random_state)
        inputs, targets = _with_constant(X), np.eye(len(classes), dtype=np.float32)[y]
        order = self.rng_.permutation(len(y))
        for batch in np.array_split(order, range(self.batch_size, len(order), self.batch_size)):
            gradient = inputs[batch].T @ (self._softmax(inputs[batch]) - targets[batch]) / len(batch)
            self.velocity_ = self.momentum * self.velocity_ - np.float32(self.learning_rate) * gradient
            self.weights_ = self.weights_ + self.velocity_
        return self

    def predict_proba(self, X: FloatArray) -> NDArray[np.float32]:  # noqa: N803
        """Return probabilities of shape (n_samples, n_classes), or what became of them."""
        return self._softmax(_with_constant(X))

    # NumPy warns of the overflow that is the point here.
    @np.errstate(over="ignore", invalid="ignore")
    def _softmax(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        odds = np.exp(inputs @ self.weights_)
        proba: NDArray[np.float32] = odds / odds.sum(axis=1, keepdims=True)
        return proba


def _with_constant(X: FloatArray) -> NDArray[np.float32]:  # noqa: N803
    return np.hstack([X, np.ones((len(X), 1))]).astype(np.float32)
