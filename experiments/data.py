"""The data of the experiments: mostly real data sets that come with scikit-learn, each split once and for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import train_test_split

from lossacc_mlflow.records import FloatArray, IntArray, Split

__all__ = [
    "DataSet",
    "Name",
    "Part",
    "load_data",
    "split_data",
    "standardised",
    "validation_only",
    "with_noisy_labels",
    "with_shuffled_labels",
]

Name = Literal["digits", "breast_cancer", "wine"]

_LOADERS = {"digits": load_digits, "breast_cancer": load_breast_cancer, "wine": load_wine}


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The samples of one split.

    Parameters
    ----------
    X : ndarray of float64, shape (n_samples, n_features)
        Of the digits, pixels from 0 (white) to 1 (black); elsewhere features with the mean 0 and the standard
        deviation 1 on the training part.
    y : ndarray of shape (n_samples,)
        Index of the class (int64); the target in a regression (float64).
    sample_id : ndarray of int64, shape (n_samples,)
        Row in the whole data set.
    """

    X: FloatArray
    y: NDArray[Any]
    sample_id: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """A data set in three parts.

    Parameters
    ----------
    name : str
    classes : tuple of str, length n_classes
        Empty in a regression.
    parts : mapping of split to Part
    """

    name: str
    classes: tuple[str, ...]
    parts: Mapping[Split, Part]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))


def load_data(name: Name, *, train_size: float = 0.6, validation_size: float = 0.2, random_state: int = 0) -> DataSet:
    """Return 60 % of a data set for training, 20 % for validation, 20 % for the test, each with equal class shares.

    Parameters
    ----------
    name : {"digits", "breast_cancer", "wine"}
        1,797 handwritten digits of 8 x 8 pixels; 569 tumours, benign or malignant, by 30 measures of their cells;
        178 wines of three growers by 13 measures.
    train_size, validation_size : float
        Other shares; what is left is for the test.
    random_state : int
        Decides which samples come into which part.

    Examples
    --------
    >>> {split: part.X.shape for split, part in load_data("digits").parts.items()}
    {'train': (1078, 64), 'validation': (359, 64), 'test': (360, 64)}
    >>> load_data("breast_cancer").classes
    ('malignant', 'benign')
    """
    bunch = _LOADERS[name]()
    classes = tuple(str(label) for label in bunch.target_names)
    features = bunch.data / bunch.data.max() if name == "digits" else bunch.data
    data = split_data(
        name,
        classes,
        features,
        bunch.target,
        train_size=train_size,
        validation_size=validation_size,
        random_state=random_state,
    )
    return data if name == "digits" else standardised(data)


def split_data(
    name: str,
    classes: Sequence[str],
    X: FloatArray,  # noqa: N803  (scikit-learn's name)
    y: NDArray[Any],
    *,
    train_size: float = 0.6,
    validation_size: float = 0.2,
    random_state: int = 0,
) -> DataSet:
    """Split samples in three; with equal class shares where there are classes.

    Parameters
    ----------
    name : str
    classes : sequence of str
        Empty in a regression.
    X : ndarray of float64, shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
        Index of the class, or the target of a regression.
    train_size, validation_size : float
        Shares of the samples; what is left is for the test.
    random_state : int
    """
    shares = y if classes else None
    train, rest = train_test_split(np.arange(len(y)), train_size=train_size, stratify=shares, random_state=random_state)
    validation, test = train_test_split(
        rest,
        train_size=validation_size / (1 - train_size),
        stratify=None if shares is None else y[rest],
        random_state=random_state,
    )
    rows: dict[Split, IntArray] = {"train": train, "validation": validation, "test": test}
    return DataSet(name, tuple(classes), {split: Part(X[row], y[row], row) for split, row in rows.items()})


def standardised(data: DataSet) -> DataSet:
    """Return the data with features of mean 0 and standard deviation 1 on the training part.

    Parameters
    ----------
    data : DataSet
    """
    train = data.parts["train"].X
    mean, sd = train.mean(axis=0), train.std(axis=0)
    return replace(data, parts={split: replace(part, X=(part.X - mean) / sd) for split, part in data.parts.items()})


def with_noisy_labels(
    data: DataSet, share: float, *, splits: Sequence[Split] = ("train", "validation"), random_state: int = 0
) -> DataSet:
    """Give a share of the samples a wrong label, as careless annotators would.

    Parameters
    ----------
    data : DataSet
    share : float
        Probability of each sample to get another class, each with the same probability.
    splits : sequence of str
        Those whose labels suffer; the test part keeps its right ones by default.
    random_state : int

    Examples
    --------
    >>> clean = load_data("digits")
    >>> noisy = with_noisy_labels(clean, 0.3)
    >>> round(float((clean.parts["train"].y != noisy.parts["train"].y).mean()), 2)
    0.31
    """
    rng = np.random.default_rng(random_state)
    parts = dict(data.parts)
    for split in splits:
        y = parts[split].y.copy()
        wrong = rng.random(len(y)) < share
        y[wrong] = (y[wrong] + rng.integers(1, len(data.classes), wrong.sum())) % len(data.classes)
        parts[split] = replace(parts[split], y=y)
    return replace(data, name=f"{data.name}, {share:.0%} of the labels wrong", parts=parts)


def with_shuffled_labels(data: DataSet, *, random_state: int = 0) -> DataSet:
    """Deal the labels of the training part out anew: no input says anything about its label any more.

    Parameters
    ----------
    data : DataSet
    random_state : int
    """
    train = data.parts["train"]
    shuffled = replace(train, y=np.random.default_rng(random_state).permutation(train.y))
    return replace(data, name=f"{data.name}, labels shuffled", parts={**data.parts, "train": shuffled})


def validation_only(name: str, classes: Sequence[str], y: Sequence[int]) -> DataSet:
    """Return a data set of nothing but labels, for answers that are given and not learned.

    Parameters
    ----------
    name : str
    classes : sequence of str
    y : sequence of int
        Index of the class of each sample.
    """
    index = np.arange(len(y))
    part = Part(X=index[:, None].astype(np.float64), y=np.asarray(y, dtype=np.int64), sample_id=index)
    return DataSet(name, tuple(classes), {"validation": part})
