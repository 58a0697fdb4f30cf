"""A server that goes away does not hold up a fit, and what it could not be told is sent later."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mlflow
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import lossacc_mlflow
from benchmarks.stores import free_port
from lossacc_mlflow.loggers.sklearn.model_log import log_model
from lossacc_mlflow.store import send_unsent
from tests.conftest import Tracking, serve
from tests.loggers.sklearn.runs import digits, only_run


@pytest.mark.parametrize("when", ["in the fit", "after the last curve"])
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:sklearn.exceptions.ConvergenceWarning")
def test_a_fit_whose_server_goes_away(
    sqlite_store: Tracking,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    when: str,
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    X, y, X_val, y_val = digits()
    with ExitStack() as server:
        server.enter_context(serve(sqlite_store.database, port))
        store = Tracking(address, sqlite_store.database, mlflow.MlflowClient(address).create_experiment("served"))
        monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", store.experiment_id)

        def log_and_stop_server(*args: Any) -> None:  # noqa: ANN401
            log_model(*args)
            server.close()

        def stop_server(X: Any) -> Any:  # noqa: ANN401, N803
            if when == "in the fit":
                server.close()
            return X

        monkeypatch.setattr("lossacc_mlflow.loggers.sklearn.autologging.log_model", log_and_stop_server)
        model = make_pipeline(FunctionTransformer(stop_server), LogisticRegression(max_iter=20))
        lossacc_mlflow.autolog(diagnose=False)
        try:
            started = time.monotonic()
            with lossacc_mlflow.validation_data(X_val, y_val):
                model.fit(X, y)
        finally:
            lossacc_mlflow.autolog(disable=True)
    assert time.monotonic() - started < 30
    assert mlflow.active_run() is None
    assert model.score(X_val, y_val) > 0.9
    (path,) = (tmp_path / "lossacc-unsent").iterdir()
    assert [f"lossacc send {path}" in line for line in caplog.messages].count(True) == 1

    with serve(sqlite_store.database, port):
        assert only_run(store).status == "RUNNING"
        assert send_unsent(path).status == "FINISHED"
        run = only_run(store)
    assert run.status == "FINISHED"
    assert {"train_loss", "train_accuracy", "val_loss", "val_accuracy"} <= run.curves.keys()
    assert not path.exists()
