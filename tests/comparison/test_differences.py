"""CMP002 says what is not significant, CMP004 which run nobody needs."""

from collections.abc import Sequence
from math import nan

import numpy as np
import pytest

from lossacc_mlflow.comparison import Dominated, NotSignificant
from lossacc_mlflow.records import RunData
from tests.comparison.builders import compared, named_run, predicting_run

_N = 1000


def _model(name: str, n_right: int, confidence: float | Sequence[float], *, n: int = _N, **more: object) -> RunData:
    """A two-class model that is right on the first samples, with one confidence for all, or one each."""
    sure = np.broadcast_to(confidence, n)
    proba = np.where(np.arange(n) < n_right, 1 - sure, sure)
    return predicting_run(name, np.zeros(n, dtype=int), proba, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("behind", "status"), [(5, "flagged"), (6, "clear")])
def test_six_samples_settle_a_pair(behind: int, status: str) -> None:
    comparison = compared([_model("best", 900, 0.9), _model("other", 900 - behind, 0.9)], NotSignificant())
    (found,) = comparison.findings
    assert (found.code, found.status) == ("CMP002", status)
    remarks = [row.remarks for row in comparison.rows]
    if status == "flagged":
        assert found.message.startswith("Not significant: the lead in accuracy of 'best' (90.0 %) over 'other' (89.5 %")
        assert remarks == [(), ("Not significantly behind 'best' in accuracy: 89.5 %, p = 0.062.",)]
    else:
        assert remarks == [(), ()]


def test_of_three_pairs_it_takes_seven() -> None:
    """The p value of 6 to 0 is .031: enough for one pair, not for the last of three."""
    runs = [_model("best", 900, 0.9), _model("other", 894, 0.9), _model("third", 888, 0.9)]
    found = compared(runs, NotSignificant()).findings[0]
    assert "'other'" in found.message
    assert "'third'" not in found.message
    assert "Of 3 pairs on the same samples 1 differ" in found.message


@pytest.mark.parametrize(("gap", "status"), [(0.005, "flagged"), (0.006, "clear")])
def test_without_samples_their_number_decides(gap: float, status: str) -> None:
    runs = [named_run(name, {"val_accuracy": [a]}, n_validation=1000) for name, a in (("a", 0.9), ("b", 0.9 - gap))]
    found = compared(runs, NotSignificant()).findings[0]
    assert found.status == status
    if status == "flagged":
        assert "5 of 1,000 samples apart, where less than 6 cannot be significant" in found.message


@pytest.mark.parametrize(("n_models", "least"), [(3, 7), (5, 9)])
def test_without_samples_more_models_take_more(n_models: int, least: int) -> None:
    for gap, status in ((least - 1, "flagged"), (least, "clear")):
        accuracies = [0.9, *(0.9 - gap / 1000 - 0.1 * i for i in range(n_models - 1))]
        runs = [named_run(f"m{i}", {"val_accuracy": [a]}, n_validation=1000) for i, a in enumerate(accuracies)]
        assert compared(runs, NotSignificant()).findings[0].status == status


def test_significance_is_not_guessed() -> None:
    curves = [named_run(name, {"val_accuracy": [a]}) for name, a in (("a", 0.9), ("b", 0.8))]
    assert compared(curves, NotSignificant()).findings[0].status == "not_applicable"
    assert compared(curves[:1], NotSignificant()).findings[0].status == "not_applicable"
    broken = [named_run(name, {"val_accuracy": [nan]}, n_validation=9) for name in "ab"]
    assert compared(broken, NotSignificant()).findings[0].status == "not_applicable"
    other = [named_run("a", {"val_accuracy": [0.9]}, n_classes=2), named_run("b", {"val_accuracy": [0.9]}, n_classes=3)]
    assert compared(other, NotSignificant()).findings[0].status == "not_applicable"


@pytest.mark.parametrize(("behind", "status"), [(3, "clear"), (6, "flagged")])
def test_dominated_where_one_difference_is_significant(behind: int, status: str) -> None:
    comparison = compared([_model("best", 900, 0.7), _model("other", 900 - behind, 0.7001)], Dominated())
    (found,) = comparison.findings
    assert (found.code, found.status) == ("CMP004", status)
    if status == "flagged":
        assert "'other' is dominated by 'best': accuracy 89.4 % against 90.0 % (p = 0.031), loss" in found.message
        assert comparison.rows[1].findings[-1] == "CMP004"


def test_equal_answers_and_significantly_worse_probabilities() -> None:
    comparison = compared([_model("apt", 900, 0.9), _model("sure", 900, 0.999)], Dominated())
    assert "'sure' is dominated by 'apt'" in comparison.findings[0].message


def test_who_has_the_lower_loss_is_not_dominated() -> None:
    assert compared([_model("sure", 900, 0.9999), _model("apt", 850, 0.85)], Dominated()).findings[0].status == "clear"


def test_who_is_better_after_temperature_is_not_dominated() -> None:
    rng = np.random.default_rng(0)
    z = 1.5 * rng.standard_normal(4000)
    truth = (rng.random(4000) < 1 / (1 + np.exp(-z))).astype(int)
    noisy = z + 0.3 * rng.standard_normal(4000)
    sharp = predicting_run("sharp", truth, 1 / (1 + np.exp(-4 * z)))
    plain = predicting_run("plain", truth, 1 / (1 + np.exp(-np.where(np.arange(4000) < 3000, noisy, z))))
    assert compared([sharp, plain], Dominated()).findings[0].status == "clear"


def test_nobody_is_dominated_by_what_cannot_be_compared() -> None:
    apt, low = _model("apt", 900, 0.9, n_classes=2), _model("low", 700, 0.7, n_classes=2)
    assert compared([apt, low], Dominated()).findings[0].status == "flagged"
    elsewhere = _model("easy", 990, 0.99, sample_id=[f"x{i}" for i in range(_N)])
    message = compared([apt, low, elsewhere], Dominated()).findings[0].message
    assert "by 'easy'" not in message
    assert "1 of 2 runs are dominated" in message


@pytest.mark.parametrize("n", [1, 2])
def test_domination_needs_predictions(n: int) -> None:
    runs = [named_run(str(i), {"val_accuracy": [0.9 - 0.1 * i]}) for i in range(n)]
    assert compared(runs, Dominated()).findings[0].status == "not_applicable"
