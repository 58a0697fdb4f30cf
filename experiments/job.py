"""What every experiment does: train models as child runs of one MLflow run, diagnose each, compare them, show both."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

import mlflow
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import lossacc_mlflow
from experiments.data import DataSet
from experiments.models import Recipe, TrainedModel
from lossacc_mlflow.records import Comparison, ComparisonRow, Diagnosis, Finding, FloatArray, Split, Verdict
from lossacc_mlflow.views import CURVES_VIEW, experiment_link

__all__ = ["Expected", "find_code_deviations", "find_deviations", "run_job", "run_training_code"]

_Training = TypeVar("_Training")

_UNITS = {
    "epoch": "epoch",
    "iteration": "iteration",
    "n_estimators": "tree",
    "n_samples": "sample",
    "global_step": "step",
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What the diagnosis of a run must say.

    Parameters
    ----------
    verdict : str
    codes : tuple of str
        The rules that must be flagged; every other one must not.
    undecided : tuple of str
        Rules that may be flagged or not, as it hangs on one or two samples.
    """

    verdict: Verdict
    codes: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()


def run_job(
    experiment: str,
    recipes: Mapping[str, Recipe],
    data: DataSet,
    expected: Mapping[str, Expected] | None = None,
    *,
    comparison: Sequence[str] | None = None,
    draw: Callable[[Comparison], Mapping[str, Figure]] | None = None,
) -> Comparison:
    """Train, log, diagnose and compare models, print the table and the link, and check what came out.

    Parameters
    ----------
    experiment : str
        Name of the MLflow experiment. ``mlflow run`` decides that itself; it is then not used.
    recipes : mapping of str to callable
        How to train each model, by the name of its run.
    data : DataSet
        What the recipes are given.
    expected : mapping of str to Expected, optional
        What must be found about the runs, by name.
    comparison : sequence of str, optional
        The rules across runs that must be flagged; every other one must not.
    draw : callable, optional
        Draws pictures of the comparison, by the name of the file, for the run that all models stand under.

    Returns
    -------
    Comparison
        Of these models; earlier runs of the experiment are left out.

    Raises
    ------
    SystemExit
        If something else was found; the message says what.
    """
    console = _console()
    with _parent_run(experiment) as parent:
        diagnoses = [_train_and_diagnose(name, recipe, data) for name, recipe in _with_progress(recipes, console)]
        compared = lossacc_mlflow.compare(diagnoses, write=True)
        for file, figure in draw(compared).items() if draw else ():
            mlflow.log_figure(figure, file)
    _show(compared, parent, console)
    _check(compared, expected or {}, comparison)
    return compared


def run_training_code(
    experiment: str,
    trainings: Mapping[str, Callable[[DataSet], object]],
    data: DataSet,
    expected: Mapping[str, Expected] | None = None,
    *,
    comparison: Sequence[str] | None = None,
) -> Comparison:
    """Run training code that logs nothing itself, under automatic logging, and conclude as `run_job` does.

    Parameters
    ----------
    experiment : str
    trainings : mapping of str to callable
        Each fits a model to the training part; by the name of its run.
    data, expected, comparison
        As in `run_job`.

    Returns
    -------
    Comparison

    Raises
    ------
    SystemExit
        If something else was found; the message says what.
    """
    console, run_ids = _console(), []
    with _parent_run(experiment) as parent:
        for name, train in _with_progress(trainings, console):
            with mlflow.start_run(run_name=name, nested=True) as run:
                train(data)
            run_ids.append(run.info.run_id)
        lossacc_mlflow.wait_for_diagnoses()
        compared = lossacc_mlflow.compare(run_ids, write=True)
    _show(compared, parent, console)
    _check(compared, expected or {}, comparison)
    return compared


def find_deviations(diagnoses: Sequence[Diagnosis], expected: Mapping[str, Expected]) -> tuple[str, ...]:
    """Hold diagnoses against what they must say.

    Parameters
    ----------
    diagnoses : sequence of Diagnosis
    expected : mapping of str to Expected
        By the name of the run; other runs are not looked at.

    Returns
    -------
    tuple of str
        One sentence for each verdict and each code that differs, with what was found instead.
    """
    found = {d.run_name: d for d in diagnoses}
    deviations = [f"'{name}' was not diagnosed." for name in expected if name not in found]
    for name, wanted in expected.items():
        if name not in found:
            continue
        diagnosis = found[name]
        if diagnosis.verdict != wanted.verdict:
            deviations.append(f"'{name}': the verdict must be {wanted.verdict}; it is {diagnosis.verdict}.")
        decided = [finding for finding in diagnosis.findings if finding.code not in wanted.undecided]
        deviations += find_code_deviations(f"'{name}'", decided, wanted.codes)
    return tuple(deviations)


def find_code_deviations(what: str, findings: Sequence[Finding], codes: Sequence[str]) -> tuple[str, ...]:
    """Hold findings against the codes that must be flagged among them.

    Parameters
    ----------
    what : str
        What they are about, as the sentences shall begin.
    findings : sequence of Finding
    codes : sequence of str

    Returns
    -------
    tuple of str
        One sentence for each code that differs.
    """
    deviations = []
    for finding in findings:
        flagged, must = finding.status == "flagged", finding.code in codes
        if flagged != must:
            wish = "must be flagged" if must else "must not be flagged"
            deviations.append(f"{what}: {finding.code} {wish}; it is {finding.status}: {finding.message}")
    missing = set(codes) - {finding.code for finding in findings}
    return (*deviations, *(f"{what}: {code} must be flagged; there is no such rule." for code in sorted(missing)))


def _console() -> Console:
    # In a pipe rich would fold everything into 80 columns.
    return Console(width=None if sys.stdout.isatty() else 132)


def _show(compared: Comparison, parent: mlflow.ActiveRun, console: Console) -> None:
    console.print(_table(compared))
    for sentence in compared.recommendation:
        console.print(sentence, soft_wrap=True)
    console.print(f"Charts, reports and pictures: {_link(parent)}", soft_wrap=True)
    if not mlflow.get_tracking_uri().startswith("http"):
        console.print(f"once this runs: mlflow ui --backend-store-uri {mlflow.get_tracking_uri()}", soft_wrap=True)


def _check(compared: Comparison, expected: Mapping[str, Expected], comparison: Sequence[str] | None) -> None:
    deviations = find_deviations(compared.diagnoses, expected)
    if comparison is not None:
        deviations += find_code_deviations("the comparison", compared.findings, comparison)
    if deviations:
        raise SystemExit("\n".join(["This is not what must come out:", *deviations]))


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


def _with_progress(recipes: Mapping[str, _Training], console: Console) -> Iterator[tuple[str, _Training]]:
    """Yield the recipes while a progress bar names the one at work; no bar where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(recipes))
        for name, recipe in recipes.items():
            progress.update(task, description=name)
            yield name, recipe
            progress.advance(task)


def _train_and_diagnose(name: str, recipe: Recipe, data: DataSet) -> Diagnosis:
    with mlflow.start_run(run_name=name, nested=True) as run:
        model = recipe(data)
        _log_data(model.data)
        _log_model(model)
    return lossacc_mlflow.diagnose(run.info.run_id, write=True)


def _log_data(data: DataSet) -> None:
    for split, part in data.parts.items():
        dataset = mlflow.data.from_numpy(part.X, targets=part.y, name=f"{data.name}-{split}")
        mlflow.log_input(dataset, context=split)


def _log_model(model: TrainedModel) -> None:
    mlflow.log_params(dict(model.params))
    mlflow.log_metrics({f"baseline_{name}": value for name, value in model.baseline.items()})
    mlflow.log_metrics(dict(model.figures))
    if len(model.curves):
        _log_curves(model)
    # What is logged last, of the trained model, is what the samples are kept of.
    for step, proba in model.proba_by_step.items():
        _log_predictions(model, "validation", proba, step=step)
    for split, proba in model.proba.items():
        _log_predictions(model, split, proba)
    for split, predicted in model.predicted.items():
        part = model.data.parts[split]
        lossacc_mlflow.log_regression(part.y, predicted, split, sample_id=part.sample_id.tolist())


def _log_predictions(model: TrainedModel, split: Split, proba: FloatArray, *, step: int | None = None) -> None:
    part, classes = model.data.parts[split], model.data.classes
    labels = [classes[index] for index in part.y]
    lossacc_mlflow.log_predictions(labels, proba, split, step=step, sample_id=part.sample_id.tolist(), labels=classes)


def _log_curves(model: TrainedModel) -> None:
    classes, curves = model.data.classes, model.curves
    counts = Counter(classes[index] for index in model.data.parts["train"].y) if classes else None
    lossacc_mlflow.log_curves(
        {key: value.tolist() for key, value in curves.values.items()},
        step=curves.step.tolist(),
        step_unit=curves.step_unit,
        loss=model.loss,
        n_classes=len(classes) or None,
        class_counts=counts,
    )


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
            _quality(row),
            _written(row.loss, ".4f"),
            row.verdict,
            row.discrepancy,
            "-" if row.best_step is None else f"{_UNITS[row.step_unit or 'epoch']} {row.best_step}/{row.last_step}",
        )
    return table


def _quality(row: ComparisonRow) -> str:
    """Accuracy in percent, unless it cannot be one; R² of a regression."""
    if row.quality_name == "accuracy":
        return _written(row.accuracy, ".2%" if row.accuracy is not None and row.accuracy <= 1 else ".2f")
    return f"{row.quality_name} {_written(row.accuracy, '.4f')}"


def _written(figure: float | None, form: str) -> str:
    if figure is None:
        return "-"
    return format(figure, form) if isfinite(figure) else str(figure)
