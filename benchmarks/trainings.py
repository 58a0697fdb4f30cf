"""Small real trainings of several libraries, each to its full length: what a stopping rule is then shown step by step.

The data are scikit-learn's own and one that is made up; nothing is downloaded. Loss and accuracy of training and
validation data are measured in evaluation mode after every epoch (boosting: round).
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from lossacc_mlflow.records import FloatArray

__all__ = ["Trained", "Training", "run_trainings", "trainings"]

_LIBRARIES = ("sklearn", "torch", "keras", "xgboost")
_CLIP = 1e-7


@dataclass(frozen=True)
class Data:
    """Training and validation data of one training, standardised."""

    x: FloatArray
    y: NDArray[np.int64]
    x_val: FloatArray
    y_val: NDArray[np.int64]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.y.max()) + 1


@dataclass(frozen=True)
class Training:
    """One training that is to be run.

    Parameters
    ----------
    library, model : str
    data : str
        Name of the data set.
    noise : float
        Share of the labels, of both splits, that are drawn anew.
    seed : int
        Of the split, the noise and the weights.
    n_steps : int
        Epochs or rounds.
    size : float
        Units in the hidden layer, depth of the trees, or learning rate of the linear model.
    dropout : float
    rate : float
        Learning rate.
    """

    library: str
    model: str
    data: str
    noise: float
    seed: int
    n_steps: int
    size: float
    dropout: float = 0.0
    rate: float = 1e-3

    @property
    def name(self) -> str:
        """What it is, for a table."""
        return f"{self.library} {self.model}"


@dataclass(frozen=True)
class Trained:
    """A training that has run.

    Parameters
    ----------
    training : Training
    rows : tuple of mapping of str to float
        Losses and accuracies of every step, by our keys.
    n_classes, n_validation : int
    """

    training: Training
    rows: tuple[Mapping[str, float], ...]
    n_classes: int
    n_validation: int


def trainings(*, quick: bool = False) -> list[Training]:
    """List the trainings: capacities from too small to far too large, labels clean and noisy.

    Parameters
    ----------
    quick : bool
        One seed, and half of the steps.
    """
    seeds = (0,) if quick else (0, 1)
    data, noises = ("digits", "cancer", "wine", "made"), (0.0, 0.2)
    found = [
        *(
            Training("sklearn", "MLPClassifier", d, noise, seed, 200, size)
            for d, noise, seed, size in product(data, noises, seeds, (4, 256))
        ),
        *(
            Training("sklearn", "SGDClassifier", d, noise, seed, 150, 1, rate=rate)
            for d, noise, seed, rate in product(data, noises, seeds[:1], (1e-3, 1e-1))
        ),
        *(
            Training("sklearn", "GradientBoosting", d, noise, seed, 200, depth, rate=0.1)
            for d, noise, seed, depth in product(data, noises, seeds[:1], (1, 4))
        ),
        *(
            Training("torch", "network", d, noise, seed, 200, size, dropout=dropout, rate=3e-3)
            for d, noise, seed, (size, dropout) in product(data, noises, seeds, ((16, 0.0), (256, 0.0), (256, 0.5)))
        ),
        *(
            Training("keras", "network", d, noise, seed, 80, size, rate=3e-3)
            for d, noise, seed, size in product(data, noises, seeds[:1], (16, 256))
        ),
        *(
            Training("xgboost", "trees", d, noise, seed, 300, depth, rate=rate)
            for d, noise, seed, depth, rate in product(data, noises, seeds[:1], (2, 6), (0.05, 0.3))
        ),
    ]
    present = {library for library in _LIBRARIES if find_spec(library) is not None}
    return [_shortened(one) if quick else one for one in found if one.library in present]


def run_trainings(plan: Sequence[Training], *, n_jobs: int = 1) -> Iterator[Trained]:
    """Run trainings, in the order given.

    Parameters
    ----------
    plan : sequence of Training
    n_jobs : int
        Processes.

    Yields
    ------
    Trained
    """
    if n_jobs == 1:
        yield from map(run_training, plan)
        return
    with ProcessPoolExecutor(n_jobs) as pool:
        yield from pool.map(run_training, plan, chunksize=4)


def run_training(training: Training) -> Trained:
    """Run one training to its end.

    Parameters
    ----------
    training : Training

    Returns
    -------
    Trained
    """
    data = _data(training.data, training.noise, training.seed)
    run = _RUNS[training.library, training.model]
    rows = tuple(_row(data, *proba) for proba in run(training, data))
    return Trained(training, rows, data.n_classes, len(data.y_val))


def _shortened(training: Training) -> Training:
    return Training(**{**vars(training), "n_steps": training.n_steps // 2})


@lru_cache(maxsize=8)
def _data(name: str, noise: float, seed: int) -> Data:
    """A third of the samples, at most 300, to train on; as many others, at most 400, to validate on."""
    if name == "made":
        x, y = make_classification(900, 20, n_informative=5, n_classes=3, class_sep=0.8, random_state=7)
    else:
        x, y = {"digits": load_digits, "cancer": load_breast_cancer, "wine": load_wine}[name](return_X_y=True)
    n = len(y)
    x, x_val, y, y_val = train_test_split(
        x, y, train_size=min(300, n // 3), test_size=min(400, n // 3), random_state=seed, stratify=y
    )
    rng = np.random.default_rng(seed)
    y, y_val = (np.where(rng.random(len(t)) < noise, rng.permutation(t), t).astype(np.int64) for t in (y, y_val))
    scaler = StandardScaler().fit(x)
    return Data(scaler.transform(x), y, scaler.transform(x_val), y_val)


def _row(data: Data, proba: FloatArray, proba_val: FloatArray) -> Mapping[str, float]:
    def scores(split: str, truth: NDArray[np.int64], p: FloatArray) -> dict[str, float]:
        of_truth = np.clip(np.asarray(p, np.float64)[np.arange(len(truth)), truth], _CLIP, 1)
        accuracy = np.mean(p.argmax(axis=1) == truth)
        return {f"{split}_loss": float(-np.log(of_truth).mean()), f"{split}_accuracy": float(accuracy)}

    return {**scores("train", data.y, proba), **scores("val", data.y_val, proba_val)}


_Probabilities = Iterator[tuple[FloatArray, FloatArray]]


def _partial_fit(make: Callable[[Training], Any], training: Training, data: Data) -> _Probabilities:
    model, classes = make(training), np.arange(data.n_classes)
    rng = np.random.default_rng(training.seed)
    for _ in range(training.n_steps):
        order = rng.permutation(len(data.y))
        model.partial_fit(data.x[order], data.y[order], classes=classes)
        yield model.predict_proba(data.x), model.predict_proba(data.x_val)


def _mlp(training: Training) -> Any:  # noqa: ANN401
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

    size, rate = int(training.size), training.rate
    return MLPClassifier((size,), batch_size=32, learning_rate_init=rate, alpha=0, random_state=training.seed)


def _sgd(training: Training) -> Any:  # noqa: ANN401
    from sklearn.linear_model import SGDClassifier  # noqa: PLC0415

    return SGDClassifier(
        loss="log_loss", learning_rate="constant", eta0=training.rate, alpha=1e-5, random_state=training.seed
    )


def _boosting(training: Training, data: Data) -> _Probabilities:
    from sklearn.ensemble import GradientBoostingClassifier  # noqa: PLC0415

    model = GradientBoostingClassifier(
        n_estimators=training.n_steps,
        learning_rate=training.rate,
        max_depth=int(training.size),
        random_state=training.seed,
    ).fit(data.x, data.y)
    yield from zip(model.staged_predict_proba(data.x), model.staged_predict_proba(data.x_val), strict=True)


def _trees(training: Training, data: Data) -> _Probabilities:
    import xgboost  # noqa: PLC0415

    matrices = [xgboost.DMatrix(x) for x in (data.x, data.x_val)]
    settings = {
        "objective": "multi:softprob",
        "num_class": data.n_classes,
        "max_depth": int(training.size),
        "eta": training.rate,
        "seed": training.seed,
        "nthread": 1,
    }
    train = xgboost.DMatrix(data.x, data.y)
    model = xgboost.Booster(settings, [train])
    for i in range(training.n_steps):
        model.update(train, i)
        yield model.predict(matrices[0]), model.predict(matrices[1])


def _torch(training: Training, data: Data) -> _Probabilities:
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    torch.set_num_threads(1)
    torch.manual_seed(training.seed)
    size = int(training.size)
    model = nn.Sequential(
        nn.Linear(data.x.shape[1], size), nn.ReLU(), nn.Dropout(training.dropout), nn.Linear(size, data.n_classes)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=training.rate)
    x, x_val = (torch.tensor(part, dtype=torch.float32) for part in (data.x, data.x_val))
    y = torch.tensor(data.y)
    for _ in range(training.n_steps):
        model.train()
        for batch in torch.randperm(len(y)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            yield model(x).softmax(1).numpy(), model(x_val).softmax(1).numpy()


def _keras(training: Training, data: Data) -> _Probabilities:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras  # noqa: PLC0415

    keras.utils.set_random_seed(training.seed)
    model = keras.Sequential(
        [
            keras.layers.Input((data.x.shape[1],)),
            keras.layers.Dense(int(training.size), activation="relu"),
            keras.layers.Dense(data.n_classes, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(training.rate), "sparse_categorical_crossentropy")
    for _ in range(training.n_steps):
        model.fit(data.x, data.y, batch_size=32, verbose=0)
        yield tuple(model.predict(x, batch_size=512, verbose=0) for x in (data.x, data.x_val))


_RUNS: Mapping[tuple[str, str], Callable[[Training, Data], _Probabilities]] = {
    ("sklearn", "MLPClassifier"): partial(_partial_fit, _mlp),
    ("sklearn", "SGDClassifier"): partial(_partial_fit, _sgd),
    ("sklearn", "GradientBoosting"): _boosting,
    ("xgboost", "trees"): _trees,
    ("torch", "network"): _torch,
    ("keras", "network"): _keras,
}
