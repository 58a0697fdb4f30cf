import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from lossacc_mlflow.errors import InputError, UnknownRunError
from lossacc_mlflow.keys import parse_override
from lossacc_mlflow.records import Artifact, RunData
from lossacc_mlflow.store import (
    comparison_run_id,
    encode_samples,
    encode_summary,
    experiment_name,
    find_run_ids,
    histories,
    log_points,
    read_run,
    read_runs,
)
from tests.conftest import Tracking, log_artifacts

from .test_codec import make_samples
from .test_summaries import make_summary

STEPS = np.arange(1_000)
LOSS = 2.3 * np.exp(-STEPS / 300) + 1e-3 * np.sin(STEPS)


def as_comparable(run: RunData) -> dict[str, object]:
    """Everything of a run but its samples, arrays as lists."""
    return {
        **{name: getattr(run, name) for name in ("run_id", "name", "n_classes", "class_counts", "majority_accuracy")},
        **{name: getattr(run, name) for name in ("n_validation", "other_keys", "artifacts", "fingerprint", "warnings")},
        **{name: repr(dict(getattr(run, name))) for name in ("params", "tags", "own_metrics", "predictions")},
        "curves": [
            (c.key, c.metric, c.split, c.step_unit, c.n_repeated, c.n_unsorted, c.step.tolist(), repr(c.value.tolist()))
            for c in run.curves
        ],
    }


def log_everything(tracking: Tracking) -> str:
    run_id = tracking.new_run("net")
    curves = {"train_loss": LOSS, "val_loss": LOSS + 0.1, "val_accuracy": 1 - LOSS / 3, "lr": 0.1 + 0 * LOSS}
    log_points(run_id, {key: (STEPS, values) for key, values in curves.items()}, tracking_uri=tracking.uri)
    odd = [(0, 10, np.nan), (2, 30, np.inf), (1, 20, -np.inf), (1, 25, 0.5), (3, 30, 0.25), (3, 30, 0.75)]
    tracking.client.log_batch(
        run_id,
        metrics=[Metric("test_loss", value, timestamp, step) for step, timestamp, value in odd]
        + [Metric("lossacc/best_loss", 0.5, 1, 0), Metric("lossacc/ece", np.inf, 1, 0)],
        params=[Param("model", "<script>alert(1)</script>\n'\""), Param("empty", "")],
        tags=[
            RunTag("lossacc.loss", "log_loss"),
            RunTag("lossacc.step_unit", "epoch"),
            RunTag("lossacc.n_classes", "10"),
            RunTag("lossacc.class_counts", json.dumps({"<b>": 3, "b": 1})),
            RunTag("a: b/c", "<b>\n'\"" * 300),
        ],
    )
    predictions = {
        "validation.json": encode_summary(make_summary()),
        "validation.parquet": encode_samples(make_samples()),
        "test.json": b"{broken",
        "test.parquet": b"not parquet",
    }
    files = [Artifact(f"lossacc/predictions/{name}", body) for name, body in predictions.items()]
    log_artifacts(run_id, files, tracking_uri=tracking.uri)
    return run_id


def test_everything_is_read(tracking: Tracking) -> None:
    run = read_run(log_everything(tracking), tracking_uri=tracking.uri, with_samples=True)
    curves = {curve.key: curve for curve in run.curves}
    np.testing.assert_array_equal(curves["train_loss"].step, STEPS)
    np.testing.assert_array_equal(curves["train_loss"].value, LOSS)
    assert curves["train_loss"].metric.name == "log_loss"
    np.testing.assert_array_equal(curves["test_loss"].value, [np.nan, 0.5, np.inf, 0.75])
    assert run.other_keys == ("lr",)
    assert run.own_metrics == {"lossacc/best_loss": 0.5, "lossacc/ece": np.inf}
    assert run.n_classes == 10
    assert run.class_counts == {"<b>": 3, "b": 1}
    assert run.majority_accuracy == 0.75
    assert run.n_validation == 10
    assert run.params == {"model": "<script>alert(1)</script>\n'\"", "empty": ""}
    assert set(run.predictions) == set(run.samples) == {"validation"}
    assert len(run.samples["validation"]) == 6
    assert len(run.artifacts) == 4
    assert [warning.partition(" of run")[0] for warning in run.warnings] == [
        "lossacc/predictions/test.json",
        "lossacc/predictions/test.parquet",
    ]


def test_database_and_server_give_the_same(http_store: Tracking) -> None:
    location = Path(http_store.database.parent, "shared").as_uri()
    experiment_id = http_store.client.create_experiment("read both ways", artifact_location=location)
    shared = Tracking(http_store.uri, http_store.database, experiment_id)
    run_ids = [log_everything(shared), *(shared.new_run(f"empty {i}") for i in range(3))]
    by_server = list(read_runs(run_ids, tracking_uri=shared.uri))
    by_database = list(read_runs(run_ids, tracking_uri=f"sqlite:///{shared.database}"))
    assert [as_comparable(run) for run in by_server] == [as_comparable(run) for run in by_database]
    assert [run.run_id for run in by_server] == run_ids


@pytest.mark.parametrize("cap", [100, 250], ids=["one run alone is cut", "runs together are cut"])
def test_a_servers_cap_loses_no_point(http_store: Tracking, monkeypatch: pytest.MonkeyPatch, cap: int) -> None:
    """The server gives as many points as one asks for, 25,000 at most, for all runs of a request together."""
    monkeypatch.setattr(histories, "_BULK_CAP", cap)
    values = {http_store.new_run(): np.random.default_rng(n).random(n) for n in (10, 100, 150, 101)}
    for run_id, curve in values.items():
        log_points(run_id, {"val_loss": (np.arange(len(curve)), curve)}, tracking_uri=http_store.uri)
    for run in read_runs([*values], tracking_uri=http_store.uri):
        np.testing.assert_array_equal(run.curves[0].value, values[run.run_id])


def test_one_query_reads_all_histories(sqlite_store: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    run_id = log_everything(sqlite_store)
    with caplog.at_level("INFO", logger="sqlalchemy.engine"):
        read_run(run_id, tracking_uri=sqlite_store.uri)
    assert sum("FROM metrics" in record.getMessage() for record in caplog.records) == 1


def test_the_caller_knows_better_than_the_tags(sqlite_store: Tracking) -> None:
    run_id = sqlite_store.new_run(**{"lossacc.n_classes": "10", "lossacc.loss": "hinge"})
    log_points(run_id, {"my key": ([0, 1], [0.5, 0.4])}, tracking_uri=sqlite_store.uri)
    overrides = dict([parse_override("my key=validation:loss")])
    run = read_run(run_id, tracking_uri=sqlite_store.uri, overrides=overrides, n_classes=3, loss="log_loss")
    assert (run.n_classes, run.curves[0].metric.name, run.curves[0].split) == (3, "log_loss", "validation")


def test_the_last_point_of_a_repeated_step_counts(tracking: Tracking) -> None:
    run_id = tracking.new_run()
    log_points(run_id, {"val_loss": ([0, 1, 1, 2, 1], [0.9, 0.8, 0.3, 0.7, 0.5])}, tracking_uri=tracking.uri)
    (curve,) = read_run(run_id, tracking_uri=tracking.uri).curves
    assert curve.value.tolist() == [0.9, 0.5, 0.7]
    assert curve.n_repeated == 2


@pytest.mark.parametrize(
    ("steps", "values"),
    [([0, 1], [0.1]), ([0.5], [0.1]), ([[0]], [[0.1]]), ([np.nan], [0.1]), ([np.inf], [0.1])],
    ids=str,
)
def test_points_without_whole_steps_are_refused(steps: list[float], values: list[float]) -> None:
    with pytest.raises(InputError, match=r"'val_loss'.*integer step"):
        log_points("any", {"val_loss": (steps, values)}, tracking_uri="sqlite:///never-opened.db")


def test_odd_tags_are_told_and_left_out(sqlite_store: Tracking) -> None:
    tags = {"lossacc.n_classes": "1", "lossacc.class_counts": '{"a": -1}', "lossacc.step_unit": "<script>"}
    run = read_run(sqlite_store.new_run(**tags), tracking_uri=sqlite_store.uri)
    assert (run.n_classes, run.class_counts, run.majority_accuracy) == (None, None, None)
    assert [key in " ".join(run.warnings) for key in tags] == [True] * 3


def test_a_tag_tells_what_keys_mean_and_a_person_knows_better(tracking: Tracking) -> None:
    run_id = tracking.new_run("net", **{"lossacc.keys": "train_loss=train:log_loss, odd = validation:accuracy, x=y"})
    values = {"loss": LOSS + 1, "train_loss": LOSS, "odd": 1 - LOSS / 3, "val_loss": LOSS + 0.1}
    log_points(run_id, {key: (STEPS, value) for key, value in values.items()}, tracking_uri=tracking.uri)
    tracking.client.set_tag(run_id, "lossacc.loss", "log_loss")
    run = read_run(run_id, tracking_uri=tracking.uri)
    read = {(curve.split, curve.metric.name): curve.key for curve in run.curves}
    assert read == {
        ("train", "log_loss"): "train_loss",
        ("validation", "log_loss"): "val_loss",
        ("validation", "accuracy"): "odd",
    }
    (warning,) = run.warnings
    assert "tag lossacc.keys: cannot read the key mapping 'x=y'" in warning
    asked = read_run(run_id, tracking_uri=tracking.uri, overrides=dict([parse_override("odd=test:f1")]))
    assert ("test", "f1") in {(curve.split, curve.metric.name) for curve in asked.curves}
    assert ("validation", "accuracy") not in {(curve.split, curve.metric.name) for curve in asked.curves}


def test_the_fingerprint_tells_whether_something_was_logged_since(sqlite_store: Tracking) -> None:
    run_id = sqlite_store.new_run()

    def fingerprint(key: str, step: int) -> str:
        log_points(run_id, {key: ([step], [0.5])}, tracking_uri=sqlite_store.uri)
        return read_run(run_id, tracking_uri=sqlite_store.uri).fingerprint

    first = fingerprint("val_loss", 0)
    assert fingerprint("lossacc/best_loss", 0) == first
    assert fingerprint("val_loss", 1) != first


def test_runs_are_found_oldest_first_without_the_comparison(tracking: Tracking) -> None:
    client, experiment_id = tracking.client, tracking.experiment_id
    run_ids = [client.create_run(experiment_id, start_time=10 + i).info.run_id for i in (2, 0, 1)]
    comparison = comparison_run_id(experiment_id, create=True, tracking_uri=tracking.uri)
    client.delete_run(client.create_run(experiment_id).info.run_id)
    name = experiment_name(experiment_id, tracking_uri=tracking.uri)
    expected = (run_ids[1], run_ids[2], run_ids[0])
    assert find_run_ids(name, tracking_uri=tracking.uri) == expected
    assert find_run_ids(experiment_id, tracking_uri=tracking.uri) == expected
    found = find_run_ids(name, f"attributes.run_id = '{run_ids[0]}'", tracking_uri=tracking.uri)
    assert found == (run_ids[0],)
    everywhere = find_run_ids(tracking_uri=tracking.uri)
    assert set(expected) <= set(everywhere)
    assert comparison not in everywhere


def test_all_pages_are_read(sqlite_store: Tracking) -> None:
    with closing(sqlite3.connect(sqlite_store.database)) as database, database:
        database.executemany(
            "INSERT INTO runs (run_uuid, name, status, start_time, lifecycle_stage, experiment_id, artifact_uri, "
            "user_id) VALUES (?, 'r', 'FINISHED', ?, 'active', ?, '/nowhere', 'u')",
            [(f"{i:032d}", i, sqlite_store.experiment_id) for i in range(1_005)],
        )
    found = find_run_ids("digits", tracking_uri=sqlite_store.uri)
    assert found == tuple(f"{i:032d}" for i in range(1_005))


def test_an_unknown_experiment_is_answered_with_those_that_exist(tracking: Tracking) -> None:
    for name in ("nosuch", "99999999", "<script>'\"\n"):
        with pytest.raises(UnknownRunError, match=r"there is no experiment .*; there is '.+'") as caught:
            find_run_ids(name, tracking_uri=tracking.uri)
        assert "\n" not in str(caught.value)
        assert str(caught.value).count("', '") < 10


def test_a_filter_that_mlflow_cannot_read_is_the_callers_mistake(tracking: Tracking) -> None:
    with pytest.raises(InputError, match="cannot read the filter 'loss is low'"):
        find_run_ids(tracking.experiment_id, "loss is low", tracking_uri=tracking.uri)


@pytest.mark.parametrize("run_id", ["nosuchrun", "", "../../etc", "<script>'\"\n", "0" * 32])
def test_an_unknown_run(tracking: Tracking, run_id: str) -> None:
    with pytest.raises(UnknownRunError, match="there is no run") as caught:
        read_run(run_id, tracking_uri=tracking.uri)
    assert "\n" not in str(caught.value)


def test_a_deleted_run_is_said_to_be_deleted(tracking: Tracking) -> None:
    run_ids = [tracking.new_run() for _ in range(4)]
    tracking.client.delete_run(run_ids[2])
    with pytest.raises(UnknownRunError, match=f"{run_ids[2]}.* was deleted; 'mlflow runs restore"):
        list(read_runs(run_ids, tracking_uri=tracking.uri))


def test_a_deleted_experiment_is_said_to_be_deleted(sqlite_store: Tracking) -> None:
    MlflowClient(sqlite_store.uri).delete_experiment(sqlite_store.experiment_id)
    with pytest.raises(UnknownRunError, match=r"'digits' .* was deleted"):
        find_run_ids("digits", tracking_uri=sqlite_store.uri)


def test_artifacts_out_of_reach_leave_the_curves_readable(http_store: Tracking) -> None:
    """The server keeps the artifacts; who reads its database directly cannot get at them."""
    run_id = log_everything(http_store)
    run = read_run(run_id, tracking_uri=f"sqlite:///{http_store.database}")
    assert len(run.curves) == 4
    assert not run.predictions
    assert "cannot be reached" in run.warnings[0]


def test_a_baseline_is_a_tag_or_a_metric(sqlite_store: Tracking) -> None:
    run_id = sqlite_store.new_run("net")
    client = MlflowClient(sqlite_store.uri)
    client.log_metric(run_id, "baseline_loss", 0.31)
    client.log_metric(run_id, "baseline_accuracy", 0.5)
    client.set_tag(run_id, "lossacc.baseline_accuracy", "0.85")
    run = read_run(run_id, tracking_uri=sqlite_store.uri)
    assert (run.baseline_loss, run.baseline_accuracy, run.other_keys) == (0.31, 0.85, ())
    client.set_tag(run_id, "lossacc.baseline_accuracy", "high")
    run = read_run(run_id, tracking_uri=sqlite_store.uri)
    assert run.baseline_accuracy == 0.5
    assert "lossacc.baseline_accuracy = 'high' was left out" in run.warnings[0]
