"""What a few reported figures prove, each and against each other."""

from math import exp, inf, log

import numpy as np
import pytest

from lossacc_mlflow.bounds import CLASS_COUNTS, judge_figures, miscalibration_p, read_figures
from lossacc_mlflow.bounds.losses import find_loss
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import FigurePair, FiguresReport

QUESTION = ("98.1%/0.1882", "98.5%/0.0997", "99.1%/0.2544")


def _report(*texts: str, **options: object) -> FiguresReport:
    return judge_figures(read_figures(texts), **options)  # type: ignore[arg-type]


def _pair(report: FiguresReport, a: str, b: str) -> FigurePair:
    return next(p for p in report.pairs if (p.a, p.b) == (a, b))


def test_the_motivating_question() -> None:
    report = _report(*QUESTION, n_classes=10)
    third = report.figures[2]
    assert third.constant == pytest.approx(0.0711, abs=5e-5)
    assert third.bounds.removable_loss / third.bounds.loss == pytest.approx(0.72, abs=0.005)
    assert third.possible_from_n == 106
    assert third.miscalibration.proved is third.miscalibration.p is None
    assert (third.miscalibration_rounded.proved_from_n or inf) <= 106
    assert report.figures[1].miscalibration.proved_from_n is None
    keras = report.clipped["keras"]
    assert keras[2].bounds.loss_share_incorrect[1] == pytest.approx(0.570, abs=5e-4)
    pair = _pair(report, "3", "2")
    assert pair.reverses
    assert pair.order_certain
    assert not _pair(report, "2", "1").reverses


def test_what_is_needed_for_a_reversal_is_just_enough() -> None:
    pair = _pair(_report("98.5%/0.0997", "99.1%/0.2544", n_classes=10), "2", "1")
    a, loss, right = 0.9905, 0.25435, (0.09975 - 0.0145 * log(2)) / 0.9855
    assert pair.loss_incorrect_needed == pytest.approx((loss - a * right) / (1 - a), rel=1e-6)
    low, high = pair.loss_gap_of_accuracy
    assert -0.05 < low < high == pytest.approx(-0.006 * (log(2) - 0.0997) / 0.985)


def test_under_a_clip_right_answers_must_differ() -> None:
    assert not _pair(_report(*QUESTION, n_classes=10), "3", "2").loss_correct_must_differ
    clipped = _report(*QUESTION, n_classes=10, clip=1e-7)
    assert _pair(clipped, "3", "2").loss_correct_must_differ
    assert clipped.clipped == {}


def test_rounding_only_weakens() -> None:
    for figure in _report(*QUESTION, n_classes=10, n=1000).figures:
        assert figure.rounded.removable_loss <= figure.bounds.removable_loss
        assert (figure.miscalibration_rounded.p or 1) >= (figure.miscalibration.p or 0)
        for name in ("loss_correct", "loss_incorrect", "loss_share_incorrect"):
            (low, high), (wide_low, wide_high) = getattr(figure.bounds, name), getattr(figure.rounded, name)
            assert wide_low <= low <= high <= wide_high


def test_the_number_of_samples_narrows_the_accuracy_or_excludes_it() -> None:
    exact = _report("99.1%/0.2544", n_classes=10, n=1000).figures[0]
    assert exact.n_right == (991, 991)
    assert exact.rounded.calibrated_high == pytest.approx(exact.bounds.calibrated_high)
    never = _report("99.1%/0.2544", n_classes=10, n=100).figures[0]
    assert never.n_right is None
    assert never.miscalibration_rounded.proved is None


def test_significance_starts_where_it_is_said_to() -> None:
    from_n = _report("98.1%/0.1882", n_classes=10).figures[0].miscalibration.proved_from_n
    assert from_n is not None
    excess = 0.1882 - _report("98.1%/0.1882", n_classes=10).figures[0].constant
    assert miscalibration_p(excess, from_n) <= 0.05 < miscalibration_p(excess, from_n - 1)
    several = _report(*QUESTION, n_classes=10).figures[0].miscalibration.proved_from_n
    assert several is not None
    assert several > from_n


def test_over_numbers_of_classes() -> None:
    report = _report(*QUESTION)
    assert tuple(report.by_n_classes) == CLASS_COUNTS
    for i, figure in enumerate(report.figures):
        assert figure.bounds.ceiling == figure.bounds.calibrated_high == inf
        assert figure.bounds.removable_loss == 0
        most = figure.removable_up_to_n_classes
        assert most is not None
        for k, judged in report.by_n_classes.items():
            assert (judged[i].rounded.removable_loss > 0) == (k <= most)
            assert figure.bounds.loss_incorrect[0] <= judged[i].bounds.loss_incorrect[0]
    assert _report("0.9/0.05").figures[0].removable_up_to_n_classes is None
    assert _report("0.9/1.2", loss_name="brier").figures[0].removable_up_to_n_classes == inf
    assert not _report("0.9/0.5", loss_name="hinge").by_n_classes


@pytest.mark.parametrize("loss_name", ["hinge", "focal:2", "smoothed:0.1", "squared_error:1"])
def test_losses_that_are_not_proper_prove_nothing_about_calibration(loss_name: str) -> None:
    test = _report("90.0%/1.500", n_classes=10, loss_name=loss_name, n=1000).figures[0].miscalibration
    assert (test.p, test.proved, test.proved_from_n) == (None, None, None)


def test_accuracies_and_mcnemar() -> None:
    pair = _pair(_report(*QUESTION, n=800), "3", "2")
    assert pair.mcnemar_gap_needed == 7
    assert pair.mcnemar_from_n == 1000
    assert pair.mcnemar_p is not None
    assert pair.mcnemar_p[0] > 0.05 / 3
    assert _pair(_report(*QUESTION, n=100_000), "3", "2").mcnemar_p == pytest.approx((0, 0), abs=1e-9)


@pytest.mark.parametrize(
    "options",
    [{"n": 0}, {"n_classes": 1}, {"clip": 1.0}, {"loss_name": "x"}, {"loss_name": "brier:binary", "n_classes": 3}],
)
def test_impossible_arguments(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        _report("0.9/0.3", **options)


def _p_value(loss_name: str, right: float, loss: float, n: int, n_classes: int) -> float:
    kind = find_loss(loss_name)
    excess = loss - float(kind.constant(np.array([right]), n_classes)[0])
    return kind.miscalibration_p(excess, n, right, n_classes)


@pytest.mark.parametrize("loss_name", ["log_loss", "brier:binary"])
@pytest.mark.parametrize("n", [20, 200])
@pytest.mark.parametrize("confidence", [0.6, 0.95, "mixed"])
def test_level_and_power(loss_name: str, n: int, confidence: float | str) -> None:
    """Calibrated models are refuted in at most 5 % of samples: one constant confidence is the worst case."""
    rng = np.random.default_rng(n)
    trials, rejected, found = 2000, 0, 0
    for _ in range(trials):
        p = rng.choice([0.5001, 0.99], n) if isinstance(confidence, str) else np.full(n, confidence)
        right = rng.random(n) < p
        over = np.where(p < 0.9, 0.9999, p)
        losses = []
        for proba in (p, over):
            q = np.where(right, proba, 1 - proba)
            losses.append(float(((1 - q) ** 2 if loss_name == "brier:binary" else -np.log(q)).mean()))
        rejected += _p_value(loss_name, right.mean(), losses[0], n, 2) <= 0.05
        found += _p_value(loss_name, right.mean(), losses[1], n, 2) <= 0.05
    assert rejected / trials <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5
    assert n < 200 or confidence == 0.95 or found / trials > 0.95


@pytest.mark.parametrize("n", [30, 300])
def test_level_over_ten_classes(n: int) -> None:
    rng = np.random.default_rng(n)
    rejected = np.zeros(2)
    for _ in range(500):
        proba = rng.dirichlet(np.full(10, 0.3), n)
        truth = (proba.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, 9)
        right = float((proba.argmax(axis=1) == truth).mean())
        losses = -np.log(proba[np.arange(n), truth]), ((proba - np.eye(10)[truth]) ** 2).sum(axis=1)
        for i, name in enumerate(("log_loss", "brier")):
            rejected[i] += _p_value(name, right, float(losses[i].mean()), n, 10) <= 0.05
    assert (rejected / 500 <= 0.05).all()


def test_the_brier_test_holds_exactly() -> None:
    """Over all samples of a calibrated binary model the mean of 1 / p is at most one: the p value is no accident."""
    n, p = 6, np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.99])
    kind, mean = find_loss("brier:binary"), 0.0
    for code in range(2**n):
        right = np.array([code >> i & 1 for i in range(n)], dtype=bool)
        q = np.where(right, p, 1 - p)
        accuracy = float(right.mean())
        excess = float(((1 - q) ** 2).mean() - kind.constant(np.array([accuracy]), 2)[0])
        mean += float(q.prod()) * exp(2 * n * excess - kind.log_penalty(n, accuracy, 2))
    assert mean <= 1
