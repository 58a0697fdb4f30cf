"""Which answers are taken for probabilities, of which classes; no model is trained and no run is written."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.data.evaluation_dataset import EvaluationDataset
from numpy.testing import assert_array_equal

from lossacc_mlflow.errors import InputError, PredictionsError
from lossacc_mlflow.evaluator.answers import classifier_answers, read_sample_id, regressor_answers
from lossacc_mlflow.evaluator.options import read_options

# pandas, about MLflow
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
TABLE = pd.DataFrame({"x": [1.0, 2, 3], "y": ["no", "yes", "yes"], "p_yes": P[:, 1], "p_no": P[:, 0]})


def _data(table: pd.DataFrame = TABLE, **more: str) -> EvaluationDataset:
    return EvaluationDataset(table, targets="y", **more)


class Model:
    """What MLflow makes of a callable."""

    def __init__(self, answer: Callable[[pd.DataFrame], Any]) -> None:
        self.predict = answer


class Estimator:
    classes_ = np.array(["no", "yes"])

    def predict_proba(self, x: Any) -> Any:  # noqa: ANN401
        assert list(x.columns) == ["x", "p_yes", "p_no"]
        return P


class Pyfunc(Model):
    def __init__(self, raw: object) -> None:
        super().__init__(lambda x: np.array(["no"] * len(x)))
        self.get_raw_model = lambda: raw


def test_columns_of_probabilities_belong_to_the_classes_that_are_named() -> None:
    options = read_options({"probabilities": ["p_yes", "p_no"], "label_list": ["yes", "no"]})
    found = classifier_answers(None, _data(), options)
    assert found.are_probabilities
    assert found.labels == ["yes", "no"]
    assert_array_equal(found.array, P[:, ::-1])


def test_a_prefix_names_the_classes_in_any_order() -> None:
    found = classifier_answers(None, _data(), read_options({"proba_prefix": "p_"}))
    assert found.labels == ["yes", "no"]
    assert_array_equal(found.array, P[:, ::-1])


def test_a_prefix_names_numbers_as_the_data_does_and_classes_that_do_not_occur() -> None:
    table = pd.DataFrame({"y": [0, 2, 2], "p0": [1.0, 0, 0], "p1": [0.0, 0, 0], "p2": [0.0, 1, 1]})
    found = classifier_answers(None, _data(table), read_options({"proba_prefix": "p"}))
    assert found.labels == [0, 1, 2]
    assert all(type(label) is int for label in found.labels)


@pytest.mark.parametrize("pos_label", ["yes", "no"])
def test_one_column_is_the_probability_of_the_class_that_is_called_positive(pos_label: str) -> None:
    options = read_options({"probabilities": f"p_{pos_label}", "pos_label": pos_label})
    found = classifier_answers(None, _data(), options)
    assert found.labels is not None
    assert found.labels[1] == pos_label
    assert_array_equal(found.array, TABLE[f"p_{pos_label}"])


def test_the_column_of_predictions_may_hold_probabilities_of_one_or_of_every_class() -> None:
    found = classifier_answers(None, _data(predictions="p_yes"), read_options({}))
    assert found.are_probabilities
    assert_array_equal(found.array, P[:, 1])
    again = classifier_answers(None, _data(predictions="p_yes"), read_options({"probabilities": ["p_no", "p_yes"]}))
    assert_array_equal(again.array, P)
    lists = _data(TABLE.assign(all=P.tolist()), predictions="all")
    assert_array_equal(classifier_answers(None, lists, read_options({})).array, P)


@pytest.mark.parametrize("answer", [np.array([0, 1, 1]), np.array([0.0, 1, 1]), np.array([[0], [1], [1]])])
def test_whole_numbers_are_labels(answer: Any) -> None:  # noqa: ANN401
    data = _data(TABLE.assign(y=[0, 1, 0]))
    found = classifier_answers(Model(lambda _: answer), data, read_options({}))
    assert not found.are_probabilities
    assert found.array.tolist() == [0, 1, 1]


def test_an_estimator_is_asked_for_probabilities_and_knows_its_classes() -> None:
    found = classifier_answers(Pyfunc(Estimator()), _data(), read_options({}))
    assert found.are_probabilities
    assert found.labels == ["no", "yes"]


def test_an_estimator_without_probabilities_answers_with_labels() -> None:
    found = classifier_answers(Pyfunc(object()), _data(), read_options({}))
    assert not found.are_probabilities
    assert found.array.tolist() == ["no"] * 3


def test_columns_of_an_answer_that_are_called_like_classes_are_theirs() -> None:
    answer = pd.DataFrame({"yes": P[:, 1], "no": P[:, 0]})
    found = classifier_answers(Model(lambda _: answer), _data(), read_options({}))
    assert found.labels == ["yes", "no"]
    assert_array_equal(found.array, P[:, ::-1])


def test_a_column_of_the_answer_can_be_chosen() -> None:
    answer = pd.DataFrame({"label": ["no", "yes", "no"], "score": P[:, 1]})
    model = Model(lambda _: answer)
    chosen = classifier_answers(model, _data(), read_options({}), output_column="label")
    assert chosen.array.tolist() == ["no", "yes", "no"]
    named = classifier_answers(model, _data(), read_options({"probabilities": "score", "pos_label": "yes"}))
    assert_array_equal(named.array, P[:, 1])
    with pytest.raises(PredictionsError, match="name the ones that hold probabilities"):
        classifier_answers(model, _data(), read_options({}))
    with pytest.raises(InputError, match="'nothing' is no column"):
        classifier_answers(model, _data(), read_options({}), output_column="nothing")


def test_the_model_may_write_to_what_it_gets_and_does_not_get_the_sample_ids() -> None:
    data = _data()

    def spoil(x: pd.DataFrame) -> Any:  # noqa: ANN401
        assert "p_no" not in x
        x.loc[:, "x"] = 0.0
        return P

    classifier_answers(Model(spoil), data, read_options({"sample_id": "p_no"}))
    assert data.features_data["x"].tolist() == [1, 2, 3]


def test_an_array_reaches_a_callable_as_a_table_with_its_names() -> None:
    data = EvaluationDataset(np.zeros((3, 2)), targets=np.array([0, 1, 1]), feature_names=["a", "b"])

    def check(x: pd.DataFrame) -> Any:  # noqa: ANN401
        assert list(x.columns) == ["a", "b"]
        return P

    assert classifier_answers(Model(check), data, read_options({})).are_probabilities
    assert regressor_answers(Model(lambda x: check(x)[:, 0]), data, read_options({})).array.shape == (3,)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"probabilities": ["p_yes", "p_maybe"]}, "'p_maybe', not among the columns of the data"),
        ({"proba_prefix": "q_"}, "0 columns of the data begin with 'q_'"),
        ({"probabilities": ["p_no", "p_yes"], "label_list": ["a", "b", "c"]}, "names 3 classes"),
        ({"proba_prefix": "p_", "label_list": ["yes", "never"]}, "label_list is"),
        ({}, "neither a model nor a column of predictions"),
    ],
)
def test_options_that_do_not_fit_the_data_are_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        classifier_answers(None, _data(), read_options(config))


def test_sample_ids_come_from_a_column_or_a_list() -> None:
    assert read_sample_id(_data(), read_options({})) is None
    assert read_sample_id(_data(), read_options({"sample_id": "x"})) == [1, 2, 3]
    assert read_sample_id(_data(), read_options({"sample_id": ["a", "b", "c"]})) == ["a", "b", "c"]
    with pytest.raises(InputError, match="2 entries for 3 samples"):
        read_sample_id(_data(), read_options({"sample_id": ["a", "b"]}))
    with pytest.raises(InputError, match="'id', which is no column"):
        read_sample_id(_data(), read_options({"sample_id": "id"}))
