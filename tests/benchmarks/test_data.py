"""Labelled runs are read as their labels and files say, and made harder in known ways."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.data import (
    LabelledRun,
    add_noise,
    drop_accuracy,
    drop_chance_level,
    read_labelled_runs,
    subsample,
    truncate,
)
from lossacc_mlflow.errors import CurveFileError


def write(directory: Path, curves: dict[str, dict[str, list[float]]], labels: list[dict[str, object]]) -> Path:
    frames = [
        pd.DataFrame({"curve_id": name, "step": range(len(next(iter(c.values())))), **c}) for name, c in curves.items()
    ]
    pd.concat(frames).to_parquet(directory / "curves.parquet")
    pd.DataFrame(labels).to_csv(directory / "labels.csv", index=False)
    return directory


FALL = np.geomspace(2, 0.1, 12).tolist()
RISE = FALL[:6] + FALL[5::-1]


def label(curve_id: str, kind: str, **more: object) -> dict[str, object]:
    return {"set": "one", "curve_id": curve_id, "label": kind, **more}


@pytest.fixture
def runs(tmp_path: Path) -> tuple[LabelledRun, ...]:
    nan = float("nan")
    curves = {
        "a": {"train_loss": FALL, "validation_loss": RISE, "validation_accuracy": FALL[::-1]},
        "copy of a": {"train_loss": FALL, "validation_loss": RISE, "validation_accuracy": FALL[::-1]},
        "b": {"train_loss": [*FALL[:-1], nan], "validation_loss": [*FALL[:-1], nan], "validation_accuracy": [nan] * 12},
        "c": {"train_loss": FALL, "validation_loss": FALL[::-1], "validation_accuracy": [nan] * 12},
    }
    labels = [
        label("a", "overfit", n_classes=10, onset_step=5),
        label("copy of a", "overfit"),
        label("b", "diverged_nonfinite", majority_accuracy=0.3),
        label("c", "ambiguous"),
        label("no such curve", "healthy"),
    ]
    return read_labelled_runs(write(tmp_path, curves, labels))


def test_ambiguous_runs_and_copies_are_left_out(runs: tuple[LabelledRun, ...]) -> None:
    assert [one.run.run_id for one in runs] == ["a", "b"]
    a, b = runs
    assert (a.label, a.onset_step, a.run.n_classes, a.run.majority_accuracy) == ("overfit", 5, 10, None)
    assert (b.onset_step, b.run.n_classes, b.run.majority_accuracy) == (None, None, 0.3)


def test_a_nan_at_the_end_was_logged(runs: tuple[LabelledRun, ...]) -> None:
    assert (runs[0].first_nonfinite_step, runs[1].first_nonfinite_step) == (None, 11)
    assert runs[1].history.first_nan_of_train == 11
    assert len(runs[1].history) == 11  # only steps at which both losses are finite


def test_variants(runs: tuple[LabelledRun, ...]) -> None:
    a = runs[0]
    alone = drop_accuracy(a)
    assert [c.key for c in alone.run.curves] == ["train_loss", "validation_loss"]
    assert not len(alone.history.validation_accuracy_alone)
    assert drop_chance_level(a).run.n_classes is None
    assert subsample(a, 4).history.step.tolist() == [0, 4, 7, 11]
    assert truncate(a, 4).history.step.tolist() == [0, 1, 2, 3]
    assert subsample(a, 40) is a
    assert len(a.history) == 12


def test_noise_is_multiplicative_and_repeatable(runs: tuple[LabelledRun, ...]) -> None:
    first, again = (add_noise(runs[0], 0.1, np.random.default_rng(3)).history for _ in range(2))
    assert first.train_loss.tolist() == again.train_loss.tolist()
    ratio = np.concatenate(
        [
            add_noise(runs[0], 0.1, np.random.default_rng(seed)).history.validation_loss
            / runs[0].history.validation_loss
            for seed in range(200)
        ]
    )
    assert ratio.mean() == pytest.approx(1, abs=0.01)
    assert ratio.std() == pytest.approx(0.1, rel=0.05)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CurveFileError, match=r"labels\.csv"):
        read_labelled_runs(tmp_path)
    (tmp_path / "labels.csv").write_text("curve_id,label\na,healthy\n")
    with pytest.raises(CurveFileError, match="no column 'set'"):
        read_labelled_runs(tmp_path)
    (tmp_path / "labels.csv").write_text("set,curve_id,label\ns,a,healthy\ns,a,overfit\n")
    with pytest.raises(CurveFileError, match="'a' twice"):
        read_labelled_runs(tmp_path)
