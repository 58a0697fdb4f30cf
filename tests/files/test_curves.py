import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossacc_mlflow.errors import CurveFileError
from lossacc_mlflow.files import read_curve_file
from lossacc_mlflow.keys import parse_override
from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.records import RunData

NAN = float("nan")

KERAS = """epoch,accuracy,loss,val_accuracy,val_loss
0,0.5,1.5,0.5,1.25
1,0.75,0.5,0.625,1.0
2,0.875,0.25,NA,NA
"""

LIGHTNING = """epoch,lr,step,train_loss_epoch,train_loss_step,val_loss
0,,49,,2.0,
0,,99,,1.5,
0,,99,,,1.75
0,,99,1.75,,
1,0.1,149,,1.0,
1,,199,,,1.5
1,,199,1.0,,
"""

YOLO = """      epoch,     train/loss,  metrics/accuracy_top1,  metrics/accuracy_top5,   val/loss, lr/pg0
          1,          2.125,                    0.5,                      1,       2.25,    0.1
          2,            1.5,                   0.75,                      1,          2,    0.1
"""

TRAINER_STATE = {
    "global_step": 200,
    "log_history": [
        {"epoch": 0.5, "learning_rate": 5e-5, "loss": 2.0, "step": 50},
        {"epoch": 1.0, "learning_rate": 4e-5, "loss": 1.0, "step": 100},
        {"epoch": 1.0, "eval_accuracy": 0.5, "eval_loss": 1.25, "eval_runtime": 3.5, "step": 100},
        {"epoch": 1.5, "learning_rate": 3e-5, "loss": NAN, "step": 150},
        {"epoch": 2.0, "eval_accuracy": 0.75, "eval_loss": NAN, "eval_runtime": 3.5, "step": 200},
        {"epoch": 2.0, "step": 200, "total_flos": 1e15, "train_loss": 1.5, "train_runtime": 60.0},
    ],
}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def points(run: RunData) -> dict[str, dict[int, float | None]]:
    """Return step -> value by 'split metric unit'; NaN as None, so that dicts can be compared."""
    return {
        f"{c.split} {c.metric.name} {c.step_unit}": {
            s: (None if np.isnan(v) else v) for s, v in zip(c.step.tolist(), c.value.tolist(), strict=True)
        }
        for c in run.curves
    }


def test_keras_csv_logger(tmp_path: Path) -> None:
    (run,) = read_curve_file(write(tmp_path, "digits.csv", KERAS))

    assert (run.run_id, run.name, run.other_keys) == ("digits", "digits", ())
    assert points(run) == {
        "train loss epoch": {0: 1.5, 1: 0.5, 2: 0.25},
        "validation loss epoch": {0: 1.25, 1: 1.0},
        "train accuracy epoch": {0: 0.5, 1: 0.75, 2: 0.875},
        "validation accuracy epoch": {0: 0.5, 1: 0.625},
    }


def test_lightning_csv_logger(tmp_path: Path) -> None:
    (run,) = read_curve_file(write(tmp_path, "metrics.csv", LIGHTNING))

    assert run.other_keys == ("lr",)
    assert points(run) == {
        "train loss epoch": {0: 1.75, 1: 1.0},
        "train loss global_step": {49: 2.0, 99: 1.5, 149: 1.0},
        "validation loss epoch": {0: 1.75, 1: 1.5},
    }


def test_yolo_results(tmp_path: Path) -> None:
    (run,) = read_curve_file(write(tmp_path, "results.csv", YOLO))

    assert run.other_keys == ("lr/pg0", "metrics/accuracy_top5")
    assert points(run) == {
        "train loss epoch": {1: 2.125, 2: 1.5},
        "validation loss epoch": {1: 2.25, 2: 2.0},
        "validation accuracy epoch": {1: 0.5, 2: 0.75},
    }


def test_hugging_face_trainer_state(tmp_path: Path) -> None:
    (run,) = read_curve_file(write(tmp_path, "trainer_state.json", json.dumps(TRAINER_STATE)), loss="log_loss")

    assert points(run) == {
        "train log_loss global_step": {50: 2.0, 100: 1.0, 150: None},
        "validation log_loss global_step": {100: 1.25, 200: None},
        "validation accuracy global_step": {100: 0.5, 200: 0.75},
    }
    assert run.other_keys == ("eval_runtime", "learning_rate", "total_flos")


def test_an_empty_cell_was_not_logged_and_the_text_nan_was(tmp_path: Path) -> None:
    (run,) = read_curve_file(write(tmp_path, "c.csv", "val_loss,val_acc\n1,\nnan,0.5\n, \n-INF,nAn\nInf,\n"))

    assert points(run) == {
        "validation loss epoch": {0: 1.0, 1: None, 3: -np.inf, 4: np.inf},
        "validation accuracy epoch": {1: 0.5, 3: None},
    }


def test_jsonl_tells_null_from_nan(tmp_path: Path) -> None:
    lines = (
        '{"step": 3, "val_loss": NaN, "note": "x"}\n\n{"step": 1, "val_loss": "inf"}\n{"step": 2, "val_loss": null}\n'
    )
    (run,) = read_curve_file(write(tmp_path, "c.jsonl", lines))

    assert points(run) == {"validation loss epoch": {1: np.inf, 3: None}}
    assert run.curves[0].n_unsorted == 1


@pytest.mark.parametrize("from_pandas", [True, False])
def test_parquet_nan_is_a_logged_one_only_where_the_row_was_written(tmp_path: Path, from_pandas: bool) -> None:
    frame = pd.DataFrame(
        {
            "curve_id": np.repeat(["diverged", "blank", "every_other", "spike", "never"], [4, 4, 4, 12, 2]),
            "train_loss": [1, 2, NAN, NAN] + [1, 2, NAN, NAN] + [4, 3, 2, 1] + [1] * 5 + [NAN] + [1] * 6 + [1, 1],
            "val_loss": [1, 2, NAN, NAN] + [1, NAN, NAN, NAN] + [4, NAN, 2, NAN] + [1] * 12 + [NAN, NAN],
            "train_acc": [0.5] * 4 + [NAN] * 4 + [NAN] * 4 + [0.5] * 12 + [NAN, NAN],
            "val_auc": [NAN] * 12 + [0.5, NAN] * 6 + [NAN, NAN],
            "val_f1": [NAN] * 12 + [NAN] * 9 + [0.5, 0.5, NAN] + [NAN, NAN],
        }
    )
    path = tmp_path / "c.parquet"
    pq.write_table(
        pa.Table.from_pandas(frame) if from_pandas else pa.table({c: frame[c].to_numpy() for c in frame}), path
    )
    runs = {run.run_id: points(run) for run in read_curve_file(path, group_by="curve_id")}

    assert runs["diverged"]["train loss epoch"] == {0: 1.0, 1: 2.0, 2: None, 3: None}
    assert runs["diverged"]["validation loss epoch"] == {0: 1.0, 1: 2.0}
    assert runs["blank"]["train loss epoch"] == {0: 1.0, 1: 2.0, 2: None, 3: None}
    assert runs["every_other"]["validation loss epoch"] == {0: 4.0, 2: 2.0}
    assert runs["spike"]["train loss epoch"][5] is None
    assert list(runs["spike"]["validation roc_auc epoch"]) == [0, 2, 4, 6, 8, 10]
    assert runs["spike"]["validation f1 epoch"] == {9: 0.5, 10: 0.5, 11: None}
    assert list(runs["never"]) == ["train loss epoch"]


@pytest.mark.parametrize("without", [[], ["train_acc", "val_acc"], ["train_loss", "train_acc"]])
def test_a_run_in_parquet_that_became_nan_diverged_at_that_step_and_a_sparse_one_did_not(
    tmp_path: Path, without: list[str]
) -> None:
    steps = np.arange(40)
    loss, nan_from_7 = 1 / (steps + 1.0), np.where(steps >= 7, NAN, 1.0)
    accuracy = 1 - loss / 2
    every_fifth = np.where(steps % 5, NAN, 1.0)
    runs = {
        "became nan": (loss * nan_from_7, loss * nan_from_7, accuracy, accuracy),
        "recovered": (np.where(steps == 12, NAN, loss),) * 2 + (accuracy, accuracy),
        "sparse": (loss, loss * every_fifth, accuracy, accuracy * every_fifth),
        "all sparse": (loss * every_fifth,) * 2 + (accuracy * every_fifth,) * 2,
        "no accuracy": (loss, loss, np.full(40, NAN), np.full(40, NAN)),
    }
    columns = ("train_loss", "val_loss", "train_acc", "val_acc")
    frames = [
        pd.DataFrame({"id": name, "step": steps, **dict(zip(columns, c, strict=True))}) for name, c in runs.items()
    ]
    path = tmp_path / "c.parquet"
    pd.concat(frames).drop(columns=without).to_parquet(path, index=False)
    found = {run.run_id: judge(run) for run in read_curve_file(path, group_by="id")}

    told = {name: (d.finding("TRN001").status, d.finding("TRN001").step) for name, d in found.items()}
    assert told == {
        "became nan": ("flagged", 7),
        "recovered": ("flagged", 12),
        "sparse": ("clear", None),
        "all sparse": ("clear", None),
        "no accuracy": ("clear", None),
    }
    assert [name for name, d in found.items() if d.verdict == "diverged"] == ["became nan"]


def test_groups_are_runs_in_file_order_with_their_constants(tmp_path: Path) -> None:
    hostile = '<script>"\n' + "n" * 300
    frame = pd.DataFrame(
        {
            "id": ["b", hostile, "b", "NA", hostile],
            "set": "some set",
            "step": [1, 0, 0, 0, 1],
            "val_loss": [1.0, 2.0, 3.0, 4.0, 5.0],
            "n_classes": [10, 3, 10, None, 3],
            "majority_accuracy": [0.25, 0.5, None, None, 0.5],
            "n_validation": [100, 20, 100, None, None],
        }
    )
    frame.to_csv(tmp_path / "c.csv", index=False)
    frame.to_parquet(tmp_path / "c.parquet")
    for path in (tmp_path / "c.csv", tmp_path / "c.parquet"):
        runs = read_curve_file(path, group_by="id")

        assert [run.run_id for run in runs] == [run.name for run in runs] == ["b", hostile, "NA"]
        assert [run.curves[0].value.tolist() for run in runs] == [[3, 1], [2, 5], [4]]
        assert [(run.n_classes, run.majority_accuracy, run.n_validation) for run in runs] == [
            (10, 0.25, 100),
            (3, 0.5, 20),
            (None, None, None),
        ]
        assert {run.other_keys for run in runs} == {()}
        assert {run.n_classes for run in read_curve_file(path, group_by="id", n_classes=7)} == {7}


def test_overrides_separators_and_repeated_column_names(tmp_path: Path) -> None:
    path = write(tmp_path, "c.csv", "\ufeffiteration;my loss of dev;val_acc;val_acc\n10;1;0.5;0.25\n5;2;0.25;0.5\n")
    (run,) = read_curve_file(path, overrides=dict([parse_override("my loss of dev=validation:log_loss")]))

    assert points(run) == {
        "validation log_loss iteration": {5: 2.0, 10: 1.0},
        "validation accuracy iteration": {5: 0.25, 10: 0.5},
    }
    assert run.other_keys == ("val_acc.1",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "does not exist"),
        ("folder.csv", None, "is a directory"),
        ("c.xlsx", "val_loss\n1\n", r"unknown suffix; known are \.csv, \.parquet, \.jsonl, \.json"),
        ("c.csv", "", "is empty"),
        ("c.csv", "\n\n", "holds no rows"),
        ("c.csv", "epoch,val_loss\n", "holds no rows"),
        ("c.csv", "epoch,val_loss", "holds no rows"),
        ("c.csv", "a,b\n1,2\n", "no column that is known.*it has 'a', 'b'.*--key 'my_column=validation:log_loss'"),
        ("c.csv", "val_loss\n\n1\nlow\n", "column 'val_loss': row 2 holds 'low', which is not a number"),
        ("c.csv", "epoch,val_loss\n1,2\n,3\n", "row 2 has no step in column 'epoch'"),
        ("c.csv", "epoch,val_loss\n1,\n2,\n", "'val_loss' are known, but hold no value"),
        ("c.csv", "a,val_loss\n1,2,3\n", "cannot be read as csv.*Expected 2 columns, got 3"),
        ("c.csv", b"val_loss\n\xff\xfe\x00\n", "cannot be read as csv"),
        ("c.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "cannot be read as csv"),
        ("c.parquet", "val_loss\n1\n", "cannot be read as parquet"),
        ("c.jsonl", '{"val_loss": 1}\n{"val_loss"\n', "line 2 is not JSON"),
        ("c.jsonl", "[1]\n", "row 1 is not a JSON object"),
        ("c.jsonl", '{"val_loss": [1, 2]}\n', "column 'val_loss': row 1 holds '\\[1, 2\\]', which is not a number"),
        ("c.json", '{"best_metric": 1}', "no list of rows.*log_history"),
        ("c.json", '{"log_history": []}', "holds no rows"),
        ("c.json", "{", "cannot be read as json"),
    ],
)
def test_an_unusable_file_gets_one_clear_line(
    tmp_path: Path, name: str, content: str | bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        write(tmp_path, name, content)
    elif name == "folder.csv":
        path.mkdir()

    with pytest.raises(CurveFileError, match=message) as caught:
        read_curve_file(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("g,val_loss\nx,1\n", "no column 'id'; it has 'g', 'val_loss'"),
        ("id,val_loss\nx,1\n,2\n", "row 2 has no value in column 'id'"),
        ("id,val_loss,n_classes\nx,1,10\nyy,2,3\nyy,2,4\n", "run 'yy': n_classes changes within it, from 3 to 4"),
        ("id,val_loss,n_classes\nx,1,1\n", "run 'x': n_classes is 1; wanted is at least 2"),
        ("id,val_loss,n_classes\nx,1,2.5\n", "run 'x': n_classes is 2.5; wanted is an integer"),
        ("id,val_loss,majority_accuracy\nx,1,50\n", "majority_accuracy is 50; wanted is a fraction"),
        ("id,val_loss,n_validation\nx,1,many\n", "column 'n_validation': row 1 holds 'many'"),
    ],
)
def test_an_unusable_group_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(CurveFileError, match=message):
        read_curve_file(write(tmp_path, "c.csv", content), group_by="id")


def test_an_override_of_an_absent_column_is_told(tmp_path: Path) -> None:
    with pytest.raises(CurveFileError, match="no column 'x'; it has 'val_loss'"):
        read_curve_file(write(tmp_path, "c.csv", "val_loss\n1\n"), overrides=dict([parse_override("x=val:loss")]))


def test_an_epoch_column_beside_global_steps_gives_the_epochs(tmp_path: Path) -> None:
    (run,) = read_curve_file(write(tmp_path, "c.csv", "epoch,global_step,val_loss\n0,99,2\n1,199,1\n"))

    assert points(run) == {"validation loss epoch": {0: 2.0, 1: 1.0}}


def test_a_baseline_in_columns_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text(
        "epoch,val_loss,val_accuracy,baseline_loss,baseline_accuracy\n0,0.7,0.6,0.31,0.85\n1,0.5,0.8,0.31,0.85\n"
    )
    (run,) = read_curve_file(path)
    assert (run.baseline_loss, run.baseline_accuracy, run.other_keys) == (0.31, 0.85, ())
    path.write_text("epoch,val_loss,baseline_accuracy\n0,0.7,85\n")
    with pytest.raises(CurveFileError, match="baseline_accuracy is 85; wanted is a fraction"):
        read_curve_file(path)
