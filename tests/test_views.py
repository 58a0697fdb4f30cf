import base64
import json
import zlib
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from lossacc_mlflow.errors import StoreError, UnknownRunError
from lossacc_mlflow.views import CURVES_VIEW, GROUPS_VIEW, VERDICTS_VIEW, experiment_link, write_views

OWN_KEYS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "test_loss", "lossacc/best_loss")

PREFIX = "mlflow.sharedViewState."


@pytest.fixture(autouse=True)
def mlflow_with_named_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's version decides; the tag itself is the same to every store."""
    monkeypatch.setattr(mlflow, "__version__", "3.15.0")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    return MlflowClient(f"sqlite:///{tmp_path_factory.mktemp('views')}/mlflow.db")


@pytest.fixture
def experiment_id(client: MlflowClient, request: pytest.FixtureRequest) -> str:
    return str(client.create_experiment(request.node.name))


def write(client: MlflowClient, experiment_id: str, keys: tuple[str, ...] = OWN_KEYS) -> dict[str, str]:
    write_views(experiment_id, metric_keys=keys, tracking_uri=client.tracking_uri)
    tags = client.get_experiment(experiment_id).tags
    return {key.removeprefix(PREFIX): value for key, value in tags.items() if key.startswith(PREFIX)}


def state(value: str) -> dict[str, Any]:
    packed = json.loads(value)["state"] if value.startswith("{") else value
    assert packed.startswith("deflate;")
    unpacked: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed.removeprefix("deflate;"))))
    return unpacked


def overlays(value: str) -> list[list[str]]:
    return [chart["selectedMetricKeys"] for chart in state(value)["compareRunCharts"] if chart["type"] == "LINE"]


def test_views_show_train_and_validation_of_every_diagnosed_run(client: MlflowClient, experiment_id: str) -> None:
    views = write(client, experiment_id)
    assert set(views) == {CURVES_VIEW, VERDICTS_VIEW, GROUPS_VIEW}
    assert overlays(views[CURVES_VIEW]) == [["val_loss", "train_loss"], ["val_accuracy", "train_accuracy"]]
    curves = state(views[CURVES_VIEW])
    assert curves["runsHiddenMode"] == "SHOW_ALL"
    assert (curves["orderByKey"], curves["orderByAsc"]) == ("metrics.`lossacc/best_loss`", True)
    assert {chart["metricSectionId"] for chart in curves["compareRunCharts"]} == {
        curves["compareRunSections"][0]["uuid"]
    }
    assert state(views[VERDICTS_VIEW])["selectedColumns"][0] == "tags.`lossacc.verdict`"
    assert state(views[GROUPS_VIEW])["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "lossacc.verdict"}]
    for value in views.values():
        view = json.loads(value)
        assert view["name"].startswith("lossacc: ")
        assert view["createdAt"] == view["updatedAt"] > 1e12


def test_filter_keeps_diagnosed_runs_only(client: MlflowClient, experiment_id: str) -> None:
    parent = client.create_run(experiment_id, run_name="parent").info.run_id
    child = client.create_run(experiment_id, tags={"mlflow.parentRunId": parent, "lossacc.verdict": "healthy"})
    client.create_run(experiment_id, run_name="lossacc comparison", tags={"lossacc.kind": "comparison"})
    shown = state(write(client, experiment_id)[CURVES_VIEW])
    order = [f"{shown['orderByKey']} ASC"]
    found = client.search_runs([experiment_id], shown["searchFilter"], order_by=order)
    assert [run.info.run_id for run in found] == [child.info.run_id]


def test_second_write_changes_nothing_and_a_changed_view_keeps_its_creation(
    client: MlflowClient, experiment_id: str
) -> None:
    first = write(client, experiment_id)
    assert write(client, experiment_id, OWN_KEYS[::-1]) == first
    changed = write(client, experiment_id, ("train_loss", "val_loss"))
    old, new = json.loads(first[CURVES_VIEW]), json.loads(changed[CURVES_VIEW])
    assert overlays(changed[CURVES_VIEW]) == [["val_loss", "train_loss"]]
    assert new["createdAt"] == old["createdAt"] <= new["updatedAt"]


@pytest.mark.parametrize("junk", ["no JSON", "[1]", "null", "deflate;!!", '{"state": 3}', '{"state": "deflate;AAAA"}'])
def test_unreadable_view_is_replaced(client: MlflowClient, experiment_id: str, junk: str) -> None:
    client.set_experiment_tag(experiment_id, PREFIX + CURVES_VIEW, junk)
    assert overlays(write(client, experiment_id)[CURVES_VIEW])


def test_before_mlflow_3_15_views_have_no_name(
    client: MlflowClient, experiment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "__version__", "3.9.0")
    old = write(client, experiment_id)
    assert overlays(old[CURVES_VIEW]) == [["val_loss", "train_loss"], ["val_accuracy", "train_accuracy"]]
    assert write(client, experiment_id) == old
    monkeypatch.setattr(mlflow, "__version__", "3.15.0")
    new = write(client, experiment_id)
    assert json.loads(new[CURVES_VIEW])["name"] == "lossacc: curves"
    assert state(new[CURVES_VIEW]) == state(old[CURVES_VIEW])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((), []),
        (("lr", "lossacc/best_loss", "system/cpu", "<script>", "a'\"\n`", "x" * 300), []),
        (("loss", "accuracy", "val_loss", "val_accuracy"), [["val_loss", "loss"], ["val_accuracy", "accuracy"]]),
        (("validation_0-logloss", "validation_1-logloss"), [["validation_1-logloss", "validation_0-logloss"]]),
        (("val_loss", "val_accuracy", "test_loss"), [["val_loss"], ["val_accuracy"]]),
        (
            ("train_loss_by_n_samples", "val_loss_by_n_samples", "train_accuracy", "val_accuracy", "train_r2"),
            [["val_accuracy", "train_accuracy"], ["val_loss_by_n_samples", "train_loss_by_n_samples"]],
        ),
    ],
)
def test_overlays(client: MlflowClient, experiment_id: str, keys: tuple[str, ...], expected: list[list[str]]) -> None:
    assert overlays(write(client, experiment_id, keys)[CURVES_VIEW]) == expected


def test_regression_is_judged_by_r2(client: MlflowClient, experiment_id: str) -> None:
    curves = state(write(client, experiment_id, ("train_rmse", "val_rmse", "train_r2", "val_r2"))[CURVES_VIEW])
    assert curves["compareRunCharts"][-1]["yaxis"]["key"] == "lossacc/best_r2"
    assert "metrics.`lossacc/best_r2`" in curves["selectedColumns"]


def test_views_fit_into_a_tag_of_5000_characters(client: MlflowClient, experiment_id: str) -> None:
    metrics = ("loss", "log_loss", "accuracy", "balanced_accuracy", "f1", "precision", "recall", "roc_auc", "mse")
    splits = ("train", "trn", "learn", "val", "valid", "holdout", "eval", "dev")
    keys = tuple(f"{s}{sep * 20}{m}{unit}" for s in splits for m in metrics for sep in "_-" for unit in ("", "_step"))
    assert max(map(len, write(client, experiment_id, keys).values())) < 5_000


def test_links(client: MlflowClient, experiment_id: str) -> None:
    links = write_views(experiment_id, metric_keys=OWN_KEYS, tracking_uri=client.tracking_uri)
    assert list(links) == ["lossacc: curves", "lossacc: verdicts", "lossacc: by verdict"]
    assert links["lossacc: curves"] == (
        f"http://127.0.0.1:5000/#/experiments/{experiment_id}/runs"
        f"?viewStateShareKey={CURVES_VIEW}&compareRunsMode=CHART&workflowType=machine_learning"
    )


@pytest.mark.parametrize(
    ("tracking_uri", "base"),
    [
        ("sqlite:////home/me/mlflow.db", "http://127.0.0.1:5000"),
        ("postgresql://me:secret@db/mlflow", "http://127.0.0.1:5000"),
        ("/home/me/mlruns", "http://127.0.0.1:5000"),
        ("https://me:secret@host:8443/mlflow/", "https://host:8443/mlflow"),
    ],
)
def test_link_without_a_view(tracking_uri: str, base: str) -> None:
    assert experiment_link("7", tracking_uri=tracking_uri) == (
        f"{base}/#/experiments/7/runs?orderByKey=metrics.%60lossacc%2Fbest_loss%60&orderByAsc=true"
        "&compareRunsMode=CHART&workflowType=machine_learning"
    )


def test_unknown_and_deleted_experiments(client: MlflowClient, experiment_id: str) -> None:
    client.delete_experiment(experiment_id)
    for unknown in ("999", "no id", experiment_id):
        with pytest.raises(UnknownRunError, match="there is no active experiment"):
            write_views(unknown, metric_keys=OWN_KEYS, tracking_uri=client.tracking_uri)


def test_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing\.db"):
        write_views("1", metric_keys=OWN_KEYS, tracking_uri=f"sqlite:///{tmp_path}/missing.db")
    assert not (tmp_path / "missing.db").exists()


def test_losses_are_drawn_on_a_logarithmic_axis_where_all_splits_may(client: MlflowClient, experiment_id: str) -> None:
    keys = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
    for log_keys, scales in ((keys[:2], ["log", "linear"]), (keys[:1], ["linear", "linear"])):
        uri = client.tracking_uri
        write_views(experiment_id, metric_keys=keys, log_scale_keys=log_keys, tracking_uri=uri)
        charts = state(client.get_experiment(experiment_id).tags[PREFIX + CURVES_VIEW])["compareRunCharts"]
        assert [chart["scaleType"] for chart in charts if chart["type"] == "LINE"] == scales
