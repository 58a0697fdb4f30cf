"""The answer about reported figures fits one screen, keeps samples and models apart, and is strict JSON."""

import json
import re

import pytest

from lossacc_mlflow.bounds import judge_figures, read_figures
from lossacc_mlflow.render import figures_payload, render_figures_json, render_figures_text

QUESTION = ("98.1%/0.1882", "98.5%/0.0997", "99.1%/0.2544")


def _text(*texts: str, **options: object) -> str:
    text = render_figures_text(judge_figures(read_figures(texts), **options))  # type: ignore[arg-type]
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"\b(nan|None|inf)\b", text)
    return text


def _said(*texts: str, **options: object) -> str:
    return " ".join(_text(*texts, **options).replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_motivating_question_is_answered_on_one_screen() -> None:
    for options in ({}, {"n_classes": 10}):
        text = _text(*QUESTION, **options)
        assert len(text.splitlines()) <= 46
        said = _said(*QUESTION, **options)
        assert "F(0.991, 10) = 0.0711 instead of 0.2544: 72 % of its loss" in said
        assert "at every n at which 99.1 % is possible (n >= 106)" in said
        assert "at most 57.0 % of its loss" in said
        assert said.index("Model 3 is right most often") < said.index("ON THESE SAMPLES")


def test_without_n_nothing_is_proved_about_a_model() -> None:
    said = _said(*QUESTION)
    assert "n is not given" in said
    assert "prove" not in said
    assert "over-confident" not in said
    assert "is miscalibrated" in _said(*QUESTION, n_classes=10, n=10_000)


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("0.50/0.10", {}, "impossible: at an accuracy of 50 % the mean log loss is at least 0.343"),
        ("0.981%/0.1882", {}, "write 0.981 without a percent sign"),
        ("0.9/0.01", {"loss_name": "brier"}, "--loss brier:binary"),
        ("0.5/0.01", {"loss_name": "focal:2"}, "focal:2:0.25"),
        ("0.9/0.5", {"loss_name": "hinge"}, "no proper score"),
        ("0.990/9.0", {"n_classes": 10, "clip": 1e-7}, "an L2 penalty"),
        ("0.990/9.0", {"n_classes": 10}, "Under Keras' clip"),
        ("0.30/2.5", {"n_classes": 10}, "ln 10 = 2.30"),
        ("0.30/2.5", {}, "up to 11 classes"),
        ("0.900/0.080", {"n_classes": 10}, "below what a calibrated model"),
        ("0.900/0.300", {"n_classes": 10}, "show no fault"),
        ("0.991/0.2544", {"n": 100, "n_classes": 10}, "no whole number of right answers; the least n"),
        ("0.30/3.0", {"n_classes": 2}, "50.0 % (chance)"),
        ("1.000/0.000", {"n_classes": 10}, "show no fault"),
        ("0.000/5.0", {"n_classes": 10}, "removable"),
        ("0.9/0.15", {"loss_name": "brier:binary", "n": 500}, "miscalibrat"),
    ],
)
def test_what_one_figure_says(text: str, options: dict[str, object], told: str) -> None:
    assert told in _said(text, **options)
    assert "hinge" not in told or "miscalib" not in _said(text, **options)


def test_two_models_that_agree_or_tie() -> None:
    assert "ahead in both" in _said("0.90/0.40", "0.95/0.20", n_classes=10)
    assert "same figures" in _said("0.90/0.40", "0.90/0.40", n_classes=10)
    assert "cannot cost the same" in _said(*QUESTION, n_classes=10, clip=1e-7)


def test_hostile_names_stay_on_their_line() -> None:
    text = _text("a\x1b[31m\nb" * 20 + "=0.90/0.40", "0.95/0.20", n_classes=10)
    assert "\x1b" not in text


def test_json_has_the_names_that_programs_rely_on() -> None:
    payload = json.loads(render_figures_json(judge_figures(read_figures(QUESTION), n_classes=10, n=10_000)))
    assert {"n_classes", "clip", "loss_name", "n", "figures", "pairs", "statements"} <= set(payload)
    names = {
        *("accuracy", "loss", "floor", "ceiling", "calibrated_low", "calibrated_high", "removable_loss"),
        *("miscalibration_p", "miscalibration_proved", "miscalibration_proved_from_n"),
        *("loss_correct", "loss_incorrect", "loss_share_incorrect"),
    }
    for figure in payload["figures"]:
        assert names | {f"{name}_rounded" for name in names} <= set(figure)
    third = payload["figures"][2]
    assert third["ceiling"] == "inf"
    assert third["removable_loss"] / third["loss"] == pytest.approx(0.72, abs=0.005)
    assert third["miscalibration_proved"] is third["miscalibration_proved_rounded"] is True
    assert all(isinstance(s, str) for s in payload["statements"])


def test_what_is_not_known_is_null() -> None:
    payload = figures_payload(judge_figures(read_figures(["100%/0.1", "0.4/0.9", "0.5/0.1"]), n_classes=2))
    perfect, rare, impossible = payload["figures"]
    assert perfect["loss_incorrect"] is None
    assert perfect["miscalibration_proved"] is perfect["miscalibration_p"] is None
    assert rare["calibrated_high"] is None
    assert (impossible["possible"], impossible["loss_correct"]) == (False, None)
    hinge = figures_payload(judge_figures(read_figures(["0.9/0.5"]), loss_name="hinge", n=100))["figures"][0]
    assert hinge["removable_loss"] is hinge["calibrated_low"] is hinge["miscalibration_p"] is None
    json.dumps(payload, allow_nan=False)
