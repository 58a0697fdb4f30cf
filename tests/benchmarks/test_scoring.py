"""The scores are scikit-learn's, and the tests and intervals mean what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_score, recall_score

from benchmarks.scoring import Ballot, Comparison, Score


def score_answers(truth: NDArray[np.bool_], answers: NDArray[np.float64]) -> Score:
    return Ballot(truth, answers[:, :, None]).score(0)


def compare_answers(truth: NDArray[np.bool_], ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Comparison:
    return Ballot(truth, np.stack([ours, theirs], axis=2)).compare(0, 1)


PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40)


@given(pairs=PAIRS)
@settings(max_examples=50, deadline=None)
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    truth, said = (np.array(column) for column in zip(*pairs, strict=True))
    score = score_answers(truth, said[:, None].astype(float))
    macro = f1_score(truth, said, average="macro", labels=[False, True], zero_division=0)
    assert score.macro_f1 == pytest.approx(macro)
    assert score.f1 == pytest.approx(f1_score(truth, said, zero_division=0))
    assert score.precision == pytest.approx(precision_score(truth, said, zero_division=0))
    assert score.recall == pytest.approx(recall_score(truth, said, zero_division=0))


TRUTH = np.array([True] * 20 + [False] * 60)


def test_a_perfect_and_a_constant_classifier() -> None:
    perfect = score_answers(TRUTH, TRUTH[:, None].astype(float))
    assert (perfect.macro_f1, perfect.interval, perfect.false_alarm_rate) == (1.0, (1.0, 1.0), 0.0)
    always = score_answers(TRUTH, np.ones((80, 1)))
    assert always.macro_f1 == pytest.approx(0.2)  # plain F1 would be .4
    assert always.false_alarm_rate == 1.0


def test_no_answer_is_the_wrong_one() -> None:
    score = score_answers(TRUTH, np.full((80, 1), np.nan))
    assert (score.macro_f1, score.recall, score.false_alarm_rate, score.abstained) == (0.0, 0.0, 1.0, 80.0)


def test_rounds_are_averaged() -> None:
    right, wrong = TRUTH.astype(float), (~TRUTH).astype(float)
    assert score_answers(TRUTH, np.stack([right, wrong], axis=1)).macro_f1 == 0.5


def test_the_interval_holds_the_score_and_narrows_with_more_runs() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for n in (50, 2000):
        truth = rng.random(n) < 0.3
        answers = np.where(rng.random(n) < 0.9, truth, ~truth)[:, None].astype(float)
        score = score_answers(truth, answers)
        low, high = score.interval
        assert low < score.macro_f1 < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3


def test_comparison_finds_the_better_one_only_where_it_is() -> None:
    right, always = TRUTH[:, None].astype(float), np.ones((80, 1))
    better, worse, same = (
        compare_answers(TRUTH, right, always),
        compare_answers(TRUTH, always, right),
        compare_answers(TRUTH, right, right),
    )
    assert (better.wins, better.losses) == (60, 0)
    assert better.mcnemar_p == pytest.approx(2 * 0.5**60)
    assert [one.is_behind for one in (better, worse, same)] == [False, True, False]
    assert (same.difference, same.interval, same.mcnemar_p) == (0.0, (0.0, 0.0), 1.0)
    one_off = right.copy()
    one_off[0] = 0
    assert not compare_answers(TRUTH, one_off, right).mcnemar_p < 0.05
