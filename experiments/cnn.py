"""A small convolutional network in PyTorch that trains like a scikit-learn classifier."""

from typing import Any

import numpy as np
import torch
from torch import nn

from lossacc_mlflow.records import FloatArray, IntArray

__all__ = ["ConvolutionalNetwork"]

_SIDE = 8


class ConvolutionalNetwork:
    """Two convolutions and a dense layer for images of 8 x 8 pixels, on the CPU, deterministic.

    Parameters
    ----------
    channels : int
        Of the first convolution; the second has twice as many.
    learning_rate : float
        Of Adam.
    weight_decay : float
    batch_size : int
    random_state : int
        Seed of the weights and of the order of the samples.
    """

    def __init__(
        self,
        *,
        channels: int = 16,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-4,
        batch_size: int = 64,
        random_state: int = 0,
    ) -> None:
        self.channels = channels
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.random_state = random_state

    def get_params(self) -> dict[str, object]:
        """Return the parameters by name."""
        names = ("channels", "learning_rate", "weight_decay", "batch_size", "random_state")
        return {name: getattr(self, name) for name in names}

    def partial_fit(self, X: FloatArray, y: IntArray, classes: IntArray) -> "ConvolutionalNetwork":  # noqa: N803
        """Train for one epoch; the first call sets up the network for labels 0 to n_classes - 1."""
        if not hasattr(self, "network_"):
            self._set_up(classes)
        images, targets = _images(X), torch.from_numpy(y)
        self.network_.train()
        for batch in torch.randperm(len(targets), generator=self.generator_).split(self.batch_size):
            self.optimizer_.zero_grad()
            nn.functional.cross_entropy(self.network_(images[batch]), targets[batch]).backward()
            self.optimizer_.step()
        return self

    def predict_proba(self, X: FloatArray) -> FloatArray:  # noqa: N803
        """Return probabilities of shape (n_samples, n_classes); the softmax is taken in double precision."""
        self.network_.eval()
        with torch.inference_mode():
            proba: FloatArray = self.network_(_images(X)).double().softmax(dim=1).numpy()
        return proba

    def _set_up(self, classes: IntArray) -> None:
        torch.use_deterministic_algorithms(mode=True)
        # Sums depend on the number of threads, and images of 64 pixels are too small to gain from more than one.
        torch.set_num_threads(1)
        torch.manual_seed(self.random_state)
        self.generator_ = torch.Generator().manual_seed(self.random_state)
        self.classes_ = np.asarray(classes)
        self.network_ = _network(self.channels, len(self.classes_))
        self.optimizer_ = torch.optim.AdamW(
            self.network_.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )


def _network(channels: int, n_classes: int) -> Any:  # noqa: ANN401  (torch is not type-checked here)
    return nn.Sequential(
        nn.Conv2d(1, channels, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(2 * channels * (_SIDE // 2) ** 2, n_classes),
    )


def _images(X: FloatArray) -> Any:  # noqa: ANN401, N803
    return torch.from_numpy(X.reshape(-1, 1, _SIDE, _SIDE).astype(np.float32))
