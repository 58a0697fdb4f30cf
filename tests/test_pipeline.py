"""The whole way in a real store: log, diagnose, look at what is there, diagnose again, compare, clean."""

import json
from importlib import resources

import jsonschema
import mlflow
import numpy as np
import pytest
import sklearn.metrics
from mlflow import MlflowClient
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

import lossacc_mlflow
from lossacc_mlflow import store
from lossacc_mlflow.errors import InputError, UnknownRunError
from lossacc_mlflow.records import Artifact
from lossacc_mlflow.render import render_text
from tests.builders import falling
from tests.conftest import Tracking, log_artifacts

_CURVES = {
    "train_loss": falling(40, 2.0, 0.02),
    "val_loss": falling(15, 2.0, 0.3) + list(np.linspace(0.31, 0.5, 25)),
    "train_accuracy": list(1 - 0.3 * np.array(falling(40, 2.0, 0.02))),
    "val_accuracy": list(np.linspace(0.4, 0.93, 40)),
}


def _proba(seed: int, sharpness: float) -> tuple[list[int], np.ndarray]:
    """Labels that are the same for every seed, and a model of three classes that sees them through noise."""
    truth = np.random.default_rng(0).integers(0, 3, 200)
    z = sharpness * (2 * np.eye(3)[truth] + np.random.default_rng(seed).standard_normal((200, 3)))
    exp = np.exp(z - z.max(axis=1, keepdims=True))
    return truth.tolist(), exp / exp.sum(axis=1, keepdims=True)


def _train(here: Tracking, name: str = "net", seed: int = 1, sharpness: float = 8.0) -> str:
    with mlflow.start_run(experiment_id=here.experiment_id, run_name=name) as run:
        lossacc_mlflow.log_curves(_CURVES, loss="log_loss", n_classes=3, class_counts={"a": 70, "b": 65, "c": 65})
        for split in ("validation", "test"):
            lossacc_mlflow.log_predictions(*_proba(seed, sharpness), split=split)
    return str(run.info.run_id)


def test_diagnosis_reaches_the_run(here: Tracking) -> None:
    run_id = _train(here)
    diagnosis = lossacc_mlflow.diagnose(run_id, write=True)
    assert diagnosis.verdict == "loss_overfitting"
    assert diagnosis.discrepancy == "overconfident_errors"
    run = MlflowClient(here.uri).get_run(run_id)
    assert run.data.tags["lossacc.verdict"] == "loss_overfitting"
    assert run.data.tags["lossacc.status"] == "ok"
    assert {"FIT001", "DIS001", "DIS003"} <= set(run.data.tags["lossacc.findings"].split(","))
    metrics = {key: value for key, value in run.data.metrics.items() if key.startswith("lossacc/")}
    assert 10 <= len(metrics) <= 15
    assert metrics["lossacc/best_loss"] == pytest.approx(0.3)
    assert metrics["lossacc/best_loss_step"] == 15
    assert metrics["lossacc/n_flagged"] == len(diagnosis.flagged)
    assert "lossacc%2F" in run.data.tags["mlflow.note.content"]
    files = here.files(run_id)
    wanted = "report.html findings.json diagnostics.json curves.png loss_accuracy_plane.png reliability.png"
    wanted += " loss_concentration.png confusion.png worst_predictions.csv predictions/test.parquet"
    assert {f"lossacc/{name}" for name in wanted.split()} <= set(files)
    assert len(files["lossacc/report.html"]) <= 500_000
    schema = json.loads(resources.files("lossacc_mlflow").joinpath("schemas/findings.schema.json").read_text())
    jsonschema.validate(json.loads(files["lossacc/findings.json"]), schema)


def test_diagnosing_and_comparing_twice_leaves_one_of_everything(here: Tracking) -> None:
    ids = [_train(here, f"net {seed}", seed) for seed in (1, 2)]

    def everything() -> list[object]:
        client = MlflowClient(here.uri)
        runs = sorted(client.search_runs([here.experiment_id]), key=lambda r: str(r.info.run_id))
        return [
            [(r.info.run_id, here.count_rows(r.info.run_id), r.data.tags, here.files(r.info.run_id)) for r in runs],
            client.get_experiment(here.experiment_id).tags,
        ]

    for run_id in ids:
        lossacc_mlflow.diagnose(run_id, write=True)
    lossacc_mlflow.compare(experiment="digits", write=True)
    before = everything()
    for run_id in ids:
        lossacc_mlflow.diagnose(run_id, write=True)
    lossacc_mlflow.compare(experiment="digits", write=True)
    assert everything() == before


def test_the_table_and_the_pair_name_the_same_losses_where_probabilities_are_zero(here: Tracking) -> None:
    """Forests give zeros; what is kept of each sample is float32, and the summaries were made of float64."""
    images, digits = load_digits(return_X_y=True)
    ids = []
    for n_trees in (5, 10):
        forest = RandomForestClassifier(n_trees, random_state=0).fit(images[::2], digits[::2])
        with mlflow.start_run(experiment_id=here.experiment_id, run_name=f"{n_trees} trees") as run:
            lossacc_mlflow.log_predictions(digits[1::2], forest.predict_proba(images[1::2]))
        ids.append(run.info.run_id)
    comparison = lossacc_mlflow.compare(ids)
    rows = {row.name: row for row in comparison.rows}
    (pair,) = comparison.pairs
    assert pair.at_clip
    for name, loss, after in (
        (pair.name_a, pair.loss_a, pair.loss_a_after_temperature),
        (pair.name_b, pair.loss_b, pair.loss_b_after_temperature),
    ):
        assert rows[name].loss == pytest.approx(loss, abs=1e-6)
        assert rows[name].loss_after_temperature == pytest.approx(after, abs=1e-6)
        assert after < loss - 0.1


def test_a_run_read_without_its_samples_loses_no_picture(here: Tracking) -> None:
    run_id = _train(here)
    lossacc_mlflow.diagnose(run_id, write=True)
    before = here.files(run_id)
    run = lossacc_mlflow.read_run(run_id)
    assert not run.samples
    lossacc_mlflow.diagnose(run, write=True)
    assert here.files(run_id) == before


def test_comparison_run(here: Tracking) -> None:
    ids = [_train(here, name, seed, sharpness) for name, seed, sharpness in (("apt", 1, 1.5), ("sure", 2, 9.0))]
    comparison = lossacc_mlflow.compare(ids, write=True)
    assert len(comparison.pairs) == 1
    run_id = store.comparison_run_id(here.experiment_id, create=False, tracking_uri=here.uri)
    assert run_id is not None
    files = here.files(run_id)
    wanted = "comparison.html comparison.json comparison.csv pairs.csv curves_overlay.png loss_accuracy_plane.png"
    assert {f"lossacc/{name}" for name in wanted.split()} <= set(files)
    schema = json.loads(resources.files("lossacc_mlflow").joinpath("schemas/comparison.schema.json").read_text())
    jsonschema.validate(json.loads(files["lossacc/comparison.json"]), schema)
    assert store.find_run_ids("digits", tracking_uri=here.uri) == tuple(ids)


def test_cleaning_leaves_nothing_of_ours(here: Tracking) -> None:
    run_id = _train(here)
    MlflowClient(here.uri).set_tag(run_id, "mlflow.note.content", "my own words")
    lossacc_mlflow.diagnose(run_id, write=True)
    lossacc_mlflow.compare([run_id], write=True)
    store.clean_experiment("digits", tracking_uri=here.uri)
    run = MlflowClient(here.uri).get_run(run_id)
    assert not [tag for tag in run.data.tags if tag.startswith("lossacc.")]
    assert run.data.tags["mlflow.note.content"].strip() == "my own words"
    assert not here.files(run_id)
    assert all(np.isnan(value) for key, value in run.data.metrics.items() if key.startswith("lossacc/"))
    assert store.comparison_run_id(here.experiment_id, create=False, tracking_uri=here.uri) is None
    experiment = MlflowClient(here.uri).get_experiment(here.experiment_id)
    assert not [tag for tag in experiment.tags if "lossacc" in tag]


@pytest.mark.filterwarnings("ignore:.y_pred. was renamed:FutureWarning")  # MLflow's own call of scikit-learn
def test_single_points_of_an_autologger_get_what_can_be_known(here: Tracking) -> None:
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    mlflow.sklearn.autolog(log_models=False, silent=True)
    try:
        with mlflow.start_run(experiment_id=here.experiment_id) as run:
            forest = RandomForestClassifier(20, random_state=0).fit(X_train, y_train)
            # The autologger names what is scored after the variable.
            sklearn.metrics.log_loss(y_test, forest.predict_proba(X_test))
            sklearn.metrics.accuracy_score(y_test, forest.predict(X_test))
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)
    diagnosis = lossacc_mlflow.diagnose(run.info.run_id, n_classes=10)
    assert diagnosis.verdict == "not_enough_information"
    gap = diagnosis.finding("FIT003")
    assert (gap.status, gap.split) == ("flagged", "test")
    assert diagnosis.finding("TRN003").status == "clear"
    bounds = diagnosis.bounds["test"]
    assert bounds.floor < bounds.loss < bounds.ceiling
    assert set(diagnosis.bounds) == {"train", "test"}


def test_a_run_without_anything_known_gets_a_status_and_no_more(here: Tracking) -> None:
    with mlflow.start_run(experiment_id=here.experiment_id) as run:
        mlflow.log_metric("throughput", 12.0)
    diagnosis = lossacc_mlflow.diagnose(run.info.run_id, write=True)
    assert diagnosis.verdict == "not_enough_information"
    assert "throughput" in diagnosis.headline
    ours = {k: v for k, v in MlflowClient(here.uri).get_run(run.info.run_id).data.tags.items() if "lossacc" in k}
    assert list(ours) == ["lossacc.status"]
    assert "throughput" in ours["lossacc.status"]
    assert not here.files(run.info.run_id)


def test_a_hostile_name_is_only_text(here: Tracking) -> None:
    run_id = _train(here, '<script>alert("x")</script>\n$\\frac{1}{0}$ ' + 300 * "ä")
    lossacc_mlflow.diagnose(run_id, write=True)
    lossacc_mlflow.compare([run_id], write=True)
    assert b"<script>alert" not in here.files(run_id)["lossacc/report.html"]


def test_notebooks_show_the_report(here: Tracking) -> None:
    diagnosis = lossacc_mlflow.diagnose(_train(here))
    html = diagnosis._repr_html_()
    assert html is not None
    assert html.startswith("<iframe")
    assert "srcdoc" in html
    comparison = lossacc_mlflow.compare([diagnosis])
    assert "srcdoc" in (comparison._repr_html_() or "")


def test_nothing_to_compare(here: Tracking) -> None:
    with pytest.raises(InputError, match="give run ids, or an experiment"):
        lossacc_mlflow.compare()
    with mlflow.start_run(experiment_id=here.experiment_id) as run:
        mlflow.log_metric("throughput", 12.0)
    with pytest.raises(InputError, match="none of 1 runs"):
        lossacc_mlflow.compare([run.info.run_id])
    with pytest.raises(UnknownRunError, match="nosuchrun"):
        lossacc_mlflow.diagnose("nosuchrun")


def test_logging_needs_a_run_and_known_keys(here: Tracking) -> None:
    with pytest.raises(InputError, match="no run is active"):
        lossacc_mlflow.log_curves({"train_loss": [1.0]})
    run_id = here.new_run()
    with pytest.raises(InputError, match="throughput"):
        lossacc_mlflow.log_curves({"throughput": [1.0]}, run_id=run_id)
    with pytest.raises(InputError, match="one value a step"):
        lossacc_mlflow.log_curves({"train_loss": [1.0], "val_loss": [1.0, 2.0]}, run_id=run_id)
    assert here.count_rows(run_id) == 0


def test_a_damaged_artifact_does_not_stop_a_diagnosis(here: Tracking) -> None:
    run_id = _train(here)
    log_artifacts(run_id, [Artifact("lossacc/predictions/validation.parquet", b"no parquet")])
    diagnosis = lossacc_mlflow.diagnose(run_id, write=True)
    assert diagnosis.verdict == "loss_overfitting"
    assert "validation.parquet" in diagnosis.run.warnings[0]
    files = here.files(run_id)
    assert b"validation.parquet" in files["lossacc/report.html"]
    assert "validation.parquet" in json.loads(files["lossacc/findings.json"])["warnings"][0]
    assert "validation.parquet" in render_text(diagnosis)
