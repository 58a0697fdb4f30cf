"""Two trainings of half a minute, plain and with ours beside them: a PyTorch loop and a Keras fit of the same kind."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import lossacc_mlflow
from benchmarks.stores import use_database

__all__ = ["KERAS_TRAINING", "TORCH_TRAINING", "load_images", "train_keras", "train_torch"]

TORCH_TRAINING = (
    "PyTorch loop: three convolutions (32, 64, 64) and a head, digits at 16 x 16 pixels, batches of 64, Adam"
)
KERAS_TRAINING = "Keras fit (torch backend): the same layers, data and batches"
_BATCH = 64


def load_images(folder: Path, n_epochs: int) -> Sequence[Any]:
    """Make a store, and scikit-learn's digits at twice their size.

    Parameters
    ----------
    folder : Path
    n_epochs : int

    Returns
    -------
    list
        What both trainings take.
    """
    use_database(folder)
    images, y = load_digits(return_X_y=True)
    images = np.kron(images.reshape(-1, 8, 8) / 16, np.ones((2, 2))).astype(np.float32)[:, None]
    return [*train_test_split(images, y.astype(np.int64), test_size=0.2, random_state=0, stratify=y), n_epochs]


def train_torch(X: Any, X_val: Any, y: Any, y_val: Any, n_epochs: int, *, is_logged: bool) -> dict[str, float]:  # noqa: ANN401, N803
    """Train by a loop of one's own; both splits are scored after each epoch either way.

    Parameters
    ----------
    X, X_val : ndarray of shape (n_samples, 1, 16, 16)
    y, y_val : ndarray of shape (n_samples,)
    n_epochs : int
    is_logged : bool
        Whether our log counts and keeps the predictions; without it the loop counts for itself, as loops do.

    Returns
    -------
    dict of str to float
        The last validation loss and accuracy: the same on both sides.
    """
    import torch  # noqa: PLC0415  (of this side only)
    from torch import nn  # noqa: PLC0415

    from lossacc_mlflow.loggers.torch import track  # noqa: PLC0415

    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * 64, 10)),
    )
    optimizer, criterion = torch.optim.Adam(model.parameters(), 3e-4), nn.CrossEntropyLoss()
    data = {"train": (torch.tensor(X), torch.tensor(y)), "validation": (torch.tensor(X_val), torch.tensor(y_val))}
    figures = {}
    with track(predictions="last") if is_logged else nullcontext() as log:
        for _ in range(n_epochs):
            for split, (inputs, targets) in data.items():
                model.train(split == "train")
                order = torch.randperm(len(targets)) if split == "train" else torch.arange(len(targets))
                total, n_right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
                for batch in order.split(_BATCH):
                    with torch.set_grad_enabled(split == "train"):
                        logits = model(inputs[batch])
                        loss = criterion(logits, targets[batch])
                    if split == "train":
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
                    if log is not None:
                        log.log_batch(loss, logits, targets[batch], split=split)
                    total += loss.detach() * len(batch)
                    n_right += (logits.argmax(1) == targets[batch]).sum()
                figures = {"loss": float(total) / len(targets), "accuracy": int(n_right) / len(targets)}
            if log is not None:
                log.end_epoch()
    return figures


def train_keras(X: Any, X_val: Any, y: Any, y_val: Any, n_epochs: int, *, is_logged: bool) -> dict[str, float]:  # noqa: ANN401, N803
    """Train by ``model.fit``; with `is_logged` our automatic logging is on.

    Parameters
    ----------
    X, X_val, y, y_val, n_epochs, is_logged
        As those of `train_torch`.

    Returns
    -------
    dict of str to float
        The last validation loss and accuracy: the same on both sides.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras  # noqa: PLC0415  (its backend is chosen when it is imported)

    keras.utils.set_random_seed(0)
    keras.config.set_image_data_format("channels_first")
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((1, 16, 16)),
            *(layers.Conv2D(32, 3, padding="same", activation="relu"), layers.Conv2D(64, 3, padding="same")),
            *(layers.ReLU(), layers.MaxPooling2D(2), layers.Conv2D(64, 3, padding="same", activation="relu")),
            *(layers.Flatten(), layers.Dropout(0.25), layers.Dense(10, activation="softmax")),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
    if is_logged:
        lossacc_mlflow.autolog(predictions="last", diagnose=False)
    try:
        with mlflow.start_run() if is_logged else nullcontext():
            fitted = model.fit(X, y, validation_data=(X_val, y_val), epochs=n_epochs, batch_size=_BATCH, verbose=0)
    finally:
        lossacc_mlflow.autolog(disable=True)
    # On PyTorch, Keras keeps tensors.
    return {name: float(fitted.history[f"val_{name}"][-1]) for name in ("loss", "accuracy")}
