"""``mlflow.models.evaluate`` with our evaluator: the run holds what log_predictions and diagnose would have written."""

import logging
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import lossacc_mlflow
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.evaluator import LossaccEvaluator
from lossacc_mlflow.loggers.base import log_predictions, log_regression
from tests.conftest import Tracking

# MLflow is behind pandas, scikit-learn and itself, and says so.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning", "UserWarning:mlflow")
]

NAMES = ["setosa", "versicolor", "virginica"]
FEATURES, SPECIES = load_iris(return_X_y=True, as_frame=True)
TRAIN, TEST, Y_TRAIN, Y_TEST = train_test_split(FEATURES, SPECIES, random_state=0, stratify=SPECIES)
CLASSIFIER = LogisticRegression(C=0.3, max_iter=500).fit(TRAIN, Y_TRAIN)
PROBA = CLASSIFIER.predict_proba(TEST)
DATA = TEST.assign(species=Y_TEST)
IDS = [f"flower {i}" for i in TEST.index]


def evaluate(model: Any = None, data: Any = DATA, model_type: str = "classifier", **more: Any) -> Any:  # noqa: ANN401
    """Evaluate with nobody but ours, unless said otherwise."""
    if isinstance(data, pd.DataFrame):
        more.setdefault("targets", "species")
    config = more.pop("config", None)
    more.setdefault("evaluators", ["lossacc"])
    if config is not None:
        more["evaluator_config"] = {"lossacc": config}
    return mlflow.models.evaluate(model, data, model_type=model_type, **more)


def written(store: Tracking, run_id: str) -> dict[str, bytes]:
    """The files of ours on a run, without what differs from run to run by its nature."""
    files = {path: body for path, body in store.files(run_id).items() if path.startswith("lossacc/")}
    for path in [p for p in files if p.endswith((".json", ".html"))]:
        files[path] = files[path].replace(run_id.encode(), b"RUN")
    del files["lossacc/manifest.json"]
    return files


def own(values: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in values.items() if key.startswith("lossacc")}
    kept.pop("lossacc.fingerprint", None)  # of timestamps
    return kept


def assert_same_run(store: Tracking, run_id: str, other_keys: bool = False, **logged: Any) -> None:  # noqa: ANN401
    """Log and diagnose by hand, and compare everything that is written; other keys of a run are quoted in texts."""
    is_classifier = "y_proba" in logged
    with mlflow.start_run(run_name="same") as run:
        (log_predictions if is_classifier else log_regression)(**logged)
    by_hand = run.info.run_id
    lossacc_mlflow.diagnose(by_hand, write=True)
    ours, expected = store.client.get_run(run_id), store.client.get_run(by_hand)
    assert own(ours.data.tags) == own(expected.data.tags)
    assert own(ours.data.metrics) == own(expected.data.metrics)
    found, wanted = written(store, run_id), written(store, by_hand)
    assert found.keys() == wanted.keys()
    texts = {"lossacc/report.html", "lossacc/findings.json", "lossacc/diagnostics.json"} if other_keys else set()
    assert {path for path in found if found[path] != wanted[path]} <= texts
    assert "lossacc/report.html" in found


def columns(prefix: str = "p_", names: list[str] | None = None) -> pd.DataFrame:
    names = [str(c) for c in range(3)] if names is None else names
    return pd.DataFrame(PROBA, columns=[prefix + name for name in names], index=TEST.index)


def test_the_entry_point_is_declared_and_loads() -> None:
    settings = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    ((name, value),) = settings["project"]["entry-points"]["mlflow.model_evaluator"].items()
    assert EntryPoint(name, value, group="mlflow.model_evaluator").load() is LossaccEvaluator
    assert name == LossaccEvaluator.name == "lossacc"


def test_loading_the_entry_point_imports_neither_mlflow_nor_what_only_evaluations_need() -> None:
    code = "import sys, lossacc_mlflow.evaluator as e; sys.exit(bool({'mlflow', 'numpy', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  (our own code)


@pytest.mark.parametrize("config", [None, {"log_model_explainability": False}, {"pos_label": 1}])
def test_it_is_quiet_unless_asked_for(store: Tracking, config: dict[str, Any] | None) -> None:
    data = DATA.assign(answer=CLASSIFIER.predict(TEST))
    with mlflow.start_run() as run:
        result = evaluate(data=data, predictions="answer", evaluators=None, evaluator_config=config)
    assert "accuracy_score" in result.metrics
    after = store.client.get_run(run.info.run_id).data
    assert not own(after.tags) | own(after.metrics) | own(result.metrics) | own(result.artifacts)
    assert not any(path.startswith("lossacc") for path in store.files(run.info.run_id))


def test_an_option_of_its_own_asks_for_it(store: Tracking) -> None:
    data = pd.concat([DATA.assign(answer=CLASSIFIER.predict(TEST)), columns()], axis=1)
    with mlflow.start_run() as run:
        evaluate(data=data, predictions="answer", evaluators=None, config={"proba_prefix": "p_"})
    tags = store.client.get_run(run.info.run_id).data.tags
    assert tags["lossacc.status"] == "ok"


@pytest.mark.parametrize("model_type", ["text", "question-answering", None])
def test_other_kinds_of_models_are_none_of_its_business(model_type: str | None) -> None:
    def _evaluate() -> bool:
        return LossaccEvaluator().can_evaluate(model_type=model_type, evaluator_config={"split": "test"})

    assert not _evaluate()


def test_a_logged_classifier_is_asked_for_probabilities_and_nothing_stands_there_twice(store: Tracking) -> None:
    info = mlflow.sklearn.log_model(CLASSIFIER, name="model", pip_requirements=[], input_example=TEST[:2])
    mlflow.end_run()
    with mlflow.start_run(run_name="same") as run:
        result = evaluate(
            info.model_uri,
            evaluators=["default", "lossacc"],
            evaluator_config={"default": {"log_model_explainability": False}, "lossacc": {"split": "test"}},
        )
    run_id = run.info.run_id
    assert_same_run(store, run_id, y_true=Y_TEST, y_proba=PROBA, split="test", other_keys=True)
    metrics = own(store.client.get_run(run_id).data.metrics)
    assert own(result.metrics) == metrics
    assert [len(store.client.get_metric_history(run_id, key)) for key in metrics] == [1] * len(metrics)
    assert {"accuracy_score", "lossacc/ece"} <= result.metrics.keys()
    model = store.client.get_logged_model(info.model_id)
    assert own({m.key: m.value for m in model.metrics}) == metrics


def test_a_callable_with_probabilities_starts_a_run_where_none_is_active(store: Tracking) -> None:
    result = evaluate(CLASSIFIER.predict_proba)
    (run,) = store.client.search_runs([store.experiment_id])
    store.client.update_run(run.info.run_id, name="same")
    lossacc_mlflow.diagnose(run.info.run_id, write=True)
    assert_same_run(store, run.info.run_id, y_true=Y_TEST, y_proba=PROBA)
    assert result.metrics["lossacc/ece"] == pytest.approx(run.data.metrics["lossacc/ece"])


def test_what_is_returned_can_be_looked_at_saved_and_loaded(store: Tracking, tmp_path: Path) -> None:
    result = evaluate(CLASSIFIER.predict_proba)
    artifacts = result.artifacts
    assert artifacts["lossacc/findings.json"].content["verdict"] == "not_enough_information"
    assert list(artifacts["lossacc/worst_predictions.csv"].content.columns)[:2] == ["sample_id", "y_true"]
    assert min(artifacts["lossacc/reliability.png"].content.size) > 200
    assert artifacts["lossacc/report.html"].content.startswith("<!")
    result.save(tmp_path / "saved")
    loaded = mlflow.models.EvaluationResult.load(tmp_path / "saved")
    assert loaded.metrics == result.metrics
    assert loaded.artifacts.keys() == artifacts.keys()
    (run,) = store.client.search_runs([store.experiment_id])
    assert artifacts["lossacc/findings.json"].uri == f"{run.info.artifact_uri}/lossacc/findings.json"


def test_static_predictions_with_words_for_classes_and_ids(store: Tracking) -> None:
    words = np.array(NAMES)[Y_TEST]
    data = pd.concat([DATA.assign(species=words, id=IDS), columns(names=NAMES)], axis=1)
    with mlflow.start_run(run_name="same") as run:
        evaluate(data=data, config={"proba_prefix": "p_", "sample_id": "id", "split": "train"})
    assert_same_run(store, run.info.run_id, y_true=words, y_proba=PROBA, labels=NAMES, sample_id=IDS, split="train")


def test_one_column_is_enough_for_two_classes(store: Tracking) -> None:
    sick = np.where(Y_TEST == 2, "sick", "healthy")
    data = TEST.assign(species=sick, p=PROBA[:, 2])
    with mlflow.start_run(run_name="same") as run:
        evaluate(data=data, config={"probabilities": "p", "pos_label": "sick"})
    assert_same_run(store, run.info.run_id, y_true=sick, y_proba=PROBA[:, 2], labels=["healthy", "sick"])


def test_arrays_and_mlflow_datasets_are_as_good_as_tables(store: Tracking) -> None:
    names = list(TEST.columns)
    with mlflow.start_run(run_name="same") as run:
        evaluate(CLASSIFIER.predict_proba, TEST.to_numpy(), targets=Y_TEST.to_numpy(), feature_names=names)
    assert_same_run(store, run.info.run_id, y_true=Y_TEST, y_proba=PROBA)
    dataset = mlflow.data.from_pandas(DATA, targets="species")
    with mlflow.start_run(run_name="same"), mlflow.start_run(run_name="same", nested=True) as child:
        evaluate(CLASSIFIER.predict_proba, dataset)
    child_id = child.info.run_id
    store.client.delete_tag(child_id, "mlflow.parentRunId")
    assert_same_run(store, child_id, y_true=Y_TEST, y_proba=PROBA)


def test_a_regressor(store: Tracking) -> None:
    x, y = FEATURES.iloc[:, :3], FEATURES.iloc[:, 3]
    model = LinearRegression().fit(x, y)
    with mlflow.start_run(run_name="same") as run:
        evaluate(model.predict, x.assign(species=y), "regressor", config={"split": "test"})
    assert_same_run(store, run.info.run_id, y_true=y, y_pred=model.predict(x), split="test")
    with mlflow.start_run(run_name="same") as static:
        evaluate(data=x.assign(species=y, answer=model.predict(x)), model_type="regressor", predictions="answer")
    assert_same_run(store, static.info.run_id, y_true=y, y_pred=model.predict(x))


def test_labels_alone_give_the_accuracy_and_say_what_is_missing(
    store: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    with mlflow.start_run() as run, caplog.at_level(logging.WARNING, "lossacc_mlflow"):
        result = evaluate(CLASSIFIER.predict)
    accuracy = CLASSIFIER.score(TEST, Y_TEST)
    data = store.client.get_run(run.info.run_id).data
    assert data.metrics["val_accuracy"] == result.metrics["lossacc/best_accuracy"] == accuracy
    assert data.tags["lossacc.n_classes"] == "3"
    assert data.tags["lossacc.status"] == "ok"
    (message,) = [r.getMessage() for r in caplog.records if r.name.startswith("lossacc_mlflow")]
    assert re.search(r"no probabilities.*calibration.*predict_proba", message)


def test_weights_weigh_in_the_figures_of_a_classifier(store: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    weights = np.where(Y_TEST == 1, 3.0, 1.0)
    with mlflow.start_run(run_name="same") as run:
        evaluate(CLASSIFIER.predict_proba, config={"sample_weights": weights})
    assert_same_run(store, run.info.run_id, y_true=Y_TEST, y_proba=PROBA, sample_weight=weights)
    labels = list(range(3))
    expected = log_loss(Y_TEST, PROBA, sample_weight=weights, labels=labels)
    judged = lossacc_mlflow.diagnose(run.info.run_id).run.predictions["validation"]
    assert judged.log_loss == pytest.approx(expected, rel=1e-9)
    assert abs(expected - log_loss(Y_TEST, PROBA, labels=labels)) > 0.01
    with mlflow.start_run() as answers:
        evaluate(lambda x: np.ones(len(x), dtype=int), config={"sample_weights": weights})
    weighted = weights[Y_TEST == 1].sum() / weights.sum()
    assert store.client.get_run(answers.info.run_id).data.metrics["val_accuracy"] == pytest.approx(weighted)
    with mlflow.start_run(), pytest.raises(InputError, match=r"sample_weights has 2 entries for 38 samples"):
        evaluate(CLASSIFIER.predict_proba, config={"sample_weights": [1.0, 2.0]})
    with mlflow.start_run(), caplog.at_level(logging.WARNING, "lossacc_mlflow"):
        evaluate(lambda x: x.iloc[:, 0], DATA, "regressor", config={"sample_weights": weights})
    assert "of a regression once: sample_weights is left out" in caplog.text


def test_a_failure_of_ours_is_one_warning_and_a_tag(store: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    with mlflow.start_run() as run, caplog.at_level(logging.WARNING, "lossacc_mlflow"):
        result = evaluate(CLASSIFIER.decision_function)
    assert result.metrics == result.artifacts == {}
    status = store.client.get_run(run.info.run_id).data.tags["lossacc.status"]
    assert status.startswith("failed: rows of y_proba sum to")
    assert len([r for r in caplog.records if r.name.startswith("lossacc_mlflow")]) == 1
    assert set(store.files(run.info.run_id)) == set()


def test_options_that_are_wrong_are_an_error(store: Tracking) -> None:
    for config, words in (({"spilt": "test"}, "Did you mean 'split'"), ({"probabilities": ["q"]}, "'q', not among")):
        with pytest.raises(InputError, match=words):
            evaluate(data=DATA, config=config)
    assert not any(own(run.data.tags) for run in store.client.search_runs([store.experiment_id]))


def test_evaluating_twice_in_one_run_leaves_one_of_everything(store: Tracking) -> None:
    with mlflow.start_run(run_name="same") as run:
        evaluate(CLASSIFIER.predict_proba)
        rows = store.count_rows(run.info.run_id)
        evaluate(CLASSIFIER.predict_proba)
    assert store.count_rows(run.info.run_id) == rows
    assert_same_run(store, run.info.run_id, y_true=Y_TEST, y_proba=PROBA)
