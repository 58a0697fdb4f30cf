"""The data of the experiments: scikit-learn's handwritten digits, 1,797 real images of 8 x 8 pixels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from lossacc_mlflow.records import FloatArray, IntArray, Split

__all__ = ["N_CLASSES", "Part", "load_parts"]

N_CLASSES = 10
_MAX_PIXEL = 16.0


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The samples of one split.

    Parameters
    ----------
    X : ndarray of float64, shape (n_samples, 64)
        Pixels, 0 (white) to 1 (black).
    y : ndarray of int64, shape (n_samples,)
        The digit.
    sample_id : ndarray of int64, shape (n_samples,)
        Row in ``sklearn.datasets.load_digits()``.
    """

    X: FloatArray
    y: IntArray
    sample_id: IntArray


def load_parts(*, random_state: int = 0) -> Mapping[Split, Part]:
    """Return 60 % of the digits for training, 20 % for validation, 20 % for the test, each with equal class shares.

    Examples
    --------
    >>> {split: len(part.y) for split, part in load_parts().items()}
    {'train': 1078, 'validation': 359, 'test': 360}
    """
    pixels, digit = load_digits(return_X_y=True)
    train, rest = train_test_split(np.arange(len(digit)), train_size=0.6, stratify=digit, random_state=random_state)
    validation, test = train_test_split(rest, train_size=0.5, stratify=digit[rest], random_state=random_state)
    rows: dict[Split, IntArray] = {"train": train, "validation": validation, "test": test}
    return {split: Part(pixels[row] / _MAX_PIXEL, digit[row], row) for split, row in rows.items()}
