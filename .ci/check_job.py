"""Hold what a job left in the store of this folder against what it must leave.

Usage: ``check_job.py EXPERIMENT N_MODELS``, with the root of the project on the PYTHONPATH: it declares what must be
found.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

import lossacc_mlflow
from experiments.job import find_deviations
from lossacc_mlflow import store

STORE = f"sqlite:///{Path('mlflow.db').resolve()}"
OF_CURVES = ("report.html", "findings.json", "diagnostics.json", "curves.png", "note.png")
PICTURES_OF_PREDICTIONS = ("loss_accuracy_plane.png", "reliability.png", "loss_concentration.png", "confusion.png")
OF_PREDICTIONS = ("worst_predictions.csv", *PICTURES_OF_PREDICTIONS)
COMPARISON_PICTURES = ("curves_overlay.png", "loss_accuracy_plane.png", "note.png")
COMPARISON = ("comparison.html", "comparison.csv", "comparison.json", "pairs.csv", *COMPARISON_PICTURES)
TAGS = ("verdict", "discrepancy", "status", "version", "fingerprint")
TAGS_OF_PREDICTIONS = ("samples.validation", "samples.test")


def everything(client: MlflowClient, experiment_id: str) -> Mapping[str, object]:
    """What a second diagnosis must not change: points, tags and files of every run."""
    return {
        run.info.run_id: (
            {key: len(client.get_metric_history(run.info.run_id, key)) for key in run.data.metrics},
            run.data.tags,
            files(run),
        )
        for run in client.search_runs([experiment_id])
    }


def files(run: Run) -> dict[str, bytes]:
    """The artifacts of a run as they lie on the disk."""
    folder = Path(str(run.info.artifact_uri).removeprefix("file://"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def has_predictions(run: Run) -> bool:
    """Whether the model could predict: one that ended in NaN cannot."""
    lost = run.data.tags["lossacc.verdict"] == "diverged" and "TRN001" in run.data.tags["lossacc.findings"]
    return not lost


def check_child(run: Run) -> None:
    """A model's run has its curves, predictions, verdict, metrics, pictures and note."""
    name, kept, predicts = run.info.run_name, files(run), has_predictions(run)
    for tag in (*TAGS, *(TAGS_OF_PREDICTIONS if predicts else ())):
        assert run.data.tags.get(f"lossacc.{tag}"), f"{name} has no tag lossacc.{tag}"
    assert run.data.tags["lossacc.status"] == "ok", f"{name}: {run.data.tags['lossacc.status']}"
    assert "mlflow.note.content" in run.data.tags, f"{name} has no note"
    missing = [a for a in (*OF_CURVES, *(OF_PREDICTIONS if predicts else ())) if f"lossacc/{a}" not in kept]
    assert not missing, f"{name} has no {missing}"
    assert len(kept["lossacc/report.html"]) <= 500_000, f"the report of {name} is too large"
    metrics = [key for key in run.data.metrics if key.startswith("lossacc/")]
    assert (8 if predicts else 4) <= len(metrics) <= 15, f"{name} has {len(metrics)} metrics of ours"
    assert [data.dataset.name for data in run.inputs.dataset_inputs], f"{name} has no data set"


def main() -> None:
    """Check the runs, then diagnose and compare once more and see that nothing changes."""
    experiment, n_models = sys.argv[1], int(sys.argv[2])
    client = MlflowClient(STORE)
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    runs = [client.get_run(run_id) for run_id in store.find_run_ids(experiment, tracking_uri=STORE)]
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(children) == n_models, f"{len(children)} child runs instead of {n_models}"
    for child in children:
        check_child(child)
    comparison = store.comparison_run_id(experiment_id, create=False, tracking_uri=STORE)
    assert comparison is not None, "there is no comparison run"
    explained = ["attribution.png"] if sum(has_predictions(child) for child in children) > 1 else []
    kept = files(client.get_run(comparison))
    missing = [a for a in (*COMPARISON, *explained) if f"lossacc/{a}" not in kept]
    assert not missing, f"the comparison has no {missing}"
    before = everything(client, experiment_id)
    diagnoses = [lossacc_mlflow.diagnose(run.info.run_id, write=True, tracking_uri=STORE) for run in children]
    lossacc_mlflow.compare(diagnoses, write=True, tracking_uri=STORE)
    after = everything(client, experiment_id)
    changed = [run_id for run_id in before if before[run_id] != after.get(run_id)]
    assert not changed, f"diagnosing twice changed {changed}"
    expected = getattr(import_module(f"experiments.{experiment}"), "EXPECTED", {})
    deviations = find_deviations(diagnoses, expected)
    assert not deviations, "\n".join(deviations)
    print(f"{n_models} runs of '{experiment}' have what they must have, and a second diagnosis changes nothing.")


if __name__ == "__main__":
    main()
