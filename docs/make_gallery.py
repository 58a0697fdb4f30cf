"""Write docs/gallery.md and its pictures from the runs that the experiments left in a store.

Let ``mlflow run`` run each of the experiments below under its own name, and call
``python -m docs.make_gallery sqlite:///mlflow.db`` in the root of the project.
"""

import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from inspect import getdoc
from math import isfinite
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

import lossacc_mlflow
from lossacc_mlflow.records import CurveSummary, Diagnosis, Split

EXPERIMENTS = (
    "overtrained",
    "accuracy_dip",
    "overfit",
    "underfit",
    "not_learning",
    "oscillating",
    "diverged",
    "still_improving",
    "stopped_in_time",
)
DOCS = Path(__file__).parent
PICTURES = DOCS / "images" / "gallery"
HEAD = """\
# Gallery

What each verdict looks like on models that were honestly trained on real data: the data sets that come with
scikit-learn. Each experiment trains in seconds, states the verdict and the findings that it must give, and fails when
it gives one more or one less. This page is made from their runs by `docs/make_gallery.py`.
"""


def find_runs(client: MlflowClient, experiment: str) -> Iterator[tuple[str, Run]]:
    """Yield the newest run of each model of an experiment, in the order in which they are declared."""
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    for name in import_module(f"experiments.{experiment}").RECIPES:
        yield name, client.search_runs([experiment_id], f"attributes.run_name = '{name}'", max_results=1)[0]


def keep_picture(client: MlflowClient, run: Run, path: Path) -> None:
    """Save the small picture of the curves that stands in the run's note."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(client.download_artifacts(run.info.run_id, "lossacc/note.png"), path)


def table_of_figures(diagnosis: Diagnosis) -> list[str]:
    """Write loss and accuracy of each split: at the best step, at the end, and on the test part."""
    lines = ["| | best | at the end |", "|---|---|---|"]
    for metric in ("log_loss", "accuracy"):
        for split in ("train", "validation"):
            curve = next(c for c in diagnosis.curves if (c.metric, c.split) == (metric, split))
            lines.append(f"| {split} {_WORDS[metric]} | {_best(curve, metric)} | {_figure(curve.last, metric)} |")
    test: Split = "test"
    summary = diagnosis.run.predictions.get(test)
    if summary is not None:
        lines += [
            f"| test loss | | {_figure(summary.log_loss, 'log_loss')} |",
            f"| test accuracy | | {_figure(summary.accuracy, 'accuracy')} |",
        ]
    return lines


def section_of_run(client: MlflowClient, experiment: str, name: str, run: Run) -> list[str]:
    """Describe one run: its curves, its figures, and what is found."""
    diagnosis = lossacc_mlflow.diagnose(run.info.run_id, tracking_uri=client.tracking_uri)
    picture = PICTURES / f"{experiment}_{name.replace(' ', '_').lower()}.png"
    keep_picture(client, run, picture)
    found = [
        f"- [{finding.code}](rules/{finding.code}.md) {finding.title}. {finding.message}"
        for finding in diagnosis.flagged
    ]
    return [
        f"### {name}: `{diagnosis.verdict}`",
        "",
        f"![Train and validation curves of '{name}']({picture.relative_to(DOCS).as_posix()})",
        "",
        *table_of_figures(diagnosis),
        "",
        *(found or ["Nothing is found."]),
        "",
    ]


def section_of_experiment(client: MlflowClient, experiment: str) -> list[str]:
    """Describe an experiment: its question, its command, its runs."""
    question, _, story = (getdoc(import_module(f"experiments.{experiment}")) or "").partition("\n\n")
    command = f"mlflow run . -e {experiment} --env-manager local --experiment-name {experiment}"
    lines = [f"## {experiment}", "", f"**{question}**", "", story, "", "```bash", command, "```", ""]
    for name, run in find_runs(client, experiment):
        lines += section_of_run(client, experiment, name, run)
    return lines


def main() -> None:
    """Write the page."""
    client = MlflowClient(sys.argv[1])
    contents = [f"- [{name}](#{name})" for name in EXPERIMENTS]
    sections = [line for name in EXPERIMENTS for line in section_of_experiment(client, name)]
    page = "\n".join([HEAD, *contents, "", *sections])
    (DOCS / "gallery.md").write_text(page.rstrip() + "\n", encoding="utf-8")


_WORDS = {"log_loss": "loss", "accuracy": "accuracy"}


def _best(curve: CurveSummary, metric: str) -> str:
    return f"{_figure(curve.best, metric)} at {curve.step_unit} {curve.best_step}"


def _figure(value: float, metric: str) -> str:
    if not isfinite(value):
        return str(value)
    return f"{value:.4f}" if metric == "log_loss" else f"{100 * value:.1f} %"


if __name__ == "__main__":
    main()
