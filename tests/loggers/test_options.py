"""Options are checked when they are given, and never later."""

from typing import Any

import pytest

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.options import Options


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"predictions": "first"}, "predictions is 'first'; wanted is 'last', 'best', a number of steps, or None"),
        ({"predictions": 0}, "predictions is 0"),
        ({"predictions": True}, "predictions is True"),
        ({"predictions": ["last"]}, "predictions is ['last']"),
        ({"validation_fraction": 0}, "validation_fraction is 0; wanted is a share between 0 and 1"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"validation_fraction": "0.2"}, "validation_fraction is '0.2'"),
        ({"validation_fraction": float("nan")}, "validation_fraction is nan"),
        ({"validation_data": [1, 2, 3]}, "validation_data is a list; wanted is a tuple (X, y)"),
        ({"validation_data": (1, 2, 3)}, "validation_data is a tuple of 3; wanted is a tuple (X, y)"),
        ({"train_evaluation": 0.5}, "train_evaluation is 0.5; wanted is True, False, or a number of samples"),
        ({"train_evaluation": -1}, "train_evaluation is -1"),
        ({"stop_when": "overfit"}, "stop_when names 'overfit'; wanted is one of 'diverged',"),
        ({"stop_when": ["overfitting", 3]}, "stop_when names 3"),
        ({"stop_when": 3}, "stop_when is 3"),
        ({"diagnose": "no"}, "diagnose is 'no'; wanted is True or False"),
    ],
)
def test_what_cannot_be_meant_is_said(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError) as raised:
        Options(**options)
    assert named in str(raised.value)


def test_what_can_be_meant_is_taken() -> None:
    options = Options(
        validation_data=([[1.0]], [0]),
        validation_fraction=0.2,
        predictions=5,
        train_evaluation=100,
        stop_when=["overfitting", "diverged"],
    )
    assert options.alarms == {"overfitting", "diverged"}
    assert Options(stop_when="overfitting").alarms == {"overfitting"}
    assert Options().alarms == frozenset()
