"""Write docs/gallery.md and its pictures from the runs that the experiments left in a store.

Let ``mlflow run`` run each of the experiments below under its own name, and call
``python -m docs.make_gallery sqlite:///mlflow.db`` in the root of the project.
"""

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from inspect import getdoc
from itertools import pairwise
from math import isfinite
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

import lossacc_mlflow
from lossacc_mlflow.records import CurveSummary, Diagnosis, Finding, Split
from lossacc_mlflow.store import comparison_run_id

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
    "cats_and_dogs",
    "more_error_better_accuracy",
    "overconfident",
    "imbalanced",
    "loss_scale",
    "label_noise",
    "label_encoding",
    "surrogate",
)
DOCS = Path(__file__).parent
PICTURES = DOCS / "images" / "gallery"
HEAD = """\
# Gallery

What each verdict looks like on models that were honestly trained, mostly on the data sets that come with scikit-learn,
and what makes loss and accuracy disagree: of two models, of two units, of labels that are wrong. Each experiment takes
seconds, states the verdict and the findings that it must give, and fails when it gives one more or one less. This page
is made from their runs by `docs/make_gallery.py`.
"""
MORE_PICTURES = {
    ("overconfident", "trained on and on"): (
        "predictions_by_step.png",
        "The validation loss in parts, over the epochs",
    ),
    ("label_noise", "one in ten replaced"): ("loss_concentration.png", "Where the loss lies, suspected labels marked"),
    ("loss_scale", "0 to 255"): ("regression.png", "Predictions and targets"),
}
"""A picture of a run beside the one in its note, and what it shows."""
PICTURES_OF_COMPARISONS = {
    "cats_and_dogs": "attribution.png",
    "overconfident": "attribution.png",
    "surrogate": "surrogates.png",
}
"""Of the comparison, or of the run that the models stand under."""


def find_runs(client: MlflowClient, experiment: str) -> Iterator[tuple[str, Run]]:
    """Yield the newest run of each model of an experiment, in the order in which they are declared."""
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    for name in import_module(f"experiments.{experiment}").RECIPES:
        yield name, client.search_runs([experiment_id], f"attributes.run_name = '{name}'", max_results=1)[0]


def keep_picture(client: MlflowClient, run_id: str, artifact: str, name: str) -> str:
    """Save a picture of a run, and return its path as the page links to it."""
    path = PICTURES / f"{re.sub(r'[^a-z0-9]+', '_', name.lower())}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(client.download_artifacts(run_id, artifact), path)
    return path.relative_to(DOCS).as_posix()


def table_of_figures(diagnosis: Diagnosis) -> list[str]:
    """Write the figures of each split: at the best step and at the end where there are curves, and on the test part."""
    run, rows = diagnosis.run, list[str]()
    for metric, word in _WORDS.items():
        curves = [c for s in _SPLITS for c in diagnosis.curves if (c.metric, c.split) == (metric, s)]
        rows += [f"| {c.split} {word} | {_best(c, metric)} | {_figure(c.last, metric)} |" for c in curves]
    # Where there are curves, they end with the validation figures.
    for split in ("test",) if run.curves else _SPLITS:
        summary, numbers = run.predictions.get(split), run.regressions.get(split)
        if summary is not None:
            rows += [
                f"| {split} loss | | {_figure(summary.log_loss, 'log_loss')} |",
                f"| {split} accuracy | | {_figure(summary.accuracy, 'accuracy')} |",
            ]
        if numbers is not None:
            rows += [
                f"| {split} R² | | {_figure(numbers.r2, 'r2')} |",
                f"| {split} RMSE / sd of the target | | {numbers.rmse_over_sd:.4f} |",
            ]
    return ["| | best | at the end |", "|---|---|---|", *rows]


def section_of_run(client: MlflowClient, experiment: str, name: str, run: Run) -> list[str]:
    """Describe one run: its curves, its figures, and what is found."""
    run_id = run.info.run_id
    diagnosis = lossacc_mlflow.diagnose(run_id, tracking_uri=client.tracking_uri)
    what = "Train and validation curves" if diagnosis.run.curves else "Loss of the answers"
    pictures = [f"![{what} of '{name}']({keep_picture(client, run_id, 'lossacc/note.png', f'{experiment}_{name}')})"]
    if (experiment, name) in MORE_PICTURES:
        file, meaning = MORE_PICTURES[experiment, name]
        kept = keep_picture(client, run_id, f"lossacc/{file}", f"{experiment}_{name}_{Path(file).stem}")
        pictures.append(f"![{meaning}, '{name}']({kept})")
    found = [_listed(finding) for finding in diagnosis.flagged]
    return [
        f"### {name}: `{diagnosis.verdict}`",
        "",
        *(line for picture in pictures for line in (picture, "")),
        *table_of_figures(diagnosis),
        "",
        *(found or ["Nothing is found."]),
        "",
    ]


def section_of_comparison(client: MlflowClient, experiment: str, runs: Sequence[Run]) -> list[str]:
    """Describe what is found across the runs of an experiment that declares it."""
    if not hasattr(import_module(f"experiments.{experiment}"), "COMPARISON"):
        return []
    compared = lossacc_mlflow.compare([run.info.run_id for run in runs], tracking_uri=client.tracking_uri)
    found = [_listed(finding) for finding in compared.findings if finding.status == "flagged"]
    lines = ["### Compared", "", *compared.recommendation, "", *(found or ["Nothing is found."]), ""]
    file = PICTURES_OF_COMPARISONS.get(experiment)
    if file is None:
        return lines
    if file == "attribution.png":
        run_id, artifact = (
            comparison_run_id(compared.experiment_id, create=False, tracking_uri=client.tracking_uri),
            f"lossacc/{file}",
        )
    else:
        run_id, artifact = runs[0].data.tags["mlflow.parentRunId"], file
    if run_id is None:
        raise SystemExit(f"experiment {experiment} has no comparison run.")
    kept = keep_picture(client, run_id, artifact, f"{experiment}_{Path(file).stem}")
    return [*lines, f"![The models of '{experiment}' compared]({kept})", ""]


def section_of_experiment(client: MlflowClient, experiment: str) -> list[str]:
    """Describe an experiment: its question, its command, its runs."""
    question, _, story = (getdoc(import_module(f"experiments.{experiment}")) or "").partition("\n\n")
    command = f"mlflow run . -e {experiment} --env-manager local --experiment-name {experiment}"
    lines = [f"## {experiment}", "", f"**{question}**", "", *_as_markdown(story), "", "```bash", command, "```", ""]
    runs = dict(find_runs(client, experiment))
    for name, run in runs.items():
        lines += section_of_run(client, experiment, name, run)
    return lines + section_of_comparison(client, experiment, list(runs.values()))


def main() -> None:
    """Write the page."""
    client = MlflowClient(sys.argv[1])
    contents = [f"- [{name}](#{name})" for name in EXPERIMENTS]
    sections = [line for name in EXPERIMENTS for line in section_of_experiment(client, name)]
    page = "\n".join([HEAD, *contents, "", *sections])
    (DOCS / "gallery.md").write_text(page.rstrip() + "\n", encoding="utf-8")


_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_WORDS = {"log_loss": "loss", "mean_squared_error": "squared error", "accuracy": "accuracy", "r2": "R²"}


def _listed(finding: Finding) -> str:
    return f"- [{finding.code}](rules/{finding.code}.md) {finding.title}. {finding.message}"


def _as_markdown(story: str) -> list[str]:
    """Write the tables of a docstring, whose columns are marked by = signs, as Markdown."""
    lines: list[str] = []
    columns: list[slice] = []
    n_rules = 0
    for line in story.split("\n"):
        if line.startswith("==="):
            # The first rule opens a table, the second stands under its head, the third closes it.
            n_rules += 1
            starts = [match.start() for match in re.finditer("=+", line)]
            columns = [] if n_rules % 3 == 0 else [slice(a, b) for a, b in pairwise([*starts, None])]
            if n_rules % 3 == 2:
                lines.append("|---" * len(columns) + "|")
        elif columns:
            lines.append("| " + " | ".join(line[column].strip() for column in columns) + " |")
        else:
            lines.append(line)
    return lines


def _best(curve: CurveSummary, metric: str) -> str:
    return f"{_figure(curve.best, metric)} at {curve.step_unit} {curve.best_step}"


def _figure(value: float, metric: str) -> str:
    if not isfinite(value):
        return str(value)
    if metric == "accuracy":
        return f"{100 * value:.1f} %" if value <= 1 else f"{value:.2f}"
    return f"{value:.4f}"


if __name__ == "__main__":
    main()
