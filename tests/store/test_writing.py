import json
import math
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from lossacc_mlflow.errors import InputError, UnknownRunError
from lossacc_mlflow.records import Artifact, RunUpdate
from lossacc_mlflow.store import (
    clean_experiment,
    clean_run,
    comparison_run_id,
    log_points,
    read_run,
    set_tags,
    write_update,
)
from lossacc_mlflow.store.tags import merge_note, merge_tables
from tests.conftest import Tracking, log_artifacts


def png(color: int) -> bytes:
    sink = BytesIO()
    Image.new("RGB", (1200, 700), (color, 0, 0)).quantize(16).save(sink, "PNG")
    return sink.getvalue()


def make_update(color: int = 0, **changes: object) -> RunUpdate:
    table = json.dumps({"columns": ["diagnostic", "value"], "data": [["ece", 0.1]]}).encode()
    given = {
        "metrics": {"lossacc/best_loss": 0.25, "lossacc/ece": float("nan"), "lossacc/temperature": float("inf")},
        "tags": {"lossacc.status": "ok", "lossacc.verdict": "healthy", "lossacc.findings": "x" * 9_000},
        "note": "**healthy**\n\n" + "details " * 20,
        "artifacts": (
            Artifact("lossacc/report.html", b"<p>" + bytes([color])),
            Artifact("lossacc/diagnostics.json", table),
            Artifact("lossacc/deep/er.txt", b""),
        ),
        "tables": ("lossacc/diagnostics.json",),
        "images": {"lossacc_curves": png(color)},
    }
    return RunUpdate(**(given | changes))  # type: ignore[arg-type]  # one dict of every kind of field


def write(tracking: Tracking, run_id: str, update: RunUpdate) -> bool:
    return write_update(read_run(run_id, tracking_uri=tracking.uri), update, tracking_uri=tracking.uri)


def test_writing_twice_leaves_one_of_everything(tracking: Tracking) -> None:
    run_id = tracking.new_run()
    assert write(tracking, run_id, make_update())

    def state() -> tuple[int, dict[str, bytes], dict[str, str]]:
        return tracking.count_rows(run_id), tracking.files(run_id), tracking.client.get_run(run_id).data.tags

    before = state()
    assert not write(tracking, run_id, make_update())
    assert state() == before
    n_rows, files, tags = before
    assert n_rows == 2  # best_loss and temperature: a NaN that was never anything else says nothing
    images = sorted(path for path in files if path.startswith("images/"))
    assert [path.split("+")[0::6] for path in images] == [
        ["images/lossacc_curves", "compressed.webp"],
        ["images/lossacc_curves"],
    ]
    assert files[images[1]] == png(0)
    assert Image.open(BytesIO(files[images[0]])).size == (800, 467)
    assert json.loads(tags["mlflow.loggedArtifacts"]) == [{"path": "lossacc/diagnostics.json", "type": "table"}]
    assert tags["mlflow.loggedImages"] == "True"
    assert len(tags["lossacc.findings"]) == 8_000
    read = read_run(run_id, tracking_uri=tracking.uri)
    assert read.own_metrics == {"lossacc/best_loss": 0.25, "lossacc/temperature": math.inf}
    assert "lossacc/report.html" in read.artifacts


def test_what_changed_replaces_what_was(tracking: Tracking) -> None:
    run_id = tracking.new_run()
    write(tracking, run_id, make_update())
    old = tracking.files(run_id)
    metrics = {"lossacc/best_loss": 0.125}
    artifacts = make_update(1).artifacts[:2]
    for _ in range(2):
        write(tracking, run_id, make_update(1, metrics=metrics, artifacts=artifacts))
    new = tracking.files(run_id)
    assert set(old) - set(new) == {"lossacc/deep/er.txt"}
    assert {path for path in new if new[path] != old.get(path)} == {
        *(path for path in old if path.startswith("images/")),
        "lossacc/report.html",
        "lossacc/manifest.json",
    }
    assert tracking.count_rows(run_id) == 4  # best_loss changed, temperature became NaN
    latest = read_run(run_id, tracking_uri=tracking.uri).own_metrics
    assert latest["lossacc/best_loss"] == 0.125  # lower, and shown all the same
    assert math.isnan(latest["lossacc/temperature"])


def test_files_of_others_are_left_alone(sqlite_store: Tracking) -> None:
    run_id = sqlite_store.new_run(**{"mlflow.loggedArtifacts": '[{"path": "mine.json","type": "table"}]'})
    logged = [Artifact("lossacc/predictions/validation.json", b"{}"), Artifact("mine.txt", b"mine")]
    log_artifacts(run_id, logged, tracking_uri=sqlite_store.uri)
    sqlite_store.client.log_image(run_id, Image.new("RGB", (9, 9)), key="lossacc_curves")
    theirs = sqlite_store.files(run_id)
    write(sqlite_store, run_id, make_update())
    write(sqlite_store, run_id, RunUpdate())
    left = sqlite_store.files(run_id)
    assert left.items() >= theirs.items()
    assert set(left) - set(theirs) == {"lossacc/manifest.json"}
    tag = sqlite_store.client.get_run(run_id).data.tags["mlflow.loggedArtifacts"]
    assert json.loads(tag) == [{"path": "mine.json", "type": "table"}]


def test_a_file_that_was_tampered_with_is_written_again(sqlite_store: Tracking, tmp_path: Path) -> None:
    run_id = sqlite_store.new_run()
    write(sqlite_store, run_id, make_update())
    (report,) = tmp_path.rglob("report.html")
    report.write_bytes(b"shorter or longer")
    (manifest,) = tmp_path.rglob("lossacc/manifest.json")
    assert write(sqlite_store, run_id, make_update())
    assert report.read_bytes() == b"<p>\0"
    manifest.write_text("[]")
    assert write(sqlite_store, run_id, make_update())
    assert not write(sqlite_store, run_id, make_update())


@pytest.mark.parametrize("path", ["/etc/lossacc", "../escaped", "lossacc/../../escaped", ""])
def test_no_artifact_leaves_the_run(sqlite_store: Tracking, path: str) -> None:
    with pytest.raises(InputError, match="no path"):
        log_artifacts(sqlite_store.new_run(), [Artifact(path, b"")], tracking_uri=sqlite_store.uri)


@pytest.mark.parametrize("key", ["a/b", "a+b", "a%b", "", "<script>"])
def test_image_keys_that_the_grid_cannot_read_are_refused(sqlite_store: Tracking, key: str) -> None:
    with pytest.raises(InputError, match="image key"):
        write(sqlite_store, sqlite_store.new_run(), RunUpdate(images={key: png(0)}))


def test_a_gone_run_is_not_written(sqlite_store: Tracking) -> None:
    run_id = sqlite_store.new_run()
    run = read_run(run_id, tracking_uri=sqlite_store.uri)
    sqlite_store.client.delete_run(run_id)
    with pytest.raises(UnknownRunError, match="deleted"):
        write_update(run, make_update(), tracking_uri=sqlite_store.uri)
    with pytest.raises(UnknownRunError, match="no run 'nosuch'"):
        set_tags("nosuch", {"a": "b"}, tracking_uri=sqlite_store.uri)
    with pytest.raises(UnknownRunError, match="no run 'nosuch'"):
        log_points("nosuch", {"a": ([0], [1.0])}, tracking_uri=sqlite_store.uri)


def test_a_persons_note_is_kept_whole() -> None:
    mine = "Mine.\n\n" + "word " * 1_400
    ours = "**verdict**\n\nsecond paragraph\n\n" + "line\n" * 1_000
    merged = merge_note(mine, ours)
    assert merged.startswith(mine + "\n\n<!-- lossacc -->\n**verdict**")
    assert merged.endswith("<!-- /lossacc -->")
    assert len(merged) <= 8_000
    assert merge_note(merged, ours) == merged
    below = merged.replace("Mine.", "Edited.") + "\n\nBelow."
    again = merge_note(below, "**new**")
    assert again.startswith("Edited.")
    assert again.endswith("**new**\n<!-- /lossacc -->\n\nBelow.")
    assert merge_note(again, "") == mine.replace("Mine.", "Edited.") + "\n\nBelow."


def test_a_full_note_leaves_us_out() -> None:
    mine = "x" * 7_990
    assert merge_note(mine, "ours") == mine
    assert merge_note("", "y" * 9_000) == ""


@pytest.mark.parametrize("broken", ["<!-- lossacc -->", "<!-- /lossacc -->", "<!-- /lossacc --> a <!-- lossacc --> b"])
def test_lost_delimiters_eat_nothing(broken: str) -> None:
    merged = merge_note(f"before {broken} after", "ours <!-- /lossacc --> <!-- lossacc -->")
    assert merged.startswith(f"before {broken} after\n\n<!-- lossacc -->\nours")
    assert merge_note(merged, "") == f"before {broken} after"


def test_odd_lists_of_tables_do_no_harm() -> None:
    for existing in ("", "{broken", '{"a": 1}', "null"):
        assert json.loads(merge_tables(existing, ["lossacc/t.json"])) == [{"path": "lossacc/t.json", "type": "table"}]
    assert merge_tables('[ 1, "two"]', []) == '[ 1, "two"]'


def test_the_comparison_run_is_one_and_never_the_latest(tracking: Tracking) -> None:
    client, experiment_id = tracking.client, tracking.experiment_id
    assert comparison_run_id(experiment_id, create=False, tracking_uri=tracking.uri) is None
    run_id = comparison_run_id(experiment_id, create=True, tracking_uri=tracking.uri)
    assert comparison_run_id(experiment_id, create=True, tracking_uri=tracking.uri) == run_id
    info = client.get_run(str(run_id)).info
    assert (info.run_name, info.status) == ("lossacc comparison", "FINISHED")
    assert info.start_time == client.get_experiment(experiment_id).creation_time
    with pytest.raises(UnknownRunError, match="no experiment with id '424242'"):
        comparison_run_id("424242", create=True, tracking_uri=tracking.uri)


def test_cleaning_leaves_nothing_of_ours(tracking: Tracking) -> None:
    mine = {"mlflow.note.content": "Mine.", "my.tag": "<b>"}
    run_id = tracking.new_run("<script>alert('x')</script>\n" + "n" * 200, **mine)
    before = tracking.client.get_run(run_id).data.tags
    logged = [Artifact("lossacc/predictions/validation.json", b"{}"), Artifact("mine/a.txt", b"mine")]
    log_artifacts(run_id, logged, tracking_uri=tracking.uri)
    log_points(run_id, {"val_loss": (range(9), np.ones(9))}, tracking_uri=tracking.uri)
    set_tags(run_id, {"lossacc.loss": "log_loss", "lossacc.samples.validation": "ab"}, tracking_uri=tracking.uri)
    write(tracking, run_id, make_update())
    assert clean_run(run_id, tracking_uri=tracking.uri)
    assert tracking.client.get_run(run_id).data.tags == before
    assert tracking.files(run_id) == {"mine/a.txt": b"mine"}
    assert [entry.path for entry in tracking.client.list_artifacts(run_id)] == ["mine"]
    read = read_run(run_id, tracking_uri=tracking.uri)
    assert all(map(math.isnan, read.own_metrics.values()))
    assert len(read.curves[0]) == 9
    assert not clean_run(run_id, tracking_uri=tracking.uri)


def test_images_of_others_survive_cleaning(sqlite_store: Tracking) -> None:
    run_id = sqlite_store.new_run()
    sqlite_store.client.log_image(run_id, Image.new("RGB", (9, 9)), key="lossacc_curves")
    theirs = sqlite_store.files(run_id)
    write(sqlite_store, run_id, make_update())
    clean_run(run_id, tracking_uri=sqlite_store.uri)
    assert sqlite_store.files(run_id) == theirs
    assert sqlite_store.client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"


def test_cleaning_an_experiment(tracking: Tracking) -> None:
    client, experiment_id = tracking.client, tracking.experiment_id
    comparison = str(comparison_run_id(experiment_id, create=True, tracking_uri=tracking.uri))
    write(tracking, comparison, make_update())
    client.set_experiment_tag(experiment_id, "mlflow.sharedViewState.lossacc-curves", "{}")
    client.set_experiment_tag(experiment_id, "mlflow.sharedViewState.mine", "{}")
    assert clean_experiment(experiment_id, tracking_uri=tracking.uri)
    assert "mlflow.sharedViewState.mine" in client.get_experiment(experiment_id).tags
    assert "mlflow.sharedViewState.lossacc-curves" not in client.get_experiment(experiment_id).tags
    assert client.get_run(comparison).info.lifecycle_stage == "deleted"
    assert not tracking.files(comparison)
    assert not clean_experiment(experiment_id, tracking_uri=tracking.uri)


def test_points_are_written_fast(sqlite_store: Tracking) -> None:
    run_id, n = sqlite_store.new_run(), 10_000
    start = time.perf_counter()
    log_points(run_id, {"val_loss": (np.arange(n), np.random.default_rng(0).random(n))}, tracking_uri=sqlite_store.uri)
    assert sqlite_store.count_rows(run_id) == n
    assert n / (time.perf_counter() - start) > 1_000  # 13,000 on an idle machine


def test_the_client_is_not_told_to_end_the_run(sqlite_store: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hooks into the end of runs must not be called for the comparison."""
    monkeypatch.setattr(MlflowClient, "set_terminated", lambda *_args, **_kwargs: pytest.fail("called"))
    assert comparison_run_id(sqlite_store.experiment_id, create=True, tracking_uri=sqlite_store.uri)
