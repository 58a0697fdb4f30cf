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
from experiments.job import find_code_deviations, find_deviations
from lossacc_mlflow import store
from lossacc_mlflow.records import Comparison, RunData

STORE = f"sqlite:///{Path('mlflow.db').resolve()}"
ALWAYS = ("report.html", "findings.json", "diagnostics.json", "note.png")
OF_CURVES = ("curves.png",)
OF_PREDICTIONS = (
    "worst_predictions.csv",
    "loss_accuracy_plane.png",
    "calibration.png",
    "reliability.png",
    "confidence.png",
    "loss_concentration.png",
    "confusion.png",
)
OF_CLASSES = ("class_loss.png",)
OF_STEPS = ("predictions_by_step.png",)
OF_REGRESSIONS = ("regression.png",)
COMPARISON = ("comparison.html", "comparison.csv", "comparison.json", "pairs.csv", "note.png")
TAGS = ("verdict", "discrepancy", "status", "version", "fingerprint")
SAMPLES_TAG = "lossacc.samples."


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


def wanted_files(data: RunData) -> list[str]:
    """What a diagnosis leaves on a run of which this is known."""
    known = (
        (data.curves, OF_CURVES),
        (data.predictions, OF_PREDICTIONS),
        (any(summary.classes for summary in data.predictions.values()), OF_CLASSES),
        (data.by_step, OF_STEPS),
        (data.regressions, OF_REGRESSIONS),
    )
    return [*ALWAYS, *(name for facts, names in known if facts for name in names)]


def check_child(run: Run) -> None:
    """A model's run has what was logged about it, and verdict, metrics, pictures and note."""
    name, kept = run.info.run_name, files(run)
    data = lossacc_mlflow.read_run(run.info.run_id, tracking_uri=STORE)
    assert not data.warnings, f"{name}: {data.warnings}"
    judged = {key.removeprefix(SAMPLES_TAG) for key in run.data.tags if key.startswith(SAMPLES_TAG)}
    found = data.predictions.keys() | data.regressions.keys()
    assert judged == found, f"{name} logged predictions of {judged}, and {found} were read"
    assert data.curves or found, f"nothing was read of {name}"
    for tag in TAGS:
        assert run.data.tags.get(f"lossacc.{tag}"), f"{name} has no tag lossacc.{tag}"
    assert run.data.tags["lossacc.status"] == "ok", f"{name}: {run.data.tags['lossacc.status']}"
    assert "mlflow.note.content" in run.data.tags, f"{name} has no note"
    missing = [file for file in wanted_files(data) if f"lossacc/{file}" not in kept]
    assert not missing, f"{name} has no {missing}"
    assert len(kept["lossacc/report.html"]) <= 500_000, f"the report of {name} is too large"
    metrics = [key for key in run.data.metrics if key.startswith("lossacc/")]
    fitted = any(summary.temperature is not None for summary in data.predictions.values())
    least = 8 if fitted else 5 if data.predictions else 3  # ten samples take a temperature, and with it three metrics
    assert least <= len(metrics) <= 15, f"{name} has {len(metrics)} metrics of ours"
    assert [data.dataset.name for data in run.inputs.dataset_inputs], f"{name} has no data set"


def check_comparison(run: Run, compared: Comparison) -> None:
    """The comparison run has its tables, and the pictures that its models allow."""
    known = (
        (any(d.run.curves for d in compared.diagnoses), "curves_overlay.png"),
        (any(d.bounds for d in compared.diagnoses), "loss_accuracy_plane.png"),
        (any(pair.delta_loss for pair in compared.pairs), "attribution.png"),
    )
    kept = files(run)
    missing = [f for f in (*COMPARISON, *(name for is_known, name in known if is_known)) if f"lossacc/{f}" not in kept]
    assert not missing, f"the comparison has no {missing}"


def main() -> None:
    """Check the runs, then diagnose and compare once more and see that nothing changes."""
    experiment, n_models = sys.argv[1], int(sys.argv[2])
    client = MlflowClient(STORE)
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    runs = [client.get_run(run_id) for run_id in store.find_run_ids(experiment, tracking_uri=STORE)]
    # The runs that stand under no other are the job's own; the candidates of a search stand under its run.
    jobs = {run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags}
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") in jobs]
    assert len(children) == n_models, f"{len(children)} child runs instead of {n_models}"
    for child in children:
        check_child(child)
    comparison = store.comparison_run_id(experiment_id, create=False, tracking_uri=STORE)
    assert comparison is not None, "there is no comparison run"
    before = everything(client, experiment_id)
    diagnoses = [lossacc_mlflow.diagnose(run.info.run_id, write=True, tracking_uri=STORE) for run in children]
    compared = lossacc_mlflow.compare(diagnoses, write=True, tracking_uri=STORE)
    after = everything(client, experiment_id)
    changed = [run_id for run_id in before if before[run_id] != after.get(run_id)]
    assert not changed, f"diagnosing twice changed {changed}"
    check_comparison(client.get_run(comparison), compared)
    module = import_module(f"experiments.{experiment}")
    deviations = find_deviations(diagnoses, getattr(module, "EXPECTED", {}))
    if hasattr(module, "COMPARISON"):
        deviations += find_code_deviations("the comparison", compared.findings, module.COMPARISON)
    assert not deviations, "\n".join(deviations)
    print(f"{n_models} runs of '{experiment}' have what they must have, and a second diagnosis changes nothing.")


if __name__ == "__main__":
    main()
