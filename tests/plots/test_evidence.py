"""Every flagged finding is visible where it is, and with the numbers that it gives."""

import re
from collections.abc import Mapping
from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import ArrayLike

from lossacc_mlflow.curves import summarize_curve
from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.plots import plot_curves
from lossacc_mlflow.records import Diagnosis, Evidence, Finding, RunData
from tests.builders import make_curve, make_run
from tests.plots.layout import by_gid, check_layout, texts

N = 100
STEP = np.arange(N)


def fall(tau: float, end: float, n: int = N) -> Any:  # noqa: ANN401  (an array)
    return end + (2.2 - end) * np.exp(-np.arange(n) / tau)


def climb(tau: float, end: float) -> Any:  # noqa: ANN401  (an array)
    return end - (end - 0.1) * np.exp(-STEP / tau)


OVERFIT = {
    "train_log_loss": fall(15, 0.02),
    "val_log_loss": fall(12, 0.25) + 0.006 * STEP,
    "train_accuracy": climb(10, 0.995),
    "val_accuracy": climb(9, 0.93),
}
CALM = {
    "train_log_loss": fall(12, 0.35),
    "val_log_loss": fall(12, 0.4),
    "train_accuracy": climb(9, 0.9),
    "val_accuracy": climb(9, 0.85),
}


def found(code: str, step: int | None = None, /, **evidence: float | tuple[float, float]) -> Finding:
    """A flagged finding; a pair is a value with its threshold."""
    parts = [(name, e if isinstance(e, tuple) else (e, None)) for name, e in evidence.items()]
    interval = None if step is None else (step, step)
    listed = tuple(Evidence(name, value, threshold) for name, (value, threshold) in parts)
    return Finding(code, f"title of {code}", "warning", "flagged", "", listed, "validation", step, interval)


def draw(curves: Mapping[str, ArrayLike], *findings: Finding, **more: Any) -> Figure:  # noqa: ANN401  (of RunData)
    run = make_run(curves, **{"n_classes": 10, **more})
    summaries = tuple(summarize_curve(c) for c in run.curves)
    return plot_curves(Diagnosis(run, "healthy", "none", "", findings, summaries))


def best(curves: Mapping[str, ArrayLike], key: str) -> tuple[int, float]:
    summary = summarize_curve(make_curve(key, curves[key]))
    return summary.smoothed_best_step, summary.smoothed_best


def heights(figure: Figure, panel: int, gid: str = "bracket") -> list[list[float]]:
    """First and second level of each bracket of a panel."""
    axes = figure.axes[panel]
    to_data = axes.transData.inverted().transform
    return [[float(to_data(at)[1]) for at in (b.xyann, b.xy)] for b in by_gid(figure, gid) if b.axes is axes]


def area(figure: Figure, gid: str, panel: int = 0) -> tuple[float, float, float, float]:
    (drawn,) = [a for a in by_gid(figure, gid) if a.axes is figure.axes[panel]]
    box = drawn.get_datalim(figure.axes[panel].transData)
    return box.x0, box.x1, box.y0, box.y1


class TestCost:
    def test_findings_on_one_step_share_a_line_and_a_bracket_of_what_was_given_up(self) -> None:
        step, level = best(OVERFIT, "val_log_loss")
        cost = {"loss_given_up": 0.25, "accuracy_given_up": 0.002, "steps_since_best": float(N - 1 - step)}
        figure = draw(
            OVERFIT,
            found("FIT001", step, validation_rise_relative=(0.45, 0.1), **cost),
            found("DIS001", step, validation_rise_relative=(0.45, 0.1), **cost),
            found("FIT005", step, share_of_steps_since_best=(0.6, 0.2), **cost),
        )
        assert heights(figure, 0) == [pytest.approx([level, level + 0.25])]
        (line,) = [b for b in by_gid(figure, "best level") if b.axes is figure.axes[0]]
        assert line.get_xdata()[0] == step
        assert list(line.get_ydata()) == pytest.approx([level, level])
        assert [m.get_xdata()[0] for m in by_gid(figure, "onset")] == [step, step]  # one in each panel
        assert "+0.250 (+45 %)" in texts(figure)
        assert f"{N - 1 - step} epochs since the best (60 % of the run)" in texts(figure)
        assert "holds: -0.2 points" in texts(figure)
        (given_up,) = by_gid(figure, "given up")
        assert given_up.get_datalim(figure.axes[0].transData).x0 >= step
        check_layout(figure)

    def test_a_fall_of_the_accuracy_is_a_bracket_in_its_own_panel(self) -> None:
        step, level = best(OVERFIT, "val_accuracy")
        figure = draw(OVERFIT, found("FIT002", step, accuracy_given_up=0.061))
        assert heights(figure, 0) == []
        assert heights(figure, 1) == [pytest.approx([level, level - 0.061])]
        assert "-6.1 points" in texts(figure)

    def test_onsets_too_close_to_tell_apart_share_a_line_across_panels(self) -> None:
        apart = draw(OVERFIT, found("FIT001", 40), found("FIT002", 60))
        close = draw(OVERFIT, found("FIT001", 40), found("FIT002", 41))
        steps = [[m.get_xdata()[0] for m in by_gid(figure, "onset")] for figure in (apart, close)]
        assert steps == [[40, 60, 60, 40], [40, 41]]

    def test_the_price_of_another_loss_than_the_one_shown_is_not_drawn(self) -> None:
        step, _ = best(OVERFIT, "val_log_loss")
        figure = draw(OVERFIT, found("FIT001", step + 5, loss_given_up=0.25, steps_since_best=50))
        assert not by_gid(figure, "bracket")
        assert not by_gid(figure, "stretch words")

    def test_evidence_that_is_missing_or_not_finite_leaves_the_onset_alone(self) -> None:
        for evidence in ({}, {"loss_given_up": float("nan")}):
            figure = draw(OVERFIT, found("FIT001", best(OVERFIT, "val_log_loss")[0], **evidence))
            assert len(by_gid(figure, "onset")) == 2
            assert not by_gid(figure, "bracket")

    def test_late_divergence_marks_the_rise_of_the_train_loss_too(self) -> None:
        curves = {"train_loss": np.r_[fall(9, 0.1)[:60], 0.1 + 0.02 * np.arange(40)], "val_loss": fall(12, 0.2)}
        step, level = best(curves, "train_loss")
        figure = draw(curves, found("TRN002", 60, train_rise=(0.7, 0.01)))
        assert heights(figure, 0) == [pytest.approx([level, level + 0.7])]
        assert by_gid(figure, "best level")[0].get_xdata()[0] == step
        assert "train +0.700" in texts(figure)

    def test_a_gap_is_a_bracket_between_the_ends(self) -> None:
        figure = draw(OVERFIT, found("FIT003", 30, validation_over_train_loss=(3.0, 1.5), generalization_gap_loss=0.6))
        assert heights(figure, 0) == [pytest.approx([0.3, 0.9])]
        assert "3.0× train" in texts(figure)  # noqa: RUF001  (a times sign)

    def test_both_best_steps_stand_in_both_panels_with_their_prices(self) -> None:
        (by_loss, loss), (by_accuracy, accuracy) = best(OVERFIT, "val_log_loss"), best(OVERFIT, "val_accuracy")
        prices = {"accuracy_cost_of_best_loss": 0.016, "loss_cost_of_best_accuracy_relative": 0.12}
        steps = {"best_step_by_loss": float(by_loss), "best_step_by_accuracy": float(by_accuracy)}
        figure = draw(OVERFIT, found("DIS002", by_loss, **prices, **steps))
        spots = [(s.axes, s.get_xdata()[0], s.get_ydata()[0]) for s in by_gid(figure, "spot")]
        assert spots == [
            (figure.axes[0], by_accuracy, pytest.approx(1.12 * loss)),
            (figure.axes[1], by_loss, pytest.approx(accuracy - 0.016)),
        ]
        assert {"best accuracy: loss +12 %", "best loss: -1.6 points"} <= set(texts(figure))


class TestLevels:
    @pytest.mark.parametrize("flagged", [True, False])
    def test_a_baseline_is_a_line_also_where_it_is_beaten(self, flagged: bool) -> None:
        findings = [found("FIT004", 99)] if flagged else []
        figure = draw(CALM, *findings, baseline_accuracy=0.8, baseline_loss=0.5)
        lines = {line.axes: line for line in by_gid(figure, "baseline")}
        assert [lines[axes].get_ydata()[0] for axes in figure.axes] == [0.5, 0.8]
        assert ("baseline 80.0 %: not beaten" in texts(figure)) == flagged
        assert ("baseline 80.0 %" in texts(figure)) != flagged
        assert not by_gid(figure, "onset")  # it is about the whole run
        check_layout(figure)

    def test_a_baseline_far_away_is_pointed_at_unless_it_decides(self) -> None:
        far = draw(CALM, baseline_loss=9.0)
        assert not by_gid(far, "baseline")
        assert "baseline 9 ↑" in texts(far)
        decides = draw(CALM, found("FIT004", 99), baseline_loss=9.0)
        assert [line.get_ydata()[0] for line in by_gid(decides, "baseline")] == [9.0]

    def test_what_counts_as_chance_is_a_band_up_to_what_would_have_been_learning(self) -> None:
        flat = {"val_log_loss": np.full(N, 2.3), "val_accuracy": 0.1 + 0.01 * np.sin(STEP)}
        figure = draw(flat, found("TRN003", 0, best_accuracy=(0.11, 0.15), chance_level=0.1))
        assert area(figure, "chance band", panel=1) == pytest.approx((0, N - 1, 0.1, 0.15))
        chance = [line for line in by_gid(figure, "chance") if line.axes is figure.axes[1]]
        assert chance[0].get_ydata()[0] == 0.1
        calm = by_gid(draw(flat), "chance")
        assert chance[0].get_linewidth() > max(line.get_linewidth() for line in calm)
        assert "learned: above 15.0 %" in texts(figure)
        by_loss = draw({"train_log_loss": np.full(N, 2.3)}, found("TRN003", 0, best_train_loss=(2.3, 2.19)))
        assert area(by_loss, "chance band")[2] == pytest.approx(2.19)
        by_fall = draw(
            {"train_loss": fall(9, 2.1)}, found("TRN003", 0, train_fall_relative=(0.05, 0.1)), n_classes=None
        )
        assert [line.get_ydata()[0] for line in by_gid(by_fall, "needed")] == pytest.approx([0.9 * 2.2])

    def test_an_accuracy_out_of_range_has_the_limit_that_it_breaks(self) -> None:
        run = judge(make_run({"val_accuracy": 1.3 * climb(9, 0.99) - 0.5}))
        assert "LOG001" in {f.code for f in run.flagged}
        assert [line.get_ydata()[0] for line in by_gid(plot_curves(run), "limit")] == [0.0]

    def test_an_accuracy_in_percent_is_shown_as_the_fraction_that_it_means(self) -> None:
        percent = {**OVERFIT, "val_accuracy": 100 * OVERFIT["val_accuracy"]}
        step, level = best(OVERFIT, "val_accuracy")
        figure = draw(percent, found("FIT002", step, accuracy_given_up=0.061))
        assert heights(figure, 1) == [pytest.approx([level, level - 0.061])]
        (marked,) = [m for m in by_gid(figure, "best") if m.axes is figure.axes[1]]
        assert marked.get_ydata()[0] == pytest.approx(OVERFIT["val_accuracy"].max())
        assert "accuracy (logged in percent)" in texts(figure)
        assert figure.axes[1].get_ylim()[1] < 1.2


class TestCourse:
    def test_a_curve_is_seen_to_break_off_and_to_come_back(self) -> None:
        value = fall(12, 0.2)
        value[[20, 21, 22, 60]] = np.nan
        figure = draw({"val_loss": value}, found("TRN001", 20))
        spans = sorted(
            (a.get_datalim(a.axes.transData).x0, a.get_datalim(a.axes.transData).x1) for a in by_gid(figure, "gap")
        )
        assert spans == [(19, 23), (59, 61)]
        assert [(b.get_xdata()[0], b.get_ydata()[0]) for b in by_gid(figure, "break")] == [
            (19, pytest.approx(value[19])),
            (59, pytest.approx(value[59])),
        ]
        check_layout(figure)

    def test_very_many_interruptions_are_thinned(self) -> None:
        value = np.where(np.arange(20_000) % 2, 1.0, np.nan)
        figure = draw({"val_loss": value}, found("TRN001", 0))
        assert len(by_gid(figure, "gap")) <= 100
        assert len(by_gid(figure, "break")) <= 12

    def test_a_swing_is_a_band_over_the_second_half(self) -> None:
        value = 1.0 + 0.2 * (-1.0) ** STEP
        figure = draw({"val_loss": value, "train_loss": fall(9, 0.5)}, found("TRN004", 50, spread_relative=(0.3, 0.25)))
        middle = float(np.median(value[50:]))
        assert area(figure, "swing") == pytest.approx((50, N - 1, 0.85 * middle, 1.15 * middle))
        assert heights(figure, 0) == [pytest.approx([0.85 * middle, 1.15 * middle])]
        assert "swings by 30 %" in texts(figure)

    def test_what_came_after_the_last_gain_is_shaded_and_counted_once(self) -> None:
        finding = found("TRN005", 24, share_of_run_to_saturation=(0.24, 0.25), steps_since_best=75)
        figure = draw(CALM, finding)
        assert [area(figure, "saturated", panel)[:2] for panel in (0, 1)] == [(24, 99), (24, 99)]
        (words,) = by_gid(figure, "stretch words")
        assert words.get_text() == "nothing gained in 75 epochs (76 % of the run)"

    def test_words_for_a_length_of_time_shrink_and_move_aside_where_it_is_short(self) -> None:
        step, _ = best(OVERFIT, "val_log_loss")
        short = {key: np.r_[value[: step + 1], np.asarray(value)[step : step + 8]] for key, value in OVERFIT.items()}
        figure = draw(short, found("FIT005", step, loss_given_up=0.1, steps_since_best=8))
        (words,) = by_gid(figure, "stretch words")
        onset = figure.axes[0].transData.transform((step, 0))[0]
        assert words.get_text() == "8 epochs since the best"
        assert words.get_window_extent().x1 < onset
        check_layout(figure)

    def test_a_loss_that_still_falls_goes_on_as_an_arrow(self) -> None:
        curves = {"train_loss": fall(60, 0.2), "val_loss": fall(65, 0.3)}
        figure = draw(curves, found("TRN006", 99, fall_at_the_end_relative=(0.163, 0.01)))
        (arrow,) = by_gid(figure, "fall")
        end = figure.axes[0].transData.transform((99, curves["val_loss"][-1]))
        assert arrow.xyann == pytest.approx(end, abs=8)
        assert arrow.xy[0] > arrow.xyann[0] + 10
        assert arrow.xy[1] < arrow.xyann[1] - 5
        assert "still falling: -16.3 %" in texts(figure)
        assert not by_gid(figure, "onset")
        check_layout(figure)

    def test_a_first_value_that_would_press_all_else_flat_leaves_the_axes_and_is_named(self) -> None:
        spiky = np.r_[50.0, fall(12, 0.9)[1:]]
        figure = draw({"train_loss": fall(12, 0.8), "val_loss": spiky}, n_classes=None)
        assert figure.axes[0].get_yscale() == "log"  # positive over more than 1.5 decades: nothing needs to leave
        late = np.r_[2.2, np.linspace(0.3, 0.25, N - 1)]
        figure = draw({"train_loss": late, "val_loss": late}, n_classes=None)
        assert figure.axes[0].get_ylim()[1] < 0.5
        assert texts(figure).count("↑ from 2.20") == 2
        check_layout(figure)


class TestLog:
    def test_points_below_the_floor_are_ringed_under_the_line_that_they_break(self) -> None:
        curves = {"val_log_loss": 0.3 * fall(12, 0.25), "val_accuracy": climb(14, 0.85)}
        diagnosis = judge(make_run(curves, n_classes=10))
        assert "LOG002" in {f.code for f in diagnosis.flagged}
        figure = plot_curves(diagnosis)
        (rings,) = by_gid(figure, "impossible")
        (limit,) = by_gid(figure, "limit")
        assert np.asarray(limit.get_ydata()) == pytest.approx((1 - curves["val_accuracy"]) * log(2))
        for step, loss in zip(rings.get_xdata(), rings.get_ydata(), strict=True):
            assert loss == curves["val_log_loss"][int(step)] < limit.get_ydata()[int(step)]
        below = np.flatnonzero(curves["val_log_loss"] < np.asarray(limit.get_ydata()))
        assert (rings.get_xdata()[0], rings.get_xdata()[-1]) == (below[0], below[-1])
        assert len(rings.get_xdata()) <= 30 < len(below)
        assert "least loss at this accuracy" in texts(figure)
        check_layout(figure)

    def test_what_is_wrong_with_the_log_is_said_at_the_top_in_whole_sentences(self) -> None:
        long = f"'{'x' * 20}' is wrong. This second sentence fits. This one does not{' at all' * 20}."
        figure = draw(
            CALM,
            replace(found("LOG004"), message=long),
            replace(found("LOG005"), message="No train\naccuracy. There is val_loss."),
        )
        assert f"LOG004 '{'x' * 20}' is wrong. This second sentence fits." in texts(figure)
        assert "LOG005 No train accuracy. There is val_loss." in texts(figure)
        check_layout(figure)


RUNS: Mapping[str, tuple[RunData, str, str]] = {
    "FIT001": (make_run(OVERFIT, n_classes=10), "bracket", r"^\+0\.\d+ \(\+\d+ %\)$"),
    "DIS001": (make_run(OVERFIT, n_classes=10), "bracket", r"^holds"),
    "FIT005": (make_run(OVERFIT, n_classes=10), "stretch", r"since the best \(\d+ % of the run\)$"),
    "FIT002": (
        make_run({**OVERFIT, "val_accuracy": climb(9, 0.93) - 0.0012 * np.maximum(0, STEP - 25)}),
        "bracket",
        r"^-\d\.\d points$",
    ),
    "FIT003": (make_run({"train_loss": fall(25, 0.005), "val_loss": fall(10, 0.35)}), "bracket", r"× train$"),  # noqa: RUF001  (a times sign)
    "FIT004": (make_run(CALM, baseline_accuracy=0.99, baseline_loss=0.1), "baseline", r"not beaten$"),
    "TRN001": (make_run({"train_loss": [*fall(9, 0.1, 50), *[np.nan] * 9]}), "break", r"^train nan$"),
    "TRN002": (
        make_run({k: fall(12, 0.2) + 0.03 * np.maximum(0, STEP - 60) for k in ("train_loss", "val_loss")}),
        "bracket",
        r"^train \+\d",
    ),
    "TRN003": (
        make_run({"train_loss": 1.0 - 0.0003 * STEP, "val_loss": 1.1 - 0.0001 * STEP}),
        "chance band",
        r"^learned: 10 % below its start$",
    ),
    "TRN004": (
        make_run({"train_loss": fall(15, 0.5), "val_loss": fall(12, 0.6) * (1 + 0.3 * np.sin(2 * STEP))}),
        "swing",
        r"^swings by",
    ),
    "TRN005": (make_run({"train_loss": fall(4, 0.28), "val_loss": fall(3, 0.3)}), "saturated", r"^nothing gained in"),
    "TRN006": (make_run({"train_loss": fall(60, 0.2), "val_loss": fall(65, 0.3)}), "fall", r"^still falling: -"),
    "DIS002": (make_run({**OVERFIT, "val_accuracy": climb(25, 0.93)}, n_classes=10), "spot", r"^best loss: -"),
    "LOG003": (
        make_run(
            {"val_log_loss": fall(12, 9.9), "val_accuracy": climb(14, 0.85)},
            n_classes=10,
            tags={"lossacc.clip": "1e-7"},
        ),
        "impossible",
        r"is possible here$",
    ),
    "LOG005": (make_run({"train_loss": fall(9, 0.1)}), "best", r"^LOG005 No validation loss"),
}


@pytest.mark.parametrize("code", RUNS)
def test_what_a_rule_finds_is_visible(code: str) -> None:
    run, gid, words = RUNS[code]
    diagnosis = judge(run)
    assert code in {f.code for f in diagnosis.flagged}
    figure = plot_curves(diagnosis)
    assert by_gid(figure, gid)
    assert any(re.search(words, text) for text in texts(figure)), texts(figure)
    assert all(float(t.get_fontsize()) >= 10 for t in figure.findobj(Text) if t.get_text())  # small copies stay legible
    check_layout(figure)


@pytest.mark.parametrize("scale", [1e-300, 1e-8, 1e8, 1e300, -1.0])
def test_every_scale_has_room_for_what_is_drawn(scale: float) -> None:
    diagnosis = judge(make_run({key: scale * OVERFIT[key] for key in ("train_log_loss", "val_log_loss")}))
    check_layout(plot_curves(diagnosis))


def test_long_numbers_have_room_beside_and_below_the_axes_and_above_them() -> None:
    step = range(0, 3_000_000 * N, 3_000_000)
    curves = [make_curve("val_log_loss", OVERFIT["val_log_loss"], step=step, unit="n_estimators")]
    curves.append(make_curve("val_accuracy", 0.99999 + 1e-7 * STEP, step=step, unit="n_estimators"))
    diagnosis = judge(RunData("r", "r", tuple(curves), n_classes=10))
    assert "FIT001" in {f.code for f in diagnosis.flagged}
    figure = plot_curves(diagnosis)
    assert len(figure.axes[0].get_xticks()) >= 3
    check_layout(figure)
