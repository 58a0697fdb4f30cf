"""What training code logs is on the run, and is what is read back."""

from functools import partial

import mlflow
import numpy as np
import pytest

import lossacc_mlflow as lossacc
from lossacc_mlflow.errors import InputError, PredictionsError, StoreError
from lossacc_mlflow.store import clean_run, read_run
from tests.conftest import Tracking

RNG = np.random.default_rng(0)
TARGET = RNG.gamma(2.0, 3.0, 200)
PREDICTED = TARGET + RNG.normal(0, 1, 200)


def test_a_regression_is_read_back(here: Tracking) -> None:
    new_run = partial(mlflow.start_run, experiment_id=here.experiment_id)
    with new_run() as outer, new_run(nested=True) as inner:
        logged = lossacc.log_regression(TARGET, PREDICTED, "test", sample_id=[f"house {i}" for i in range(200)])
    run = read_run(inner.info.run_id, with_samples=True)
    assert run.regressions == {"test": logged}
    np.testing.assert_array_equal(run.regression_samples["test"].y_pred, PREDICTED)
    assert run.regression_samples["test"].sample_id[7] == "house 7"
    assert "lossacc.samples.test" in run.tags
    assert read_run(outer.info.run_id).artifacts == ()


def test_a_run_with_a_regression_alone_is_judged_written_to_compared_and_cleaned(here: Tracking) -> None:
    run_ids = [here.new_run(str(i)) for i in range(2)]
    for run_id in run_ids:
        lossacc.log_regression(TARGET, PREDICTED, run_id=run_id)
    diagnosis = lossacc.diagnose(lossacc.read_run(run_ids[0]), write=True)
    assert set(diagnosis.run.regression_samples) == {"validation"}
    run = read_run(run_ids[0])
    assert run.n_validation == 200
    assert run.tags["lossacc.status"] == "ok"
    assert "lossacc/report.html" in run.artifacts
    assert len(lossacc.compare(run_ids).rows) == 2
    assert clean_run(run_ids[0])
    assert read_run(run_ids[0]).artifacts == ()


def test_the_digest_tells_samples_apart(here: Tracking) -> None:
    def digest(*ids: str) -> str:
        run_id = here.new_run()
        lossacc.log_regression([1, 2], [1, 2], sample_id=ids, run_id=run_id)
        return str(here.client.get_run(run_id).data.tags["lossacc.samples.validation"])

    assert digest("a", "b") == digest("a", "b")
    assert (
        len({digest("a", "b"), digest("b", "a"), digest("a\nb", "c"), digest("a", "b\nc"), digest("\ud800", "b")}) == 5
    )


def test_what_is_logged_anew_makes_a_diagnosis_stale(here: Tracking) -> None:
    run_id = here.new_run()
    before = read_run(run_id).fingerprint
    lossacc.log_regression(TARGET, PREDICTED, run_id=run_id)
    first = read_run(run_id).fingerprint
    lossacc.log_regression(TARGET, PREDICTED, run_id=run_id)
    assert read_run(run_id, with_samples=True).fingerprint == first
    lossacc.diagnose(run_id, write=True)
    assert read_run(run_id).fingerprint == first
    lossacc.log_regression(TARGET, PREDICTED + 1, run_id=run_id)
    assert len({before, first, read_run(run_id).fingerprint}) == 3


def test_nothing_is_logged_without_a_run_or_of_no_predictions(here: Tracking) -> None:
    with pytest.raises(InputError, match="no run is active"):
        lossacc.log_regression(TARGET, PREDICTED)
    run_id = here.new_run()
    with pytest.raises(PredictionsError):
        lossacc.log_regression(TARGET, PREDICTED[:-1], run_id=run_id)
    assert here.files(run_id) == {}


def test_an_unreachable_store_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="no tracking server answers"):
        lossacc.log_regression(TARGET, PREDICTED, run_id="any")
