"""What every experiment does: train models as child runs of one MLflow run, diagnose each, compare them, show both."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import mlflow
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import lossacc_mlflow
from experiments.data import N_CLASSES
from experiments.models import Parts, Recipe, TrainedModel
from lossacc_mlflow.records import Comparison, Diagnosis
from lossacc_mlflow.views import CURVES_VIEW, experiment_link

__all__ = ["run_job"]

_UNITS = {
    "epoch": "epoch",
    "iteration": "iteration",
    "n_estimators": "tree",
    "n_samples": "sample",
    "global_step": "step",
}


def run_job(experiment: str, recipes: Mapping[str, Recipe], parts: Parts) -> Comparison:
    """Train, log, diagnose and compare models, and print the table and the link.

    Parameters
    ----------
    experiment : str
        Name of the MLflow experiment. ``mlflow run`` decides that itself; it is then not used.
    recipes : mapping of str to callable
        How to train each model, by the name of its run.
    parts : mapping of split to Part

    Returns
    -------
    Comparison
        Of these models; earlier runs of the experiment are left out.
    """
    # In a pipe rich would fold everything into 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 132)
    with _parent_run(experiment) as parent:
        diagnoses = [_train_and_diagnose(name, recipe, parts) for name, recipe in _with_progress(recipes, console)]
        comparison = lossacc_mlflow.compare(diagnoses, write=True)
    console.print(_table(comparison))
    for sentence in comparison.recommendation:
        console.print(sentence, soft_wrap=True)
    console.print(f"Charts, reports and pictures: {_link(parent)}", soft_wrap=True)
    if not mlflow.get_tracking_uri().startswith("http"):
        console.print(f"once this runs: mlflow ui --backend-store-uri {mlflow.get_tracking_uri()}", soft_wrap=True)
    return comparison


def _link(parent: mlflow.ActiveRun) -> str:
    return experiment_link(parent.info.experiment_id, view_id=CURVES_VIEW)


@contextmanager
def _parent_run(experiment: str) -> Iterator[mlflow.ActiveRun]:
    """Adopt the run that ``mlflow run`` made, or start one in the experiment."""
    if "MLFLOW_RUN_ID" in os.environ:
        # set_experiment would raise here: the run already belongs to an experiment.
        with mlflow.start_run() as run:
            yield run
    else:
        mlflow.set_experiment(experiment)
        with mlflow.start_run(run_name=experiment) as run:
            yield run


def _with_progress(recipes: Mapping[str, Recipe], console: Console) -> Iterator[tuple[str, Recipe]]:
    """Yield the recipes while a progress bar names the one at work; no bar where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(recipes))
        for name, recipe in recipes.items():
            progress.update(task, description=name)
            yield name, recipe
            progress.advance(task)


def _train_and_diagnose(name: str, recipe: Recipe, parts: Parts) -> Diagnosis:
    with mlflow.start_run(run_name=name, nested=True) as run:
        _log_data(parts)
        _log_model(recipe(parts), parts)
    return lossacc_mlflow.diagnose(run.info.run_id, write=True)


def _log_data(parts: Parts) -> None:
    for split, part in parts.items():
        dataset = mlflow.data.from_numpy(part.X, targets=part.y, name=f"digits-{split}")
        mlflow.log_input(dataset, context=split)


def _log_model(model: TrainedModel, parts: Parts) -> None:
    mlflow.log_params(dict(model.params))
    curves = model.curves
    lossacc_mlflow.log_curves(
        {key: value.tolist() for key, value in curves.values.items()},
        step=curves.step.tolist(),
        step_unit=curves.step_unit,
        loss="log_loss",
        n_classes=N_CLASSES,
        class_counts=Counter(str(digit) for digit in parts["train"].y),
    )
    for split, proba in model.proba.items():
        lossacc_mlflow.log_predictions(parts[split].y, proba, split, sample_id=parts[split].sample_id.tolist())


def _table(comparison: Comparison) -> Table:
    table = Table(
        "model", title="On validation, best accuracy first", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    for column in ("accuracy", "loss"):
        table.add_column(column, justify="right")
    for column in ("verdict", "discrepancy", "best step"):
        table.add_column(column, overflow="fold")
    for row in comparison.rows:
        table.add_row(
            row.name,
            "-" if row.accuracy is None else f"{row.accuracy:.2%}",
            "-" if row.loss is None else f"{row.loss:.4f}",
            row.verdict,
            row.discrepancy,
            "-" if row.best_step is None else f"{_UNITS[row.step_unit or 'epoch']} {row.best_step}/{row.last_step}",
        )
    return table
