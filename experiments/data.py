"""The data of the experiments: real data sets that come with scikit-learn, each split once and for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import train_test_split

from lossacc_mlflow.records import FloatArray, IntArray, Split

__all__ = ["DataSet", "Name", "Part", "load_data", "with_noisy_labels", "with_shuffled_labels"]

Name = Literal["digits", "breast_cancer", "wine"]

_LOADERS = {"digits": load_digits, "breast_cancer": load_breast_cancer, "wine": load_wine}


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The samples of one split.

    Parameters
    ----------
    X : ndarray of float64, shape (n_samples, n_features)
        Of the digits, pixels from 0 (white) to 1 (black); of the others, features with the mean 0 and the standard
        deviation 1 on the training part.
    y : ndarray of int64, shape (n_samples,)
        Index of the class.
    sample_id : ndarray of int64, shape (n_samples,)
        Row in the data set as scikit-learn gives it.
    """

    X: FloatArray
    y: IntArray
    sample_id: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """A data set in three parts.

    Parameters
    ----------
    name : str
    classes : tuple of str, length n_classes
    parts : mapping of split to Part
    """

    name: str
    classes: tuple[str, ...]
    parts: Mapping[Split, Part]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))


def load_data(name: Name, *, random_state: int = 0) -> DataSet:
    """Return 60 % of a data set for training, 20 % for validation, 20 % for the test, each with equal class shares.

    Parameters
    ----------
    name : {"digits", "breast_cancer", "wine"}
        1,797 handwritten digits of 8 x 8 pixels; 569 tumours, benign or malignant, by 30 measures of their cells;
        178 wines of three growers by 13 measures.
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
    features, y = bunch.data, bunch.target
    train, rest = train_test_split(np.arange(len(y)), train_size=0.6, stratify=y, random_state=random_state)
    validation, test = train_test_split(rest, train_size=0.5, stratify=y[rest], random_state=random_state)
    scaled = features / features.max() if name == "digits" else _standardise(features, train)
    rows: dict[Split, IntArray] = {"train": train, "validation": validation, "test": test}
    parts = {split: Part(scaled[row], y[row], row) for split, row in rows.items()}
    return DataSet(name, tuple(str(label) for label in bunch.target_names), parts)


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


def _standardise(features: FloatArray, train: IntArray) -> FloatArray:
    scaled: FloatArray = (features - features[train].mean(axis=0)) / features[train].std(axis=0)
    return scaled
