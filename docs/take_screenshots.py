"""Take the pictures of the README from the jobs' real results, in a real browser.

Let ``mlflow run`` run the main job and ``three_models``, let ``mlflow ui`` serve what they left, and call
``python docs/take_screenshots.py http://127.0.0.1:5000 docs/images``. It needs Chromium and the ``test`` extra.
"""

import shutil
import sys
from io import BytesIO
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from lossacc_mlflow.views import CURVES_VIEW, experiment_link

OVER_TRAINED = "mlp, over-trained"


def save(picture: bytes, path: Path) -> None:
    """Write a PNG with a palette: a third of the size."""
    Image.open(BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def find_run(client: MlflowClient, experiment: str, name: str) -> Run:
    """The newest run of this name."""
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    return client.search_runs([experiment_id], f"attributes.run_name = '{name}'", max_results=1)[0]


def open_page(browser: Browser, url: str, width: int, height: int) -> Page:
    """Open an MLflow page without its assistant."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(url)
    page.get_by_text("MLflow Assistant").wait_for(timeout=20_000)
    page.mouse.click(width - 25, 36)  # the cross of the assistant, which has no name
    page.wait_for_timeout(6_000)
    return page


def main() -> None:
    """Take every picture."""
    server, folder = sys.argv[1], Path(sys.argv[2])
    client = MlflowClient(server)
    run = find_run(client, "digits", OVER_TRAINED)
    run_url = f"{server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    comparison = find_run(client, "three_models", "lossacc comparison")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        link = experiment_link(run.info.experiment_id, tracking_uri=server, view_id=CURVES_VIEW)
        save(open_page(browser, link, 1400, 900).screenshot(), folder / "mlflow_experiment.png")
        page = open_page(browser, f"{run_url}?workflowType=machine_learning", 1250, 1000)
        page.get_by_text("Show more").click()
        page.wait_for_timeout(2_000)
        page.get_by_text("Description", exact=True).evaluate("e => e.scrollIntoView({block: 'start'})")
        page.wait_for_timeout(1_000)
        save(page.screenshot(), folder / "mlflow_note.png")
        report = f"{run_url}/artifacts/lossacc/report.html?workflowType=machine_learning"
        page = open_page(browser, report, 1250, 1000)
        page.get_by_text("Path:").first.evaluate("e => e.style.visibility = 'hidden'")  # where it lay on that machine
        save(page.screenshot(), folder / "mlflow_report.png")
        local = Path(client.download_artifacts(run.info.run_id, "lossacc/report.html"))
        page = browser.new_page(viewport={"width": 900, "height": 1000})
        page.goto(local.as_uri())
        save(page.screenshot(full_page=True), folder / "report.png")
        browser.close()
    plane = Path(client.download_artifacts(comparison.info.run_id, "lossacc/loss_accuracy_plane.png"))
    shutil.copy(plane, folder / "three_models_plane.png")


if __name__ == "__main__":
    main()
