"""What the loggers of boosted models share."""

import numpy as np
import pytest

from lossacc_mlflow.loggers.boosting.log import Pace
from lossacc_mlflow.loggers.boosting.roles import assign_roles, foreign_keys, is_same_data
from lossacc_mlflow.loggers.boosting.scores import MAX_ROWS, Task, score, scored_set


def test_scoring_thins_out_when_it_costs_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("lossacc_mlflow.loggers.boosting.log.time.perf_counter", lambda: clock[0])
    pace, spent = Pace(share=0.02, grace=0.3), 0.0
    for step in range(3_000):
        clock[0] += 0.01
        if pace.is_due(step):
            clock[0] += 0.003
            spent += 0.003
            pace.spend(0.003)
    assert pace.stride == 16
    assert 0.3 < spent < 0.3 + 0.025 * clock[0]


@pytest.mark.parametrize(
    ("names", "is_train", "roles"),
    [
        (["validation_0"], [False], ["validation"]),
        (["eval", "train"], [False, True], ["validation", "train"]),
        (["val", "train"], [False, False], ["validation", None]),
        (["test"], [False], ["test"]),
        (["dtest", "a", "b"], [False, False, False], ["test", None, "validation"]),
        (["a", "b"], [True, True], [None, "train"]),
        ([], [], []),
    ],
)
def test_roles_of_evaluation_sets(names: list[str], is_train: list[bool], roles: list[str | None]) -> None:
    assert assign_roles(names, is_train) == roles


def test_equal_labels_alone_make_no_training_set() -> None:
    y, outputs = np.array([0.0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.7])
    assert is_same_data(y, outputs, y, outputs + 1e-8)
    assert not is_same_data(y, outputs[::-1], y, outputs)
    assert not is_same_data(y, np.full(4, 0.5), y, np.full(4, 0.5))
    assert not is_same_data(y[:3], outputs[:3], y, outputs)


def test_what_a_library_evaluates_is_known_by_its_role_and_metric() -> None:
    entries = [("v", "merror", 0.25), ("v", "mlogloss", 0.5), ("v", "ndcg@3", 0.1), ("other", "rmse", 1.0)]
    assert foreign_keys([*entries, ("a,b", "auc", 0.7)], {"v": "validation", "other": None, "a,b": "test"}) == (
        {"val_accuracy": 0.75, "val_loss": 0.5, "test_roc_auc": 0.7},
        {"v-merror": "validation:error_rate", "v-mlogloss": "validation:log_loss"},
    )


def test_large_sets_are_scored_on_the_same_rows_each_time_without_touching_the_random_numbers() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, MAX_ROWS + 10_000)
    margins = rng.normal(size=len(y)) + y
    np.random.seed(3)  # noqa: NPY002  (the user's state is meant)
    state = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    task = Task("binary", is_margin=True, n_classes=2)
    sets = [scored_set("train", task, y, None, lambda: margins) for _ in range(2)]
    assert sets[0] is not None
    assert sets[1] is not None
    assert score(task, sets[0], margins) == score(task, sets[1], margins)
    assert score(task, sets[0], margins)["accuracy"] == pytest.approx(np.mean((margins > 0) == y), abs=0.005)
    assert np.random.get_state()[1].tolist() == state  # type: ignore[index]  # noqa: NPY002
    assert scored_set("train", task, y / 2, None, lambda: margins) is None
