"""The benchmark from end to end, on runs whose answers leave no doubt."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import curves
from benchmarks.curves import main
from benchmarks.data import read_labelled_runs
from benchmarks.judging import VARIANTS, judge_all
from benchmarks.results import Results
from benchmarks.stopping import STOPPING_PEERS, stop_all
from benchmarks.tasks import TASKS
from lossacc_mlflow.records import FloatArray

N, N_OF_EACH = 40, 10
COURSES: dict[str, Callable[[FloatArray], tuple[FloatArray, FloatArray, FloatArray]]] = {
    "healthy": lambda t: (0.1 + np.exp(-5 * t), 0.2 + np.exp(-5 * t), 0.9 - 0.8 * np.exp(-5 * t)),
    "overfit": lambda t: (0.1 + np.exp(-5 * t), 0.5 + 2 * (t - 0.4) ** 2, 0.9 - 0.8 * np.abs(t - 0.4)),
    "instability_train_rises": lambda t: (0.5 + 2 * np.abs(t - 0.4), 0.6 + 3 * np.abs(t - 0.4), 0.9 - np.abs(t - 0.4)),
    "not_learning": lambda t: (2.3 + 0 * t, 2.31 + 0 * t, 0.1 + 0 * t),
    "diverged_nonfinite": lambda t: (np.where(t < 0.7, 1 - t, np.nan), np.where(t < 0.7, 1 - t, np.nan), 0.5 + t / 10),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, rng, t = tmp_path_factory.mktemp("labelled"), np.random.default_rng(0), np.linspace(0, 1, N)
    tables, labels = [], []
    for kind, course in COURSES.items():
        for i in range(N_OF_EACH):
            train, validation, accuracy = (c * (1 + 1e-3 * rng.standard_normal(N)) for c in course(t))
            name, columns = f"{kind} {i}", {"train_loss": train, "validation_loss": validation}
            tables.append(
                pd.DataFrame({"curve_id": name, "step": range(N), **columns, "validation_accuracy": accuracy})
            )
            known = {"n_classes": 10, "onset_step": 16 if kind == "overfit" else None}
            labels.append({"set": "made", "curve_id": name, "label": kind, **known})
    pd.concat(tables).to_parquet(path / "curves.parquet")
    pd.DataFrame(labels).to_csv(path / "labels.csv", index=False)
    return path


def test_clear_cases_are_judged_rightly(directory: Path) -> None:
    results = Results(read_labelled_runs(directory), list(judge_all(directory, VARIANTS[:1])))
    scores = {
        task.title: [results.score(question, "as logged").macro_f1 for question in results.questions(task)]
        for task in TASKS
    }
    assert scores["overfit / healthy"] == [1.0]
    assert scores["overfit / late divergence"] == [1.0]
    assert scores["not learning / all others"] == [1.0]
    assert scores["conflict / all others"] == []


def test_processes_change_nothing(directory: Path) -> None:
    variants = [variant for variant in VARIANTS if variant.name in {"10 % noise", "10 points"}]
    alone, together = (list(judge_all(directory, variants, n_jobs=n)) for n in (1, 2))
    assert [one.seed for one in alone] == [0, 1, 2, 3, 4, 0]
    assert [one.opinions for one in alone] == [one.opinions for one in together]
    assert all(np.array_equal(a.peers, b.peers, equal_nan=True) for a, b in zip(alone, together, strict=True))


def test_stopping_keeps_the_best_step(directory: Path) -> None:
    runs, stops = read_labelled_runs(directory), list(stop_all(directory))
    assert len(stops) == len(runs)
    for one, stop in zip(runs, stops, strict=True):
        assert len(stop.stops) == 1 + len(STOPPING_PEERS)
        if one.label == "overfit":
            assert stop.best_by_loss is not None
            assert abs(stop.best_by_loss - 16) <= 1
            assert stop.best_by_loss <= stop.stops[0] < N - 1
        if one.label == "healthy":
            assert stop.stops[0] == -1


def test_command_writes_every_table(directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "scores.md"
    assert main(["--data", str(directory), "--quick", "--output", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    for title in ("Runs", "Our macro-F1", "Every judge", "significantly better", "not finite", "Onset", "False alarms"):
        assert title in text
    assert "100.0 % (10 of 10)" in text  # non-finite values, at the exact step
    assert str(directory) not in text
    assert capsys.readouterr().out == ""


def test_whole_command(directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "VARIANTS", VARIANTS[:1])
    assert main(["--data", str(directory)]) == 0
    printed = capsys.readouterr()
    assert "## Stopping" in printed.out
    assert "Keras patience 5" in printed.out
    assert printed.err == ""


def test_data_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "labels.csv" in capsys.readouterr().err
