"""Pictures are tested on their structure and their layout, not on pixels."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB

from lossacc_mlflow import plots
from lossacc_mlflow.bounds import loss_bounds
from lossacc_mlflow.curves import summarize_curve
from lossacc_mlflow.plots.labels import Box, place_labels, spread
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.plots.traces import envelope
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import (
    AttributionGroup,
    Comparison,
    ComparisonRow,
    Curve,
    Diagnosis,
    Finding,
    FloatArray,
    Metric,
    PairedComparison,
    PredictionSummary,
    RunData,
    SamplePredictions,
    Split,
    StepUnit,
    Verdict,
)
from tests.plots import examples
from tests.plots.layout import by_gid, check_layout, texts

LOSS = Metric("log_loss", greater_is_better=False, unit="nats")
ACCURACY = Metric("accuracy", greater_is_better=True, unit="fraction")
Judged = tuple[PredictionSummary, SamplePredictions]

HOSTILE = "<script>alert('x')</script>\n\"$\\frac{1}{0}$\" \x00\u202e 模型 🙂 \ud800" + "long" * 80


def curve(metric: Metric, split: Split, values: Sequence[float] | FloatArray, unit: StepUnit = "epoch") -> Curve:
    return Curve(metric, split, np.arange(len(values)), np.array(values), unit)


def run(name: str = "mlp", *curves: Curve, n_classes: int | None = 10) -> RunData:
    if not curves:
        step = np.arange(40)
        train, validation = 2 * np.exp(-step / 8) + 0.01, 2 * np.exp(-step / 6) + 0.2 + 0.01 * step
        curves = (
            curve(LOSS, "train", train),
            curve(LOSS, "validation", validation),
            curve(ACCURACY, "train", 1 - 0.4 * np.exp(-step / 6)),
            curve(ACCURACY, "validation", 0.96 - 0.4 * np.exp(-step / 6)),
        )
    return RunData(name, name, curves, n_classes=n_classes)


def diagnosis(of: RunData, *findings: Finding, verdict: Verdict = "healthy") -> Diagnosis:
    return Diagnosis(of, verdict, "none", "", findings, tuple(summarize_curve(c) for c in of.curves))


def flag(code: str, step: int | None, interval: tuple[int, int] | None = None) -> Finding:
    return Finding(code, f"title of {code}", "warning", "flagged", "", step=step, step_interval=interval)


def comparison(runs: Sequence[RunData]) -> Comparison:
    row = ComparisonRow(
        "", "", "validation", 0.9, 0.3, "log_loss", None, None, None, "healthy", "none", None, None, None, ()
    )  # fmt: skip
    rows = tuple(replace(row, run_id=r.run_id, name=r.name) for r in runs)
    return Comparison("digits", "1", rows, (), (), (), tuple(diagnosis(r) for r in runs))


def pair(name_a: str = "a", *contributions: float) -> PairedComparison:
    names = ("both_right", "only_a_right", "only_b_right", "both_wrong")
    adds = contributions or (-0.02, -0.05, 0.1, 0.13)
    nan = float("nan")
    groups = tuple(
        AttributionGroup(n, 10 if c else 0, 1.5 if c else nan, 1.0 if c else nan, c)  # type: ignore[arg-type]  # names are literals
        for n, c in zip(names, adds, strict=True)
    )
    total = sum(adds)
    return PairedComparison(
        name_a, "b", "validation", 40, 0.975, 0.95, 0.1 + total, 0.1, total, 0.025, groups, 0.3, 0.25, 0.01, 0.1, True,
        (total - 0.05, total + 0.05), 0.12, 0.09, 0.03, "",
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged() -> Judged:
    """Over-confident predictions of naive Bayes on real digits."""
    x, y = load_digits(return_X_y=True)
    proba = GaussianNB().fit(x[:900], y[:900]).predict_proba(x[900:])
    return judge_predictions(make_predictions(y[900:], proba))


def every_picture(name: str = "model") -> dict[str, Figure]:
    summary, samples = examples.judged(300, 4, [f"{name} {i}" for i in range(4)])
    findings = (flag("FIT001", 12, (9, 15)), flag("DIS001", 12), flag("FIT002", 30))
    figures = {
        "curves": plots.plot_curves(diagnosis(run(name), *findings, verdict="loss_overfitting")),
        "plane": plots.plot_loss_accuracy_plane(
            {f"{i} {name}": loss_bounds(0.9, i, 10) for i in (0.2, 2.0)}, title=name
        ),
        "reliability": plots.plot_reliability(summary, title=name),
        "concentration": plots.plot_loss_concentration(samples, summary),
        "confusion": plots.plot_confusion(samples),
        "overlay": plots.plot_curves_overlay(comparison([run(f"{i} {name}") for i in range(3)])),
        "attribution": plots.plot_attribution(pair(name)),
        "calibration": plots.plot_calibration({"validation": examples.with_calibration(0.3, 0.2, -0.1)}),
        "confidence": plots.plot_confidence(samples),
        "class_loss": plots.plot_class_loss(
            examples.with_classes([0.5, 0.3, 0.2], [f"{i} {name}" for i in range(3)]), "validation"
        ),
        "by_step": plots.plot_predictions_by_step({"validation": examples.steps()}),
        "regression": plots.plot_regression(*examples.numbers([1.0, 2.0, 3.0], [1.5, 2.0, 3.5])),
        "search": plots.plot_search(examples.search_results(name)),
    }
    assert len(figures) == len([name for name in plots.__all__ if name.startswith("plot_")])
    return figures


class TestEveryPicture:
    @pytest.mark.parametrize("name", ["model", HOSTILE, "$", ""])
    def test_has_no_overlapping_or_cut_off_text(self, name: str) -> None:
        for figure in every_picture(name).values():
            check_layout(figure)

    def test_draws_names_literally_on_one_line_and_bounded(self) -> None:
        shown = [t for f in every_picture(HOSTILE).values() for t in f.findobj(Text) if "script" in t.get_text()]
        assert len(shown) > 10
        for text in shown:
            assert not text.get_parse_math()
            assert not text.get_usetex()
            assert all(len(line) < 200 for line in text.get_text().split("\n"))
            assert not any(c in text.get_text() for c in "\x00\ud800\u202e")

    def test_does_not_depend_on_the_users_settings_and_leaves_them(self) -> None:
        before = {name: plots.to_png(figure) for name, figure in every_picture().items()}
        taste: dict[Any, Any] = {
            "axes.facecolor": "black", "text.color": "white", "font.size": 30, "font.family": "monospace",
            "axes.grid": True, "text.usetex": True, "lines.marker": "o", "lines.linestyle": "--", "axes.labelpad": 40,
            "xtick.labelsize": 3, "figure.constrained_layout.use": True, "axes.spines.right": True,
            "xtick.minor.visible": True, "figure.dpi": 30, "savefig.bbox": "tight", "text.parse_math": True,
        }  # fmt: skip
        with mpl.rc_context(taste):
            settings_before = dict(mpl.rcParams)
            after = {name: plots.to_png(figure) for name, figure in every_picture().items()}
            assert dict(mpl.rcParams) == settings_before
        assert [name for name in before if before[name] != after[name]] == []


class TestCurves:
    def test_marks_best_steps_and_onsets_where_they_are(self) -> None:
        of = run()
        figure = plots.plot_curves(diagnosis(of, flag("FIT001", 12, (9, 15)), flag("FIT002", 30)))
        best = {line.get_xdata()[0] for line in by_gid(figure, "best")}
        assert best == {summarize_curve(of.curves[1]).best_step, summarize_curve(of.curves[3]).best_step}
        loss, accuracy = figure.axes
        assert [line.get_xdata()[0] for line in by_gid(figure, "onset") if line.axes is loss] == [12, 30]
        assert loss.get_xlim() == accuracy.get_xlim()
        spans = {p.get_gid(): p.get_extents().transformed(loss.transData.inverted()) for p in loss.patches}
        assert (spans["interval"].x0, spans["interval"].x1) == pytest.approx((9, 15))
        assert spans["after"].x0 == pytest.approx(12)
        assert {"FIT001 from epoch 12 (9–15)", "FIT002 from epoch 30"} <= set(texts(figure))  # noqa: RUF001  (an en dash)

    def test_labels_every_split_directly_and_tells_them_apart_twice(self) -> None:
        figure = plots.plot_curves(diagnosis(run()))
        lines = {line.get_label(): line for line in figure.axes[0].lines}
        assert lines["train"].get_color() != lines["validation"].get_color()
        assert lines["train"].get_linestyle() != lines["validation"].get_linestyle()
        ends = {t.get_text().split()[0] for t in by_gid(figure, "end label")}
        assert {"train", "validation"} <= ends
        assert "validation 0.593" in texts(figure)

    @pytest.mark.parametrize(("values", "scale"), [((9.0, 0.1), "log"), ((9.0, 0.9), "linear"), ((9.0, 0.0), "linear")])
    def test_uses_a_log_scale_for_positive_losses_over_many_decades(
        self, values: tuple[float, ...], scale: str
    ) -> None:
        figure = plots.plot_curves(diagnosis(run("r", curve(LOSS, "train", values))))
        assert figure.axes[0].get_yscale() == scale

    def test_draws_a_million_points_with_their_spikes(self) -> None:
        value = np.random.default_rng(0).normal(1, 0.01, 1_000_000)
        value[777_777], value[123_456] = 50.0, 1e-4
        figure = plots.plot_curves(diagnosis(run("r", curve(LOSS, "train", value, "global_step"))))
        line = next(line for line in figure.axes[0].lines if line.get_label() == "train")
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert len(x) < 5000
        assert x[np.argmax(y)] == 777_777
        assert x[np.argmin(y)] == 123_456

    def test_marks_values_that_are_not_finite_where_they_occurred(self) -> None:
        values = [1.0, 0.5, np.nan, np.inf, 0.4, -np.inf, 0.3]
        figure = plots.plot_curves(diagnosis(run("r", curve(LOSS, "validation", values)), flag("TRN001", 2)))
        marks = {line.get_marker(): list(line.get_xdata()) for line in by_gid(figure, "non-finite")}
        assert marks == {"x": [2], "^": [3], "v": [5]}
        assert "validation: 1 × nan, 1 × inf, 1 × -inf, first at epoch 2" in texts(figure)  # noqa: RUF001  (a times sign)
        check_layout(figure)

    @pytest.mark.parametrize(
        ("curves", "n_axes"),
        [
            ((curve(LOSS, "train", [0.5]), curve(ACCURACY, "train", [0.9])), 2),
            ((curve(LOSS, "train", [0.5, 0.4]),), 1),
            ((curve(ACCURACY, "validation", [0.5, 0.6, 0.7]),), 1),
            ((curve(LOSS, "train", [np.nan] * 9), curve(LOSS, "validation", [np.nan] * 9)), 1),
            ((curve(LOSS, "train", [1e308, -1e308, 3.0]),), 1),
            ((curve(LOSS, "train", []),), 0),
            ((), 0),
        ],
    )
    def test_draws_whatever_there_is(self, curves: tuple[Curve, ...], n_axes: int) -> None:
        figure = plots.plot_curves(
            Diagnosis(RunData("r", "r", curves), "not_enough_information", "none", "", (flag("TRN001", 0),))
        )
        assert len(figure.axes) == n_axes
        check_layout(figure)

    def test_draws_sample_sizes_without_onsets_and_prefers_real_curves(self) -> None:
        sizes = curve(LOSS, "validation", [2.0, 1.0, 0.5], "n_samples")
        figure = plots.plot_curves(diagnosis(run("r", sizes), flag("FIT001", 1)))
        assert figure.axes[0].get_xlabel() == "training samples"
        assert not by_gid(figure, "onset")
        both = plots.plot_curves(diagnosis(run("r", sizes, curve(LOSS, "validation", [1.0, 0.4]))))
        assert both.axes[0].get_xlabel() == "epoch"
        single = plots.plot_curves(diagnosis(run("r", sizes, curve(LOSS, "validation", [1.0]))))
        assert single.axes[0].get_xlabel() == "training samples"

    def test_shows_the_level_of_guessing_only_where_it_does_not_flatten_the_curve(self) -> None:
        near = plots.plot_curves(diagnosis(run("r", curve(ACCURACY, "train", [0.12, 0.3]))))
        far = plots.plot_curves(diagnosis(run("r", curve(ACCURACY, "train", [0.95, 0.97]))))
        assert len(by_gid(near, "chance")) == 1
        assert "chance 10 %" in texts(near)
        assert not by_gid(far, "chance")
        assert "chance 10 % ↓" in texts(far)


class TestPlane:
    def test_points_from_above_the_band_to_the_band(self) -> None:
        three = {
            "1": loss_bounds(0.981, 0.1882, 10),
            "2": loss_bounds(0.985, 0.0997, 10),
            "3": loss_bounds(0.991, 0.2544, 10),
        }
        figure = plots.plot_loss_accuracy_plane(three)
        axes = figure.axes[0]
        ends = sorted(axes.transData.inverted().transform(a.xy)[1] for a in by_gid(figure, "arrow"))
        assert ends == pytest.approx([three["3"].calibrated_high, three["1"].calibrated_high])
        assert len(by_gid(figure, "point above")) == 2
        assert len(by_gid(figure, "point calibrated")) == 1
        assert any("72 % of the loss removable\nwithout changing a prediction" in t for t in texts(figure))
        check_layout(figure)

    def test_places_twelve_close_labels_without_overlap(self) -> None:
        close = {f"close {i}": loss_bounds(0.98 + 0.0005 * (i % 6), 0.1 + 0.002 * i, 10) for i in range(12)}
        figure = plots.plot_loss_accuracy_plane(close)
        assert len(by_gid(figure, "label")) == 12
        assert not by_gid(figure, "key")
        check_layout(figure)

    @pytest.mark.parametrize("n", [13, 40, 100])
    def test_numbers_many_points_and_explains_them_at_the_side(self, n: int) -> None:
        rng = np.random.default_rng(n)
        many = {
            f"a model with a long name {i}": loss_bounds(1 - 0.02 * rng.random(), 0.3 * rng.random(), 10)
            for i in range(n)
        }
        figure = plots.plot_loss_accuracy_plane(many)
        assert [t.get_text() for t in by_gid(figure, "label")] == [str(i + 1) for i in range(min(n, 60))]
        check_layout(figure)

    def test_crosses_out_what_is_impossible(self) -> None:
        fine = loss_bounds(0.9, 0.3, 3)
        points = {
            "below the floor": loss_bounds(0.5, 0.1, 3),
            "percent": replace(fine, accuracy=90.0),
            "infinite": replace(fine, loss=float("inf")),
            "fine": fine,
        }
        figure = plots.plot_loss_accuracy_plane(points)
        assert len(by_gid(figure, "point impossible")) == 3
        assert sum("impossible" in t.get_text() for t in by_gid(figure, "figures")) == 3
        check_layout(figure)

    @pytest.mark.parametrize(
        "figures",
        [
            [],
            [(1.0, 0.0)],
            [(1.0, 0.0), (1.0, 0.5), (0.99, 0.02)],
            [(0.0, 5.0)],
            [(0.0, 5.0), (1.0, 0.1)],
            [(0.5, 0.7), (0.5, 0.7)],
        ],
    )
    def test_draws_perfect_and_hopeless_models(self, figures: list[tuple[float, float]]) -> None:
        figure = plots.plot_loss_accuracy_plane(
            {str(i): loss_bounds(a, loss, 3) for i, (a, loss) in enumerate(figures)}
        )
        frame = figure.axes[0].get_window_extent()
        for point in by_gid(figure, "point above") + by_gid(figure, "point calibrated"):
            x, y = figure.axes[0].transData.transform(point.get_xydata())[0]
            assert frame.x0 - 1 <= x <= frame.x1 + 1
            assert frame.y0 - 1 <= y <= frame.y1 + 1
        check_layout(figure)

    def test_leaves_out_nan_and_draws_other_class_counts_hollow(self) -> None:
        ten = loss_bounds(0.9, 0.3, 10)
        points = {"a": ten, "b": ten, "two": loss_bounds(0.9, 0.3, 2), "nan": replace(ten, loss=float("nan"))}
        figure = plots.plot_loss_accuracy_plane(points)
        assert {t.get_text() for t in by_gid(figure, "label")} == {"a", "b", "two"}
        assert any(t.startswith("hollow") for t in texts(figure))
        assert any("(10 classes)" in t for t in texts(figure))


class TestReliability:
    def test_draws_gap_and_noise_of_every_filled_bin(self, judged: Judged) -> None:
        summary, _ = judged
        figure = plots.plot_reliability(summary, title="naive Bayes, test")
        filled = [i for i, n in enumerate(summary.bin_count) if n]
        gaps = by_gid(figure, "gap")
        assert len(gaps) == len(by_gid(figure, "noise")) == len(filled)
        for bar, i in zip(gaps, filled, strict=True):
            ends = (bar.get_y(), bar.get_y() + bar.get_height())
            assert ends == pytest.approx(sorted((summary.bin_confidence[i], summary.bin_accuracy[i])))
            red, _, blue, _ = bar.get_facecolor()
            assert (red > blue) == (summary.bin_confidence[i] > summary.bin_accuracy[i])
        heights = [b.get_height() for b in by_gid(figure, "histogram")]
        assert heights == list(summary.bin_count)
        assert any("over-confident as a whole" in t for t in texts(figure))
        check_layout(figure)

    def test_draws_a_perfect_model_and_one_sample(self) -> None:
        for truth, proba in (([0, 1], [[1.0, 0.0], [0.0, 1.0]]), ([0], [[0.4, 0.6]])):
            summary, _ = judge_predictions(make_predictions(truth, proba), temperature=False)
            check_layout(plots.plot_reliability(summary, title="edge"))


class TestConcentration:
    def test_splits_the_loss_into_right_and_wrong(self, judged: Judged) -> None:
        summary, samples = judged
        figure = plots.plot_loss_concentration(samples, summary)
        (curve_line,) = by_gid(figure, "lorenz")
        x, y = curve_line.get_xdata(), curve_line.get_ydata()
        assert (x[0], y[0]) == (0, 0)
        assert (x[-1], y[-1]) == pytest.approx((1, 1))
        assert np.all(np.diff(y, 2) <= 1e-9)  # the worst come first
        (wrong,) = by_gid(figure, "wrong")
        top = wrong.get_paths()[0].vertices[:, 1].max()
        assert top == pytest.approx(summary.loss_share_incorrect)
        (worst,) = by_gid(figure, "worst")
        at = float(worst.get_xdata()[0])
        assert np.interp(at, x, y) == pytest.approx(summary.loss_share_top1pct)
        check_layout(figure)

    def test_thins_a_million_samples(self) -> None:
        summary, samples = examples.judged(200_000, 3)
        figure = plots.plot_loss_concentration(samples, summary)
        assert len(by_gid(figure, "lorenz")[0].get_xdata()) < 2500

    def test_says_when_there_is_no_loss(self) -> None:
        summary, samples = judge_predictions(make_predictions([0, 1], [[1.0, 0.0], [0.0, 1.0]]))
        assert any("no loss at all" in t for t in texts(plots.plot_loss_concentration(samples, summary)))


class TestConfusion:
    @pytest.mark.parametrize("k", [2, 10, 30])
    def test_writes_every_count(self, k: int) -> None:
        _, samples = examples.judged(40 * k, k)
        figure = plots.plot_confusion(samples)
        counts = [int(t.get_text()) for t in by_gid(figure, "count")]
        assert sum(counts) == len(samples)
        check_layout(figure)

    def test_shows_the_most_confused_of_many_classes(self) -> None:
        _, samples = examples.judged(3000, 100)
        figure = plots.plot_confusion(samples)
        assert len(figure.axes[0].get_yticks()) == 20
        assert any("the 20 most confused of 100 classes" in t for t in texts(figure))

    def test_keeps_long_labels_apart(self) -> None:
        _, samples = examples.judged(300, 12, [f"a class with a long name, number {i}" for i in range(12)])
        figure = plots.plot_confusion(samples)
        labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
        assert len(set(labels)) == 12
        check_layout(figure)


class TestOverlay:
    def test_uses_the_common_unit_or_the_share_of_the_training(self) -> None:
        same = plots.plot_curves_overlay(comparison([run("a"), run("b")]))
        assert same.axes[-1].get_xlabel() == "epoch"
        trees = run("b", curve(LOSS, "validation", [1.0, 0.5, 0.4], "n_estimators"))
        mixed = plots.plot_curves_overlay(comparison([run("a"), trees]))
        assert mixed.axes[-1].get_xlabel() == "share of each run's own steps (epoch, n estimators)"
        lines = [line for line in mixed.axes[0].lines if line.get_label() == "b"]
        assert np.asarray(lines[0].get_xdata()).tolist() == [0, 0.5, 1]

    def test_names_ten_runs_and_greys_the_rest(self) -> None:
        figure = plots.plot_curves_overlay(comparison([run(f"run {i:02d}") for i in range(25)]))
        named = {t.get_text().split("  ")[0] for t in by_gid(figure, "end label")}
        assert named == {f"run {i:02d}" for i in range(10)}
        assert len({line.get_color() for line in figure.axes[0].lines}) == 11
        check_layout(figure)

    def test_names_runs_far_behind_their_siblings_as_such(self) -> None:
        made = comparison([run("a"), run("b")])
        rows = (made.rows[0], replace(made.rows[1], findings=("CMP006",)))
        figure = plots.plot_curves_overlay(replace(made, rows=rows))
        assert [t.get_text().split("  ")[0] for t in by_gid(figure, "end label") if "behind" in t.get_text()] == [
            "b",
            "b",
        ]
        assert any("1 far behind their siblings (CMP006)" in text for text in texts(figure))
        check_layout(figure)

    def test_names_and_colours_runs_with_a_finding_wherever_they_stand(self) -> None:
        made = comparison([run(f"run {i:02d}") for i in range(25)])
        codes = {3: "CMP005", 20: "CMP006", 24: "CMP006"}
        rows = tuple(replace(row, findings=(codes[i],) if i in codes else ()) for i, row in enumerate(made.rows))
        figure = plots.plot_curves_overlay(replace(made, rows=rows))
        named = [t.get_text() for t in by_gid(figure, "end label")]
        assert {t.split("  ")[0] for t in named} == {f"run {i:02d}" for i in (*range(10), 20, 24)}
        assert {t.split("  ")[0] for t in named if t.endswith("twin")} == {"run 03"}
        lines = {line.get_label(): line for line in figure.axes[0].lines}
        assert lines["run 20"].get_color() != lines["run 21"].get_color()
        assert lines["run 03"].get_zorder() > lines["run 00"].get_zorder()
        assert lines["run 03"].get_linestyle() != "-"  # so that one sees what lies below
        assert any("2 far behind their siblings (CMP006) · 1 twin (CMP005)" in text for text in texts(figure))
        check_layout(figure)

    def test_draws_single_scores_as_dots_and_nothing_as_a_sentence(self) -> None:
        single = run("forest", curve(LOSS, "validation", [0.3]), curve(ACCURACY, "validation", [0.97]))
        figure = plots.plot_curves_overlay(
            comparison([run("a"), single, run("nan", curve(LOSS, "validation", [np.nan] * 3))])
        )
        dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
        assert [np.asarray(d.get_xdata()).tolist() for d in dots] == [[39]]
        check_layout(figure)
        assert "No run has a validation curve." in texts(plots.plot_curves_overlay(comparison([])))


class TestAttribution:
    def test_bars_lead_from_the_loss_of_b_to_that_of_a(self) -> None:
        of = pair("a")
        figure = plots.plot_attribution(of)
        bars = by_gid(figure, "contribution")
        level = of.loss_b
        for bar, group in zip(bars, of.groups, strict=True):
            start, width = bar.get_x(), bar.get_width()
            assert {round(start, 9), round(start + width, 9)} == {round(level, 9), round(level + group.contribution, 9)}
            level += group.contribution
        (end,) = by_gid(figure, "loss A")
        assert end.get_xdata()[0] == pytest.approx(level)
        assert {"+0.160", "+0.0300"} <= set(texts(figure))

    @pytest.mark.parametrize("contributions", [(0.0, 0.0, 0.0, 0.0), (1e-9, 0.0, -1e-9, 0.0), (0.0, -3.0, 30.0, 1.0)])
    def test_draws_empty_tiny_and_huge_differences(self, contributions: tuple[float, ...]) -> None:
        check_layout(plots.plot_attribution(pair("a", *contributions)))

    def test_what_is_known_of_an_unknown_difference_is_drawn_from_zero(self) -> None:
        nan = float("nan")
        of = pair("a", -0.02, nan, 0.1, nan)
        unknown = replace(of, loss_a=nan, loss_b=nan, delta_loss=nan, delta_loss_ci95=(nan, nan), paired_t_p=nan)
        figure = plots.plot_attribution(replace(unknown, loss_a_after_temperature=nan))
        bars = [(b.get_x(), b.get_width()) for b in by_gid(figure, "contribution")]
        assert bars[:3] == [pytest.approx((0, -0.02)), pytest.approx((-0.02, 0)), pytest.approx((-0.02, 0.1))]
        assert "Where the loss difference A - B = n/a nats comes from (validation)" in texts(figure)
        assert figure.axes[0].get_xlabel() == "adds to the difference of the log losses (nats)"
        check_layout(figure)

    def test_p_values_of_many_pairs_stand_beside_what_is_left_of_them(self) -> None:
        of = replace(pair("a"), n_pairs=6, mcnemar_p_holm=0.9, loss_p_holm=0.06, decided=False)
        shown = texts(plots.plot_attribution(of))
        assert "accuracy +2.5 points: McNemar p = 0.3, Holm p = 0.9 among 6 pairs" in shown
        assert any(t.endswith("not settled at 5 % (paired t p = 0.01, Holm p = 0.06)") for t in shown)
        at_clip = texts(plots.plot_attribution(replace(of, at_clip=True)))
        assert any(t.endswith("(Brier score p = 0.1, Holm p = 0.06; it hangs on the clip)") for t in at_clip)

    def test_the_temperatures_stand_beside_the_losses_that_they_give(self) -> None:
        figure = plots.plot_attribution(replace(pair("a"), temperature_a=1.4, temperature_b=0.93))
        assert "temperature 1.40, 0.930" in texts(figure)
        check_layout(figure)


class TestPng:
    def test_is_a_small_palette_png_without_metadata(self) -> None:
        body = plots.to_png(plots.plot_curves(diagnosis(run(), flag("FIT001", 12, (9, 15)))))
        assert len(body) < 60_000
        chunks, at = set(), 8
        while at < len(body):
            (length,), kind = struct.unpack(">I", body[at : at + 4]), body[at + 4 : at + 8]
            chunks.add(kind)
            at += length + 12
        assert chunks == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
        assert Image.open(BytesIO(body)).convert("RGB").getpixel((2, 2)) == (255, 255, 255)

    def test_looks_like_the_figure(self) -> None:
        figure = plots.plot_loss_accuracy_plane({"a": loss_bounds(0.9, 0.9, 10)})
        small = np.asarray(Image.open(BytesIO(plots.to_png(figure))).convert("RGB")).astype(int)
        exact = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)  # type: ignore[attr-defined]  # the canvas is Agg's
        assert np.abs(small - exact).max() < 40
        assert np.mean(np.abs(small - exact).max(axis=2) > 0) < 0.03

    def test_same_figure_same_bytes(self) -> None:
        figure = plots.plot_curves(diagnosis(run()))
        assert plots.to_png(figure) == plots.to_png(figure) == plots.to_png(plots.plot_curves(diagnosis(run())))

    def test_several_are_fitted_into_one_limit_and_stay_whole(self) -> None:
        pictures = {name: plots.to_png(figure) for name, figure in every_picture().items()}
        total = sum(map(len, pictures.values()))
        assert plots.fit_pngs(pictures, total) == pictures
        fitted = plots.fit_pngs(pictures, int(0.9 * total))
        assert list(fitted) == list(pictures)
        assert sum(map(len, fitted.values())) <= 0.9 * total
        changed = [name for name in pictures if fitted[name] != pictures[name]]
        smallest_changed = min(len(pictures[name]) for name in changed)
        assert all(len(body) <= smallest_changed for name, body in pictures.items() if name not in changed)
        for name, body in fitted.items():
            exact, now = (np.asarray(Image.open(BytesIO(b)).convert("RGB")).astype(int) for b in (pictures[name], body))
            assert exact.shape == now.shape
            assert np.mean(np.abs(exact - now).max(axis=2) > 40) < 1e-3

    def test_shrinks_to_a_limit(self) -> None:
        figure = plots.plot_curves(diagnosis(run()))
        assert len(plots.to_png(figure, max_bytes=15_000)) <= 15_000
        assert Image.open(BytesIO(plots.to_png(figure, max_bytes=1))).width == round(1045 * 0.5)


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(5, 30)), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_spread_keeps_labels_apart_and_inside(labels: list[tuple[float, float]]) -> None:
    heights = [h for _, h in labels]
    centres = spread([w for w, _ in labels], heights, 0, 500)
    edges = sorted((c - h / 2, c + h / 2) for c, h in zip(centres, heights, strict=True))
    assert edges[0][0] >= -1e-6
    assert edges[-1][1] <= 500 + 1e-6
    assert all(below[1] <= above[0] + 1e-6 for below, above in pairwise(edges))


def test_place_labels_gives_up_when_there_is_no_room() -> None:
    assert place_labels([(5, 5)], [(50, 10)], [], Box(0, 0, 20, 20)) is None
    assert place_labels([], [], [], Box(0, 0, 20, 20)) == []


def test_envelope_keeps_extremes_of_every_column_and_gaps() -> None:
    value = np.random.default_rng(1).normal(size=50_000)
    value[10_000:20_000] = np.nan
    step = np.arange(50_000.0)
    thin_step, thin = envelope(step, value, 100)
    assert len(thin) <= 302
    assert np.all(np.diff(thin_step) > 0)
    for low in range(0, 50_000, 500):
        here, kept = value[low : low + 500], thin[(thin_step >= low) & (thin_step < low + 500)]
        if np.isfinite(here).any():
            assert (np.nanmin(kept), np.nanmax(kept)) == (here.min(), here.max())
        else:
            assert np.isnan(kept).any()


@given(st.text(max_size=300))
@example("\uf400")  # for private use: DejaVu has a glyph for it
@settings(max_examples=80, deadline=None)
def test_clean_names_are_short_and_on_one_line(name: str) -> None:
    text = clean(name, 20)
    assert len(text) <= 20
    assert text.isprintable()


def test_a_small_copy_keeps_its_shape_and_small_pictures_stay_as_they_are() -> None:
    body = plots.to_png(plots.plot_curves(diagnosis(run())))
    picture, small = (Image.open(BytesIO(png)) for png in (body, plots.shrink_png(body, 780)))
    assert small.width == 780
    assert small.height == pytest.approx(780 * picture.height / picture.width, abs=1)
    assert plots.shrink_png(body, picture.width) == body
