"""What is timed is the work that is named, both sides find the same figures, and a missed goal is called missed."""

from functools import partial
from pathlib import Path

import pytest
from numpy.testing import assert_allclose

from benchmarks import scores
from benchmarks.goals import Goal, Part, render_parts
from benchmarks.predictions import PARTS, Plan, main
from benchmarks.samples import TEMPERATURE, load_rows, write_arrays, write_parquet


@pytest.mark.parametrize(("n_classes", "dtype"), [(2, "float32"), (2, "float64"), (50, "float32")])
def test_both_sides_find_the_same_figures(n_classes: int, dtype: str, tmp_path: Path) -> None:
    write_arrays(tmp_path, 20_000, n_classes, dtype)
    y_true, y_proba = load_rows(tmp_path)
    assert y_proba.dtype == dtype
    ours, theirs = scores.summary(y_true, y_proba), scores.sklearn_scores(y_true, y_proba)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert_allclose(ours[name], value, rtol=1e-6 if dtype == "float32" else 1e-12, err_msg=name)
    assert scores.sklearn_log_loss(y_true, y_proba)["log_loss"] == theirs["log_loss"]
    with_temperature = scores.summary_with_temperature(y_true, y_proba)
    assert_allclose(with_temperature["temperature"], TEMPERATURE, rtol=0.05)
    fitted = scores.sklearn_temperature(y_true, y_proba)["temperature"]
    # In float32 scikit-learn's search ends where the loss is flat to rounding.
    assert_allclose(with_temperature["temperature"], fitted, rtol=1e-3 if dtype == "float32" else 1e-4)
    first = load_rows(tmp_path, 10)
    assert first[0].tolist() == y_true[:10].tolist()
    assert first[1].tolist() == y_proba[:10].tolist()


@pytest.mark.frameworks
def test_probmetrics_is_asked_the_same(tmp_path: Path) -> None:
    write_arrays(tmp_path, 5_000, 5, "float64")
    rows = load_rows(tmp_path)
    theirs = scores.probmetrics_temperature(*rows)
    assert_allclose(scores.summary_with_temperature(*rows)["temperature"], theirs["temperature"], rtol=1e-4)


def test_a_file_holds_what_was_measured_while_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    written = write_parquet(path, 5_000)
    found = scores.judge_file(path, temperature=True)
    assert scores.read_file(path) == {"rows": 5_000.0}
    assert_allclose(found["log_loss"], written["log_loss"], rtol=1e-6)
    assert found["accuracy"] == pytest.approx(written["accuracy"], abs=1e-12)
    assert found["temperature"] == pytest.approx(TEMPERATURE, rel=0.2)
    assert "temperature" not in scores.judge_file(path, temperature=False)


def test_a_different_answer_is_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    # A partial travels by name and arguments, so the other process has the wrong answer, too.
    monkeypatch.setattr(scores, "sklearn_log_loss", partial(_wrong, figure="log_loss"))
    with pytest.raises(ValueError, match=r"log_loss is .* for sklearn, log_loss alone: not the same"):
        PARTS["summary"](Plan(scale=1e-3, n_rounds=1, n_repeats=1, n_long_repeats=1))


def _wrong(*_: object, figure: str) -> dict[str, float]:
    return {figure: 1e-3}


def test_what_is_missed_is_said() -> None:
    goals = (Goal("memory", "20 MB", "21 MB", reached=False), Goal("time", "1 s", "1 s", reached=True))
    page = render_parts("Speed", "", [Part("", (), goals)])
    assert "1 of 2 goals is missed." in page
    assert "| memory | 20 MB | 21 MB | **no** |" in page
    assert "All 1 goals are reached." in render_parts("Speed", "", [Part("", (), goals[1:])])


def test_command(tmp_path: Path) -> None:
    page = tmp_path / "predictions.md"
    assert main(["--only", "growth", "--quick", "--output", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "says nothing about the goals" in text
    assert text.count("\n| 2,500 ") == 2
    assert text.count("linear: at most 1.2 times") == 4
