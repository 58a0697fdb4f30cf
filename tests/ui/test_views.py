"""The saved views as a stranger sees them, who opens the link in a browser."""

import re
from collections.abc import Mapping

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric
from playwright.sync_api import Page

from lossacc_mlflow.views import write_views
from tests.conftest import Server

pytestmark = pytest.mark.browser

N_CHILDREN = 12
"""More than the ten runs that MLflow shows where a view does not ask for all."""


def log_child(client: MlflowClient, experiment_id: str, parent_id: str, i: int) -> None:
    tags = {"mlflow.parentRunId": parent_id, "lossacc.verdict": ("healthy", "loss_overfitting")[i % 2]}
    run_id = client.create_run(experiment_id, run_name=f"model {i:02d}", tags=tags).info.run_id
    step = np.arange(50)
    train_loss = 2.3 * np.exp(-(0.03 + 0.02 * i) * step)
    curves = {
        "train_loss": train_loss,
        "val_loss": train_loss + 0.1 + 0.0005 * i * step,
        "train_accuracy": 1 - train_loss / 2.6,
        "val_accuracy": 0.97 - train_loss / 2.6,
    }
    points = [Metric(key, float(v), 1_000 + s, s) for key, values in curves.items() for s, v in enumerate(values)]
    points += [Metric("lossacc/best_loss", 0.3 + i / 100, 2_000, 0), Metric("lossacc/best_accuracy", 0.9, 2_000, 0)]
    client.log_batch(run_id, metrics=points)
    client.set_terminated(run_id)


@pytest.fixture(scope="module")
def links(server: Server) -> Mapping[str, str]:
    client = MlflowClient(server.store_uri)
    experiment_id = client.create_experiment("views")
    parent_id = client.create_run(experiment_id, run_name="parent run").info.run_id
    for i in range(N_CHILDREN):
        log_child(client, experiment_id, parent_id, i)
    client.set_terminated(parent_id)
    client.create_run(experiment_id, run_name="lossacc comparison", tags={"lossacc.kind": "comparison"})
    keys = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
    return write_views(experiment_id, metric_keys=keys, tracking_uri=server.url)


def test_curves_of_all_children_are_overlaid(page: Page, links: Mapping[str, str]) -> None:
    page.goto(links["lossacc: curves"])
    page.get_by_text("Train and validation").wait_for()
    for metric in ("loss", "accuracy"):
        page.get_by_text(f"val_{metric} vs train_{metric}").wait_for()
        for i in range(N_CHILDREN):
            for split in ("val", "train"):
                page.get_by_text(f"model {i:02d} ({split}_{metric})").wait_for(state="attached")
    # Two charts of lines: one line a run and split, and the chart of points below them.
    page.wait_for_function("n => document.querySelectorAll('.scatterlayer .js-line').length >= n", arg=4 * N_CHILDREN)
    page.get_by_text(re.compile(rf"^{N_CHILDREN} matching runs$")).wait_for()
    for hidden in ("parent run", "lossacc comparison"):
        assert page.get_by_text(hidden, exact=True).count() == 0


def test_verdicts_stand_beside_the_names(page: Page, links: Mapping[str, str]) -> None:
    page.goto(links["lossacc: verdicts"])
    page.get_by_role("gridcell", name="loss_overfitting").first.wait_for()
    assert page.get_by_role("gridcell", name="healthy").count() == N_CHILDREN // 2
    headers = page.get_by_role("columnheader").all_inner_texts()
    assert any("lossacc.verdict" in header for header in headers)
    assert any("lossacc/best_loss" in header for header in headers)
    names = page.get_by_text(re.compile(r"^model \d\d$")).all_inner_texts()
    assert names == sorted(names)
    assert len(names) == N_CHILDREN


def test_runs_are_grouped_by_verdict(page: Page, links: Mapping[str, str]) -> None:
    page.goto(links["lossacc: by verdict"])
    for verdict in ("healthy", "loss_overfitting"):
        page.get_by_text(f"Group: {verdict}").wait_for()
