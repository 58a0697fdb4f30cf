"""What a person sees of a diagnosed run: the note with verdict and picture, the report among the artifacts."""

import numpy as np
import pytest
from playwright.sync_api import Page

import lossacc_mlflow
from tests.builders import falling
from tests.conftest import Tracking

pytestmark = pytest.mark.browser


@pytest.fixture
def diagnosed(http_store: Tracking, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", http_store.uri)
    run_id = http_store.new_run("over-trained <b>net</b>")
    curves = {
        "train_loss": falling(40, 2.0, 0.02),
        "val_loss": falling(15, 2.0, 0.3) + np.linspace(0.31, 0.6, 25).tolist(),
        "train_accuracy": np.linspace(0.4, 1.0, 40).tolist(),
        "val_accuracy": np.linspace(0.4, 0.93, 40).tolist(),
    }
    lossacc_mlflow.log_curves(curves, loss="log_loss", n_classes=2, run_id=run_id)
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 100)
    lossacc_mlflow.log_predictions(truth, np.where(truth == 1, 0.8, 0.2), run_id=run_id)
    lossacc_mlflow.diagnose(run_id, write=True)
    return f"{http_store.uri}/#/experiments/{http_store.experiment_id}/runs/{run_id}"


def test_note_shows_verdict_and_picture(page: Page, diagnosed: str) -> None:
    page.goto(f"{diagnosed}?workflowType=machine_learning")
    page.get_by_text("Overfitting in the loss only").first.wait_for()
    page.get_by_text("Show more").click()
    page.wait_for_function(
        "() => [...document.images].some(i => i.src.includes('note.png') && i.complete && i.naturalWidth > 300)"
    )


def test_report_opens_in_the_artifact_pane(page: Page, diagnosed: str) -> None:
    page.goto(f"{diagnosed}/artifacts/lossacc/report.html?workflowType=machine_learning")
    report = page.frame_locator("iframe")
    report.get_by_text("Overfitting in the loss only").first.wait_for()
    report.get_by_text("over-trained <b>net</b>").first.wait_for()
    assert report.locator("img").count() >= 5
    page.wait_for_function("() => document.querySelector('iframe').clientWidth > 400")
    assert report.locator("body").evaluate("body => body.scrollWidth <= body.clientWidth + 1")


def test_pictures_open_in_the_artifact_pane(page: Page, diagnosed: str) -> None:
    page.goto(f"{diagnosed}/artifacts/lossacc/curves.png?workflowType=machine_learning")
    page.wait_for_function(
        "() => [...document.images].some(i => i.complete && i.naturalWidth > 900 && i.clientWidth > 300)"
    )
