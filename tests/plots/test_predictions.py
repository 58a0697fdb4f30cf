"""Pictures of predictions show their figures where they are, whatever these are."""

from dataclasses import fields, replace
from math import inf, nan

import numpy as np
import pytest
from matplotlib.text import Text
from scipy.stats import binom

from lossacc_mlflow import plots
from lossacc_mlflow.records import ClippedLoss, PredictionSteps, PredictionSummary, RegressionSummary, SamplePredictions
from lossacc_mlflow.rules.dis_steps import split_rise
from lossacc_mlflow.wording import number
from tests.plots.examples import judged, numbers, steps, with_calibration, with_classes
from tests.plots.layout import by_gid, check_layout, texts

STRANGE = ["", "$\\frac{1}{0}$", "two\nlines", "模型 🙂", "x" * 500, "<b>bold</b>", "\x00\u202e"]


def answers(confidence: list[float], right: list[bool]) -> SamplePredictions:
    n, nothing = len(confidence), np.full(len(confidence), nan)
    y_pred = np.where(right, 0, 1)
    ids = tuple(map(str, range(n)))
    return SamplePredictions(
        "test", ids, np.zeros(n, dtype=np.int64), y_pred, nothing, np.array(confidence), nothing, nothing, ("a", "b")
    )  # fmt: skip


def clipped(*losses: float) -> tuple[ClippedLoss, ...]:
    return tuple(ClippedLoss(f"library {i}", 10.0**-i, loss) for i, loss in enumerate(losses))


class TestReliability:
    def test_a_dot_is_white_where_chance_explains_it_and_the_box_is_that_of_its_own_bin(self) -> None:
        summary, _ = judged()
        counts, confidence, accuracy = [0] * 15, [nan] * 15, [nan] * 15
        counts[9], confidence[9], accuracy[9] = 10, 0.62, 0.5  # 5 of 10 where 62 % are expected
        counts[14], confidence[14], accuracy[14] = 1000, 0.97, 0.9
        of = replace(
            summary, bin_count=tuple(counts), bin_confidence=tuple(confidence), bin_accuracy=tuple(accuracy)
        )  # fmt: skip
        figure = plots.plot_reliability(of, title="")
        boxes = [(b.get_y(), b.get_y() + b.get_height()) for b in by_gid(figure, "noise")]
        assert boxes == [
            pytest.approx([v / n for v in binom.interval(0.95, n, p)]) for n, p in ((10, 0.62), (1000, 0.97))
        ]
        (white,), (dark,) = by_gid(figure, "by chance"), by_gid(figure, "beyond chance")
        assert white.get_offsets()[0].tolist() == [0.62, 0.5]
        assert dark.get_offsets()[0].tolist() == [0.97, 0.9]
        assert {"10", "1,000"} <= set(texts(figure))


class TestConcentration:
    def test_a_loss_that_depends_on_the_clip_has_a_dot_for_each_value_of_it(self) -> None:
        summary, samples = judged()
        of = replace(summary, loss_by_clip=clipped(0.5, 0.5005, 0.9, inf))
        figure = plots.plot_loss_concentration(samples, of)
        assert [d.get_xdata()[0] for d in by_gid(figure, "clip dot")][:2] == [0.5, 0.9]
        written = [t.get_text() for t in by_gid(figure, "clip")]
        assert sorted(written) == ["library 0, library 1  0.500", "library 2  0.900", "library 3  inf"]
        check_layout(figure)

    def test_a_loss_that_is_the_same_under_every_clip_has_no_strip(self) -> None:
        summary, samples = judged()
        for same in ((), (0.5,), (0.5, 0.5001, 0.5002)):
            figure = plots.plot_loss_concentration(samples, replace(summary, loss_by_clip=clipped(*same)))
            assert len(figure.axes) == 1

    @pytest.mark.parametrize("losses", [(inf, nan), (0.0, 1e-9), (0.1, 0.2, 0.21, 0.22, 0.23, 50.0, inf), (1.0, inf)])
    def test_the_strip_survives_any_loss(self, losses: tuple[float, ...]) -> None:
        summary, samples = judged()
        check_layout(plots.plot_loss_concentration(samples, replace(summary, loss_by_clip=clipped(*losses))))

    def test_suspected_label_errors_are_a_line_that_ends_at_their_share(self) -> None:
        summary, samples = judged()
        marked = np.zeros(len(samples), dtype=bool)
        marked[np.argsort(samples.p_true)[:20]] = True
        loss = -np.log(samples.p_true)
        share = float(loss[marked].sum() / loss.sum())
        of = replace(summary, n_label_issues=20, loss_share_label_issues=share)
        figure = plots.plot_loss_concentration(replace(samples, label_issue=marked), of)
        (line,) = by_gid(figure, "suspects")
        assert line.get_ydata()[-1] == pytest.approx(share)
        assert any(t.startswith("20 suspected labels\n") for t in texts(figure))
        check_layout(figure)


class TestCalibration:
    def test_bars_lead_from_zero_to_the_loss_with_their_signs(self) -> None:
        figure = plots.plot_calibration({"validation": with_calibration(0.3, 0.2, -0.05)})
        (remains,) = by_gid(figure, "refinement")
        assert (remains.get_x(), remains.get_width()) == (0, pytest.approx(0.3))
        bars = [(b.get_x(), b.get_x() + b.get_width()) for b in by_gid(figure, "calibration")]
        assert bars == [pytest.approx((0.3, 0.5)), pytest.approx((0.5, 0.45))]
        (loss,) = by_gid(figure, "loss")
        assert loss.get_xdata()[0] == pytest.approx(0.45)
        assert {"+0.200", "-0.0500", "44.4 %", "-11.1 %"} <= set(texts(figure))

    def test_the_band_of_no_evidence_is_three_standard_errors_about_the_refinement(self) -> None:
        (band,) = by_gid(plots.plot_calibration({"test": with_calibration(0.3, 0.2, 0.0, se=0.02)}), "noise")
        assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.24, 0.36))
        assert not by_gid(plots.plot_calibration({"test": with_calibration(0.3, 0.2, 0.0, se=None)}), "noise")

    def test_guessing_is_a_line_where_it_is_near_and_a_word_where_it_is_far(self) -> None:
        near = plots.plot_calibration({"validation": replace(with_calibration(0.5, 0.1, 0.0), prior_loss=0.69)})
        assert [line.get_xdata()[0] for line in by_gid(near, "prior")] == [0.69]
        far = plots.plot_calibration({"validation": with_calibration(0.01, 0.0, 0.0)})
        assert not by_gid(far, "prior")
        assert far.axes[0].get_xlim()[1] < 0.1
        assert any(t.startswith("guessing costs 1.3") and t.endswith("→") for t in texts(far))

    def test_a_loss_without_a_temperature_says_so(self) -> None:
        summary, _ = judged()
        figure = plots.plot_calibration({"train": summary, "validation": with_calibration(0.3, 0.1, 0.1)})
        assert "no temperature was fitted: what is calibration is not known" in texts(figure)
        assert len(by_gid(figure, "refinement")) == 2
        check_layout(figure)

    @pytest.mark.parametrize(
        "summary",
        [
            with_calibration(nan, nan, nan, temperature=nan, se=nan),
            with_calibration(inf, inf, inf, se=inf),
            with_calibration(0.0, 0.0, 0.0, se=0.0),
            with_calibration(0.3, -0.2, 0.1, se=5.0),
            with_calibration(1.36, 0.01, 0.01, se=0.01),
            replace(with_calibration(0.3, 3.0, -2.0), temperature_at_bound=True, temperature=100.0),
        ],
    )
    def test_survives_what_is_not_finite_empty_or_huge(self, summary: PredictionSummary) -> None:
        check_layout(plots.plot_calibration({"train": summary, "validation": summary, "test": summary}))


class TestConfidence:
    def test_counts_right_and_wrong_answers_in_the_same_bins_and_marks_their_means(self) -> None:
        figure = plots.plot_confidence(answers([0.5, 0.6, 0.91, 0.95], [True, False, True, False]))
        heights = {kind: sum(b.get_height() for b in by_gid(figure, f"{kind} count")) for kind in ("right", "wrong")}
        assert heights == {"right": 2, "wrong": 2}
        bins = [[b.get_x() for b in by_gid(figure, f"{kind} count")] for kind in ("right", "wrong")]
        assert bins[0] == bins[1]
        assert [m.get_xdata()[0] for m in by_gid(figure, "mean")] == pytest.approx([0.705, 0.775])
        assert "1 of 2 wrong answers (50.0 %) are given with more than 90 % confidence" in texts(figure)
        assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
        check_layout(figure)

    def test_counts_are_on_a_log_scale_only_where_one_histogram_would_lie_flat(self) -> None:
        few = plots.plot_confidence(answers([0.7] * 1000 + [0.6], [True] * 1000 + [False]))
        assert few.axes[0].get_yscale() == few.axes[1].get_yscale() == "log"
        assert few.axes[0].get_ylabel() == "samples (log scale)"
        alike = plots.plot_confidence(answers([0.7] * 9 + [0.6] * 5, [True] * 9 + [False] * 5))
        assert alike.axes[0].get_yscale() == "linear"

    @pytest.mark.parametrize(
        ("confidence", "right"),
        [
            ([1.0], [True]),
            ([1.0, 1.0, 1.0], [False] * 3),
            ([0.0, nan], [True, False]),
            ([], []),
            ([1.0] * 5, [True] * 5),
        ],
    )
    def test_draws_whatever_there_is(self, confidence: list[float], right: list[bool]) -> None:
        check_layout(plots.plot_confidence(answers(confidence, right)))


class TestClassLoss:
    def test_the_costliest_class_comes_first_with_its_share_of_the_loss_and_of_the_samples(self) -> None:
        figure = plots.plot_class_loss(with_classes([0.1, 0.7, 0.2]), "validation")
        assert [b.get_width() for b in by_gid(figure, "loss share")] == [0.7, 0.2, 0.1]
        assert [m.get_xdata()[0] for m in by_gid(figure, "sample share")] == pytest.approx([1 / 3] * 3)
        names = [t for t in texts(figure) if t.startswith("class ")]
        assert names == ["class 1", "class 2", "class 0"]
        assert "1.40" in texts(figure)

    def test_of_a_thousand_classes_the_others_stand_together(self) -> None:
        shares = np.arange(1000) / np.arange(1000).sum()
        figure = plots.plot_class_loss(with_classes(list(shares)), "validation")
        assert len(by_gid(figure, "loss share")) == 18
        assert "982 others together" in texts(figure)
        assert any(t.startswith(" 96.4 % of the loss, 98.2 % of the samples") for t in texts(figure))
        assert "Which classes carry the loss? (validation, the 18 costliest of 1,000)" in texts(figure)
        check_layout(figure)

    def test_an_accuracy_that_is_the_share_of_the_largest_class_is_seen(self) -> None:
        constant = with_classes([0.9, 0.0], accuracy=0.9, majority_accuracy=0.9, balanced_accuracy=0.5)
        figure = plots.plot_class_loss(constant, "test")
        assert any("largest class 90.0 %" in t and "(balanced accuracy) 50.0 %" in t for t in texts(figure))
        assert "never" in texts(figure)  # answered

    @pytest.mark.parametrize("share", [nan, 0.0, inf])
    def test_survives_shares_that_say_nothing_and_strange_names(self, share: float) -> None:
        summary = with_classes([share] * len(STRANGE), STRANGE)
        empty = tuple(replace(c, n_samples=0, recall=nan, log_loss=nan) for c in summary.classes)
        for shown in (summary, replace(summary, classes=empty, n_samples=0), replace(summary, classes=())):
            check_layout(plots.plot_class_loss(shown, "validation"))


class TestPredictionSteps:
    def test_marks_the_best_step_by_loss_and_the_best_after_recalibration(self) -> None:
        figure = plots.plot_predictions_by_step({"validation": steps()})
        marks = [m.get_xdata()[0] for m in by_gid(figure, "best") if m.axes is figure.axes[0]]
        assert 18 <= marks[0] <= 24
        assert marks[1] == 59
        assert f"lowest loss: epoch {marks[0]}" in texts(figure)
        assert "best after recalibration: epoch 59" in texts(figure)
        check_layout(figure)

    def test_says_what_the_rule_says_of_a_rising_loss(self) -> None:
        rising = steps()
        parts = split_rise(rising)
        assert parts is not None
        said = texts(plots.plot_predictions_by_step({"validation": rising}))
        assert "the loss rises through calibration only: refinement still improves" in said
        wanted = f"validation: since epoch {parts.step} the loss has risen by {number(parts.total)} nats: calibration +"
        assert any(t.startswith(wanted) for t in said)
        fall = np.linspace(2, 0.3, 30)
        worse = steps(
            refinement_loss=np.r_[fall, np.linspace(0.3, 0.5, 30)], log_loss=np.r_[fall, np.linspace(0.3, 0.9, 30)]
        )
        said = texts(plots.plot_predictions_by_step({"validation": worse}))
        assert "the answers themselves get worse: a temperature does not bring the best step back" in said
        falling = steps(log_loss=np.linspace(2, 0.3, 60), refinement_loss=np.linspace(1.9, 0.25, 60))
        said = texts(plots.plot_predictions_by_step({"validation": falling}))
        assert "validation: lowest loss 0.300 at epoch 59, 0.300 at the end" in said

    def test_the_first_steps_do_not_flatten_the_others(self) -> None:
        loss = np.r_[50.0, 20.0, 9.0, np.full(57, 1.0)]
        figure = plots.plot_predictions_by_step({"validation": steps(log_loss=loss, refinement_loss=loss * 0.9)})
        assert figure.axes[0].get_ylim()[0] == 0
        assert figure.axes[0].get_ylim()[1] < 2
        assert "↑ from 50" in texts(figure)
        check_layout(figure)
        few = plots.plot_predictions_by_step({"validation": steps(n=4, log_loss=[9, 1, 1, 1], refinement_loss=[1] * 4)})
        assert few.axes[0].get_ylim()[1] > 9

    def test_one_scale_for_all_splits_and_a_sentence_about_validation(self) -> None:
        train = steps("train", turn=None)
        figure = plots.plot_predictions_by_step({"test": steps("test"), "validation": steps(), "train": train})
        assert len(figure.axes) == 9
        for row in range(3):
            assert len({axes.get_ylim() for axes in figure.axes[3 * row : 3 * row + 3]}) == 1
        assert [t for t in texts(figure) if t in {"train", "validation", "test"}] == ["train", "validation", "test"]
        assert any(t.startswith("validation: since epoch") for t in texts(figure))
        check_layout(figure)

    def test_a_loss_below_its_refinement_is_a_negative_calibration(self) -> None:
        below = steps(log_loss=np.full(60, 0.2), refinement_loss=np.full(60, 0.3))
        figure = plots.plot_predictions_by_step({"validation": below})
        assert "calibration, negative" in texts(figure)
        assert "calibration" not in texts(figure)
        (area,) = by_gid(figure, "negative")
        box = area.get_datalim(figure.axes[0].transData)
        assert (box.y0, box.y1) == pytest.approx((0.2, 0.3))

    @pytest.mark.parametrize(
        "of",
        [
            steps(n=1),
            steps(n=2, start=5_000_000),
            steps(n=3000),
            steps(n=5, refinement_loss=[nan] * 5, loss_correct=[nan] * 5, loss_incorrect=[nan] * 5),
            steps(n=4, log_loss=[1.0, inf, nan, 0.5], refinement_loss=[inf, 0.5, 0.4, -inf]),
            steps(n=3, log_loss=np.zeros(3), refinement_loss=np.zeros(3), loss_correct=np.zeros(3)),
            PredictionSteps("test", np.arange(3), {"accuracy": np.array([0.1, 0.2, 0.3])}),
            PredictionSteps("test", np.arange(3), {}),
            PredictionSteps("test", np.arange(0), {}),
        ],
    )
    def test_draws_whatever_there_is(self, of: PredictionSteps) -> None:
        check_layout(plots.plot_predictions_by_step({of.split: of}))
        check_layout(plots.plot_predictions_by_step({"train": steps("train"), of.split: of}))


class TestRegression:
    rng = np.random.default_rng(0)
    y = rng.normal(100, 20, 400)

    def test_bars_add_up_to_the_error_in_units_of_the_targets_variance(self) -> None:
        samples, summary = numbers(self.y, 0.5 * self.y + 60)
        figure = plots.plot_regression(samples, summary)
        bars = by_gid(figure, "part")
        ends = [(b.get_x(), b.get_x() + b.get_width()) for b in bars]
        assert ends[0][0] == 0
        assert [end for _, end in ends[:-1]] == pytest.approx([start for start, _ in ends[1:]])
        assert ends[-1][1] == pytest.approx(1 - summary.r2)
        assert by_gid(figure, "mse")[0].get_xdata()[0] == pytest.approx(1 - summary.r2)
        check_layout(figure)

    def test_the_line_is_that_of_the_target_over_the_prediction(self) -> None:
        samples, summary = numbers(self.y, 0.5 * self.y + 60)
        figure = plots.plot_regression(samples, summary)
        (fit,), (identity,) = by_gid(figure, "fit"), by_gid(figure, "identity")
        x, y = np.asarray(fit.get_xdata()), np.asarray(fit.get_ydata())
        assert y == pytest.approx(2 * (x - 60))
        assert list(identity.get_xdata()) == list(identity.get_ydata())

    def test_of_very_many_samples_a_single_outlier_still_shows(self) -> None:
        y = np.r_[self.rng.normal(size=50_000), 100.0]
        samples, summary = numbers(y, np.r_[y[:-1], -100.0])
        (points,) = by_gid(plots.plot_regression(samples, summary), "points")
        seen = np.asarray(points.get_array())[..., 3] > 0
        assert seen[-1].sum() + seen[:, 0].sum() + seen[-6:, :6].sum() > 0
        assert 2 <= seen.sum() < 1000

    @pytest.mark.parametrize(
        ("y_true", "y_pred"),
        [
            ([3.0], [4.0]),
            ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]),
            ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]),
            ([0.0, 1e-9], [1e-9, 0.0]),
            ([-1e12, 1e12], [1e12, -1e12]),
            ([1e6, 2e6, 3.5e6], [1.5e6, 2.5e6, 9.99e6]),
        ],
    )
    def test_draws_few_constant_tiny_and_huge_numbers(self, y_true: list[float], y_pred: list[float]) -> None:
        check_layout(plots.plot_regression(*numbers(y_true, y_pred)))

    def test_survives_figures_that_are_not_known(self) -> None:
        samples, summary = numbers(self.y, self.y)
        unknown = {f.name: nan for f in fields(RegressionSummary) if f.type is float}
        check_layout(plots.plot_regression(samples, replace(summary, **unknown)))  # type: ignore[arg-type]  # floats


def test_every_word_of_these_pictures_is_legible() -> None:
    summary = with_classes([0.5] * len(STRANGE), STRANGE)
    figures = [
        plots.plot_class_loss(summary, "validation"),
        plots.plot_calibration({"validation": with_calibration(0.3, 0.1, 0.1)}),
        plots.plot_confidence(judged()[1]),
        plots.plot_predictions_by_step({"validation": steps()}),
        plots.plot_regression(*numbers([1.0, 2.0], [1.5, 1.5])),
    ]
    for text in (t for figure in figures for t in figure.findobj(Text) if t.get_text()):
        assert float(text.get_fontsize()) >= 10
