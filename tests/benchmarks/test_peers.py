"""Every peer says on hand-made curves what its documentation says."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from benchmarks.data import History
from benchmarks.peers import (
    NEVER,
    PEERS,
    Peer,
    autotrainer_oscillation,
    autotrainer_slow_convergence,
    deepchecks_boosting_overfit,
    generalization_loss,
    keras_early_stopping,
    last_over_min,
    matlab_gap,
    prechelt_gl,
    prechelt_pq,
    prechelt_up,
    runmedic_no_learning,
    runmedic_overfitting,
    sagemaker_loss_not_decreasing,
    sagemaker_overfit,
    sagemaker_overtraining,
    spearman,
    trainproof_overfit,
)


def history(
    train: ArrayLike = (), validation: ArrayLike = (), train_accuracy: ArrayLike = (), accuracy: ArrayLike = ()
) -> History:
    train, train_accuracy, accuracy = (np.array(values, float) for values in (train, train_accuracy, accuracy))
    return History(
        step=np.arange(len(train)),
        train_loss=train,
        validation_loss=np.array(validation, float),
        train_accuracy=train_accuracy,
        validation_accuracy=accuracy[: len(train_accuracy)],
        validation_accuracy_alone=accuracy,
        first_nan_of_train=None,
    )


def test_last_over_min() -> None:
    assert last_over_min(history([1, 1], [1.0, 1.06]), 1.05) is True
    assert last_over_min(history([1, 1], [1.0, 1.04]), 1.05) is False
    assert last_over_min(history([1, 1, 1], [1.0, 2.0, 1.0]), 1.05) is False
    assert last_over_min(history(), 1.05) is None


def test_spearman() -> None:
    assert spearman(history([3, 2, 1], [1, 2, 3])) is True
    assert spearman(history([3, 2, 1], [3, 2, 1])) is False
    assert spearman(history([1, 2], [2, 1])) is None


def test_sagemaker_overfit_fires_on_the_first_wide_gap() -> None:
    assert sagemaker_overfit(history([1, 1, 1], [1.05, 1.12, 1.0])) == 1
    assert sagemaker_overfit(history([1, 1, 1], [1.05, 1.12, 1.0]), patience=2) == NEVER
    assert sagemaker_overfit(history([1, 1], [1.0, 1.09])) == NEVER


def test_matlab_wants_the_gap_twice_in_a_row() -> None:
    assert matlab_gap(history([1, 1, 1, 1], [1.2, 1.0, 1.2, 1.2])) == 3
    assert matlab_gap(history([1, 1, 1], [1.2, 1.0, 1.2])) == NEVER


def test_sagemaker_overtraining_wants_both_to_stall() -> None:
    falls = np.linspace(2, 0.1, 20)
    assert sagemaker_overtraining(history([0.5] * 20, [0.5] * 20)) == 10
    assert sagemaker_overtraining(history(falls.tolist(), [0.5] * 20)) == NEVER
    slow = (0.5 - 0.0005 * np.arange(20)).tolist()  # improves by less than delta = .01 in all
    assert sagemaker_overtraining(history(slow, slow)) == 10


def test_sagemaker_loss_not_decreasing_compares_with_ten_steps_before() -> None:
    assert sagemaker_loss_not_decreasing(history([1.0] * 11, [1.0] * 11)) == 10
    assert sagemaker_loss_not_decreasing(history([1.0] * 10, [1.0] * 10)) == NEVER
    enough, too_little = [1.0] * 10 + [0.998], [1.0] * 10 + [0.9995]
    assert sagemaker_loss_not_decreasing(history(enough, enough)) == NEVER
    assert sagemaker_loss_not_decreasing(history(too_little, too_little)) == 10


def test_keras_waits_since_the_best_epoch() -> None:
    loss = [3, 2, 1, 1.1, 1.0, 0.9, 1.0, 1.0, 1.0]  # equal to the best is no improvement
    assert [keras_early_stopping(history(loss, loss), patience) for patience in (1, 2, 3, 4)] == [3, 4, 8, NEVER]


def test_generalization_loss_is_in_percent_of_the_lowest_so_far() -> None:
    assert generalization_loss(np.array([2.0, 1.0, 1.05])).round(6).tolist() == [0, 0, 5]
    assert prechelt_gl(history([1, 1, 1], [2.0, 1.0, 1.04])) == NEVER
    assert prechelt_gl(history([1, 1, 1], [2.0, 1.0, 1.06])) == 2


def test_prechelt_pq_lets_a_fast_training_go_on() -> None:
    rises = [1.0, 1.0, 1.0, 1.0, 1.06]
    assert prechelt_pq(history([1.0] * 5, rises)) == 4  # no progress at all
    assert prechelt_pq(history([2.0, 1.8, 1.6, 1.4, 1.2], rises)) == NEVER  # progress 333, GL 6
    assert prechelt_pq(history([1.0] * 4, rises[:4])) == NEVER  # no strip has ended


def test_prechelt_up_counts_strips() -> None:
    up = np.linspace(1, 2, 46).tolist()
    assert prechelt_up(history(up, up)) == 44
    assert prechelt_up(history(up[:44], up[:44])) == NEVER
    dip = up.copy()
    dip[29] = 0.5
    assert prechelt_up(history(dip, dip)) == NEVER


def test_deepchecks_looks_at_the_score_alone() -> None:
    assert deepchecks_boosting_overfit(history(accuracy=[0.5, 0.9, 0.85])) is True
    assert deepchecks_boosting_overfit(history(accuracy=[0.5, 0.9, 0.86])) is False
    assert deepchecks_boosting_overfit(history([1, 1], [1.0, 2.0])) is None


def test_runmedic_looks_at_the_last_three_evaluations() -> None:
    falls = np.geomspace(4, 1, 8)
    assert runmedic_overfitting(history(falls, [3, 2, 1, 1, 1, 1.06, 1.06, 1.06])) is True
    assert runmedic_overfitting(history(falls, [3, 2, 1, 1, 1, 1.04, 1.04, 1.04])) is False
    assert runmedic_overfitting(history(falls, [3, 2, 2, 2, 2, 1, 1.5, 1.5])) is False
    assert runmedic_overfitting(history(np.ones(8), [3, 2, 1, 1, 1, 2, 2, 2])) is False
    assert runmedic_overfitting(history(falls[:3], [1, 2, 3])) is None


def test_runmedic_no_learning_below_two_percent() -> None:
    assert runmedic_no_learning(history(np.linspace(1, 0.985, 40))) is True
    assert runmedic_no_learning(history(np.linspace(1, 0.95, 40))) is False
    assert runmedic_no_learning(history(np.ones(19))) is None


def test_trainproof_wants_train_to_fall() -> None:
    up = [1.0, 0.5, 0.6, 0.61]
    assert trainproof_overfit(history([4, 3, 2, 1], up)) is True
    assert trainproof_overfit(history([4, 3, 4, 5], up)) is False
    assert trainproof_overfit(history([4, 3, 2, 1], [1.0, 0.5, 0.6, 0.59])) is False
    assert trainproof_overfit(history([3, 2, 1], up[:3])) is None


def test_autotrainer() -> None:
    swings, calm = [0.5, 0.6] * 10, np.linspace(0.1, 0.9, 20).tolist()
    assert autotrainer_oscillation(history(train_accuracy=swings, accuracy=swings)) is True
    assert autotrainer_oscillation(history(train_accuracy=calm, accuracy=calm)) is False
    assert autotrainer_oscillation(history([1, 1, 1], [1, 1, 1])) is None
    stuck = [0.1, 0.105, 0.1]
    assert autotrainer_slow_convergence(history(train_accuracy=stuck, accuracy=stuck)) is True
    assert autotrainer_slow_convergence(history(train_accuracy=calm, accuracy=calm)) is False


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_peer_answers_or_abstains_on_anything(peer: Peer) -> None:
    for n in (0, 1, 2, 5, 30):
        values = np.linspace(1, 0, n).tolist()
        answer = peer.says(history(values, values, values, values))
        assert answer in {True, False, None}


def test_names_differ() -> None:
    assert len({peer.name for peer in PEERS}) == len(PEERS)
