"""One line switches everything on, in any order with MLflow's own, and off without a trace."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.utils import gorilla

import lossacc_mlflow
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers import autolog as autologging
from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.options import Options
from tests.conftest import Tracking

CURVES = {"train_loss": [1.0, 0.7, 0.5, 0.4, 0.3, 0.25], "val_loss": [1.0, 0.8, 0.7, 0.8, 0.9, 1.0]}


@pytest.fixture(autouse=True)
def _nothing_stays_switched_on() -> Iterator[None]:
    functions = {name: vars(MlflowClient)[name] for name in ("set_terminated", "update_run")}
    patching = {name: getattr(gorilla, name) for name in ("apply", "revert", "get_original_attribute")}
    yield
    lossacc_mlflow.autolog(disable=True)
    assert lossacc_mlflow.wait_for_diagnoses(60)
    assert {name: vars(MlflowClient)[name] for name in functions} == functions
    assert {name: getattr(gorilla, name) for name in patching} == patching


@pytest.fixture
def store(here: Tracking, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tracking:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    monkeypatch.chdir(tmp_path)
    return here


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Options]:
    """Options with which the logger of a framework ``toyframework`` was installed."""
    (tmp_path / "toyframework.py").write_text("class Model:\n    def fit(self):\n        return 'fitted'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "toyframework", raising=False)
    monkeypatch.setattr("mlflow.utils.import_hooks._post_import_hooks", {})
    monkeypatch.setattr(autologging, "_FRAMEWORKS", {"toy": ("toyframework",)})
    seen: list[Options] = []

    def install(options: Options) -> None:
        seen.append(options)
        hooks.attach(sys.modules["toyframework"].Model, "fit", lambda below, model: f"logged, {below(model)}")

    logger: Any = ModuleType("lossacc_mlflow.loggers.toy")
    logger.install = install
    monkeypatch.setitem(sys.modules, logger.__name__, logger)
    return seen


def fitted() -> str:
    import toyframework  # type: ignore[import-not-found]  # noqa: PLC0415

    return str(toyframework.Model().fit())


@pytest.mark.filterwarnings("ignore::ImportWarning", "ignore::DeprecationWarning")  # MLflow's import hooks
def test_a_framework_that_is_imported_later_is_logged(installed: list[Options]) -> None:
    lossacc_mlflow.autolog(predictions="best")
    lossacc_mlflow.autolog(predictions=3)
    assert installed == []
    assert fitted() == "logged, fitted"
    assert [options.predictions for options in installed] == [3]


def test_a_framework_that_is_there_is_logged_with_the_last_options(installed: list[Options]) -> None:
    assert fitted() == "fitted"
    lossacc_mlflow.autolog()
    lossacc_mlflow.autolog(predictions=None)
    assert fitted() == "logged, fitted"
    assert [options.predictions for options in installed] == ["last", None]
    lossacc_mlflow.autolog(disable=True)
    assert fitted() == "fitted"
    lossacc_mlflow.autolog()
    assert fitted() == "logged, fitted"


@pytest.mark.filterwarnings("ignore::ImportWarning", "ignore::DeprecationWarning")  # MLflow's import hooks
def test_what_is_imported_while_it_is_off_is_left_alone(installed: list[Options]) -> None:
    lossacc_mlflow.autolog()
    lossacc_mlflow.autolog(disable=True)
    assert fitted() == "fitted"
    assert installed == []
    lossacc_mlflow.autolog()
    assert fitted() == "logged, fitted"


def test_a_logger_that_cannot_be_installed_is_one_warning(
    installed: list[Options], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert fitted() == "fitted"
    monkeypatch.setitem(sys.modules, "lossacc_mlflow.loggers.toy", SimpleNamespace())
    lossacc_mlflow.autolog()
    assert fitted() == "fitted"
    (record,) = caplog.records
    assert "automatic logging of toy" in record.message
    assert not installed


def test_unknown_options_are_said_at_once_and_nothing_changes(installed: list[Options]) -> None:
    assert fitted() == "fitted"
    with pytest.raises(InputError, match="stop_when names 'overfit'"):
        lossacc_mlflow.autolog(stop_when="overfit")
    assert fitted() == "fitted"
    assert not hooks.is_attached(MlflowClient, "set_terminated")
    assert not installed


def test_unusable_settings_are_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lossacc.toml").write_text("[rules.FIT001]\nno_such_threshold = 1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no_such_threshold"):
        lossacc_mlflow.autolog()
    lossacc_mlflow.autolog(diagnose=False)


def test_a_run_is_diagnosed_when_it_ends_with_the_settings_of_this_folder(store: Tracking, tmp_path: Path) -> None:
    (tmp_path / "lossacc.toml").write_text('ignore = ["FIT"]\n')
    lossacc_mlflow.autolog()
    with mlflow.start_run() as run:
        lossacc_mlflow.log_curves(CURVES)
    failed = mlflow.start_run()
    lossacc_mlflow.log_curves(CURVES)
    with pytest.raises(InputError), failed:
        lossacc_mlflow.log_curves({"no such metric": []})
    assert lossacc_mlflow.wait_for_diagnoses(timeout=60)
    for one in (run, failed):
        tags = store.client.get_run(one.info.run_id).data.tags
        assert tags["lossacc.verdict"] in {"overfitting", "loss_overfitting"}
        assert "FIT" not in tags["lossacc.findings"]


def test_no_run_is_diagnosed_where_it_is_not_wanted(store: Tracking) -> None:
    lossacc_mlflow.autolog()
    lossacc_mlflow.autolog(diagnose=False)
    with mlflow.start_run() as run:
        lossacc_mlflow.log_curves(CURVES)
    assert lossacc_mlflow.wait_for_diagnoses(timeout=60)
    assert "lossacc.status" not in store.client.get_run(run.info.run_id).data.tags


def test_it_imports_no_framework_and_costs_next_to_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, json, mlflow, lossacc_mlflow; before = set(sys.modules); lossacc_mlflow.autolog(diagnose=False);"
        "print(json.dumps([sorted(sys.modules), sorted(set(sys.modules) - before)]))"
    )
    loaded, added = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True, cwd=tmp_path))  # noqa: S603
    frameworks = {"keras", "torch", "lightning", "pytorch_lightning", "xgboost", "lightgbm", "transformers", "jax"}
    assert not (frameworks | {"sklearn", "tensorflow"}) & {name.partition(".")[0] for name in loaded}
    assert not {"matplotlib", "scipy", "pandas"} & {name.partition(".")[0] for name in added}


def test_what_is_said_is_shown_unless_the_program_has_its_own_logging(tmp_path: Path) -> None:
    code = """
import logging, lossacc_mlflow
from lossacc_mlflow.loggers.console import tell
log = logging.getLogger("lossacc_mlflow")
log.info("hidden"); tell("a training was %s", "stopped")
lossacc_mlflow.autolog(); tell("and another"); log.info("shown"); log.warning("shown too")
lossacc_mlflow.autolog(silent=True); log.info("hidden"); log.warning("shown still")
lossacc_mlflow.autolog(); logging.basicConfig(format="mine: %(message)s"); log.warning("once"); tell("once")
lossacc_mlflow.autolog(disable=True); log.info("hidden")
"""
    done = subprocess.run([sys.executable, "-c", code], text=True, cwd=tmp_path, capture_output=True, check=True)  # noqa: S603
    told = ["a training was stopped", "and another"]
    assert done.stderr.splitlines() == [*told, "shown", "shown too", "shown still", "mine: once", "mine: once"]
