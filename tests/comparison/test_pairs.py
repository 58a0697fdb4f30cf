"""All pairs on the same samples are tested together, as each of them is alone."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lossacc_mlflow.comparison import compare_diagnoses
from lossacc_mlflow.pairing import compare_samples, holm
from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.records import Comparison, Diagnosis
from tests.comparison.builders import predicting_run


def _compared(n_runs: int, n: int = 400, *, temperature: bool = True) -> tuple[Comparison, Sequence[Diagnosis]]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, n)
    diagnoses = []
    for i in range(n_runs):
        logits = (1 + 0.4 * i) * np.eye(3)[truth] + rng.standard_normal((n, 3))
        proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        order = rng.permutation(n) if i % 2 else np.arange(n)
        run = predicting_run(f"m{i}", truth[order], proba[order], sample_id=order.tolist(), temperature=temperature)
        diagnoses.append(judge(run))
    return compare_diagnoses(diagnoses), diagnoses


def test_tests_of_all_pairs_are_those_of_each() -> None:
    comparison, diagnoses = _compared(5)
    by_id = {d.run_id: d.run for d in diagnoses}
    alone = [
        compare_samples(by_id[t.run_id_a].samples["validation"], by_id[t.run_id_b].samples["validation"])
        for t in comparison.tests
    ]
    assert len(alone) == 10
    assert_allclose([t.delta_loss for t in comparison.tests], [p.delta_loss for p in alone], atol=1e-12)
    assert_allclose([t.delta_accuracy for t in comparison.tests], [p.delta_accuracy for p in alone], atol=1e-12)
    assert_allclose([t.mcnemar_p for t in comparison.tests], holm([p.mcnemar_p for p in alone]))
    assert_allclose([t.loss_p for t in comparison.tests], holm([p.paired_t_p for p in alone]), atol=1e-12)
    assert_allclose(
        [t.after_temperature_p for t in comparison.tests], holm([p.after_temperature_t_p for p in alone]), atol=1e-12
    )


def test_pairs_carry_what_their_tests_say() -> None:
    comparison, _ = _compared(4)
    tests = {(t.run_id_a, t.run_id_b): t for t in comparison.tests}
    assert len(comparison.pairs) >= 3
    for pair in comparison.pairs:
        test = tests[pair.name_a, pair.name_b]
        assert (pair.mcnemar_p_holm, pair.loss_p_holm, pair.n_pairs) == (test.mcnemar_p, test.loss_p, 6)
        assert pair.decided == test.loss_decided
        assert "among 6 pairs" in pair.explanation


def test_the_same_predictions_twice_do_not_differ() -> None:
    truth = np.arange(60) % 2
    proba = np.random.default_rng(0).random(60)
    runs = [judge(predicting_run(name, truth, proba)) for name in ("a", "b")]
    (test,) = compare_diagnoses(runs).tests
    assert test.delta_loss == pytest.approx(0, abs=1e-12)
    assert test.mcnemar_p == 1.0
    assert test.loss_p > 0.99


@pytest.mark.parametrize("n_runs", [120])
def test_many_runs_are_affordable(n_runs: int) -> None:
    started = time.perf_counter()
    comparison, _ = _compared(n_runs, 500, temperature=False)
    assert len(comparison.tests) == n_runs * (n_runs - 1) // 2
    assert len(comparison.pairs) <= n_runs + 100
    assert time.perf_counter() - started < 20
