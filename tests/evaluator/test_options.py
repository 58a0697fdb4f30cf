from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.evaluator.options import EvaluatorOptions, read_options


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"splt": "test"}, "Did you mean 'split'"),
        ({"split": "holdout"}, "train, validation, test"),
        ({"probabilities": ["a"], "proba_prefix": "p_"}, "give one of them"),
        ({"probabilities": []}, "name one or more columns"),
        ({"probabilities": 3}, "name one or more columns"),
        ({"proba_prefix": ""}, "must be text"),
        ({"sample_id": 3}, "must be a column or a list"),
        ({"label_list": "cat"}, "must be a list"),
        ({"label_list": ["cat", "cat"]}, "names a class twice"),
        ({"label_list": ["cat", "dog"], "pos_label": "cow"}, "must be one of two classes"),
        ({"label_list": ["cat", "dog", "cow"], "pos_label": "cow"}, "must be one of two classes"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(config: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_options(config)


def test_weights_are_a_list() -> None:
    assert read_options({"sample_weights": np.array([1.0, 2.0])}).sample_weights == (1.0, 2.0)
    assert read_options({"sample_weights": None}) == EvaluatorOptions()
    with pytest.raises(InputError, match="must be a list of numbers"):
        read_options({"sample_weights": "balanced"})


def test_any_kind_of_list_will_do_and_mlflows_own_options_are_passed_over() -> None:
    made = read_options(
        {
            "label_list": np.array(["cat", "dog"]),
            "sample_id": pd.Series([7, 8]),
            "log_model_explainability": False,
        }
    )
    assert made == EvaluatorOptions(label_list=("cat", "dog"), sample_id=(7, 8))
