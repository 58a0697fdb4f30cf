"""What training code logs is on the run, and is what is read back."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import mlflow
import numpy as np
import pytest
from numpy.typing import NDArray

import lossacc_mlflow as lossacc
from lossacc_mlflow.errors import InputError, PredictionsError, StoreError
from lossacc_mlflow.predictions import PredictionBuffer
from lossacc_mlflow.records import Artifact, Split
from lossacc_mlflow.store import clean_run, keeping, log_points, read_run
from lossacc_mlflow.store.artifacts import RunArtifacts
from tests.conftest import Tracking, log_artifacts

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


def predictions(step: int) -> tuple[list[int], np.ndarray]:
    """Twenty samples of three classes; the later, the surer."""
    rng = np.random.default_rng(step)
    truth = np.arange(20) % 3
    logits = rng.normal(0, 1, (20, 3)) * (1 + step)
    logits[np.arange(20), truth] += 1 + step
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    return truth.tolist(), proba / proba.sum(axis=1, keepdims=True)


def test_predictions_over_steps_are_read_back_as_curves(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    run_id = tracking.new_run(**{"lossacc.step_unit": "iteration"})
    logged = {step: lossacc.log_predictions(*predictions(step), step=step, run_id=run_id) for step in (0, 2, 1, 3)}
    run = read_run(run_id, with_samples=True)
    steps = run.by_step["validation"]
    assert (steps.step.tolist(), steps.step_unit) == ([0, 1, 2, 3], "iteration")
    for name in ("log_loss", "refinement_loss", "n_samples"):
        assert steps.figures[name].tolist() == [getattr(logged[step], name) for step in range(4)]
    key = "lossacc/predictions/validation_by_step.csv"
    assert [(c.key, c.step_unit) for c in run.curves] == [
        (f"{key}:log_loss", "iteration"),
        (f"{key}:accuracy", "iteration"),
    ]
    assert run.curves[0].value.tolist() == [logged[step].log_loss for step in range(4)]
    assert run.predictions["validation"].log_loss == logged[3].log_loss
    np.testing.assert_allclose(
        run.samples["validation"].p_true, [p[t] for t, p in zip(*predictions(3), strict=True)], 1e-6
    )


def test_a_resumed_run_goes_on_and_an_earlier_step_leaves_the_latest_samples(here: Tracking) -> None:
    run_id = here.new_run()
    for step in (0, 1, 2):
        lossacc.log_predictions(*predictions(step), step=step, run_id=run_id)
    keeping._MEMORY.known.clear()  # another process goes on from step 1
    lossacc.log_predictions(*predictions(9), step=1, run_id=run_id)
    run = read_run(run_id)
    log_loss = run.by_step["validation"].figures["log_loss"].tolist()
    assert log_loss == [lossacc.summarize_predictions(*predictions(seed)).log_loss for seed in (0, 9, 2)]
    assert run.predictions["validation"].log_loss == log_loss[2]


def test_another_process_in_between_is_seen_and_nothing_is_read_otherwise(
    here: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = here.new_run()
    reads: list[str] = []
    read = RunArtifacts.read

    def counted(artifacts: RunArtifacts, path: str) -> bytes:
        reads.append(path)
        return read(artifacts, path)

    monkeypatch.setattr(RunArtifacts, "read", counted)
    for step in range(4):
        lossacc.log_predictions(*predictions(step), step=step, run_id=run_id)
    assert reads == []
    ours = OrderedDict(keeping._MEMORY.known)
    keeping._MEMORY.known.clear()
    lossacc.log_predictions(*predictions(4), step=4, run_id=run_id)
    keeping._MEMORY.known.clear()
    keeping._MEMORY.known.update(ours)
    lossacc.log_predictions(*predictions(5), step=5, run_id=run_id)
    assert len(reads) == 2
    assert read_run(run_id).by_step["validation"].step.tolist() == [0, 1, 2, 3, 4, 5]
    clean_run(run_id)
    lossacc.log_predictions(*predictions(6), step=6, run_id=run_id)
    assert read_run(run_id).by_step["validation"].step.tolist() == [6]


def test_what_is_remembered_is_bounded(here: Tracking) -> None:
    for _ in range(18):
        lossacc.log_predictions(*predictions(0), step=0, run_id=here.new_run())
    assert len(keeping._MEMORY.known) <= 16


def test_a_damaged_table_is_begun_anew(here: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    run_id = here.new_run()
    log_artifacts(run_id, [Artifact("lossacc/predictions/validation_by_step.csv", b"not a table")])
    assert "was left out" in " ".join(read_run(run_id).warnings)
    lossacc.log_predictions(*predictions(0), step=0, run_id=run_id)
    assert read_run(run_id).by_step["validation"].step.tolist() == [0]
    assert "begun anew" in caplog.text


def test_logged_curves_stay_and_are_not_doubled(here: Tracking) -> None:
    run_id = here.new_run(**{"lossacc.loss": "log_loss"})
    log_points(run_id, {"val_loss": ([0, 1, 2], [3.0, 2.0, 1.0]), "test_loss": ([0], [1.0])})
    for step in range(3):
        lossacc.log_predictions(*predictions(step), step=step, run_id=run_id)
        lossacc.log_predictions(*predictions(step), "test", step=step, run_id=run_id)
    found = {(c.split, c.metric.name): (c.key, len(c)) for c in read_run(run_id).curves}
    assert len(read_run(run_id).curves) == len(found) == 4
    assert found["validation", "log_loss"] == ("val_loss", 3)
    assert found["test", "log_loss"] == ("lossacc/predictions/test_by_step.csv:log_loss", 3)


@pytest.mark.parametrize("step", [1.0, "1", True, 2**63])
def test_a_step_that_is_no_integer_is_refused(here: Tracking, step: object) -> None:
    with pytest.raises(InputError, match="step must be an integer"):
        lossacc.log_predictions(*predictions(0), step=step, run_id=here.new_run())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("split", "arguments", "looked"),
    [
        ("validation", {}, True),
        ("train", {}, False),
        ("validation", {"step": 1}, False),
        ("validation", {"step": np.int32(1), "label_issues": True}, True),
        ("train", {"label_issues": True}, True),
        ("validation", {"label_issues": False}, False),
    ],
)
def test_wrong_labels_are_looked_for_where_it_is_worth_it(
    here: Tracking, split: Split, arguments: dict[str, Any], looked: bool
) -> None:
    run_id = here.new_run()
    summary = lossacc.log_predictions(*predictions(0), split, run_id=run_id, **arguments)
    run = read_run(run_id, with_samples=True)
    assert (summary.n_label_issues is not None) is looked
    assert run.predictions[split].n_label_issues == summary.n_label_issues
    assert (run.samples[split].label_issue is not None) is looked


def test_hostile_ids_and_labels_are_only_text(here: Tracking) -> None:
    run_id = here.new_run()
    truth, proba = predictions(0)
    labels = ["a\nb", "\ud800", "x" * 10_000]
    ids = [f"{i}\n\udfff,<b>{'y' * 10_000}" for i in range(20)]
    lossacc.log_predictions([labels[t] for t in truth], proba, sample_id=ids, labels=labels, run_id=run_id)
    assert read_run(run_id, with_samples=True).samples["validation"].classes == tuple(labels)
    assert lossacc.diagnose(run_id, write=True).run.warnings == ()


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


def test_weights_come_back(here: Tracking) -> None:
    run_id = here.new_run()
    truth, proba = predictions(1)
    weight = np.linspace(0, 2, 20)
    logged = lossacc.log_predictions(truth, proba, sample_weight=weight, run_id=run_id)
    run = read_run(run_id, with_samples=True)
    found = run.samples["validation"].sample_weight
    assert found is not None
    np.testing.assert_array_equal(found, weight)
    loss = -np.log(proba[np.arange(20), truth])
    assert run.predictions["validation"].log_loss == pytest.approx(np.average(loss, weights=weight))
    assert logged.log_loss == run.predictions["validation"].log_loss
    assert lossacc.diagnose(run_id, write=True).run.warnings == ()


@pytest.mark.parametrize("with_p_true", [False, True])
def test_answers_and_their_confidence_are_enough(here: Tracking, with_p_true: bool) -> None:
    run_id = here.new_run()
    for step in range(3):
        truth, proba = predictions(step)
        p_true = proba[np.arange(20), truth] if with_p_true else None
        arguments = truth, proba.argmax(axis=1), proba.max(axis=1)
        logged = lossacc.log_top_predictions(*arguments, p_true=p_true, step=step, labels=range(3), run_id=run_id)
    run = read_run(run_id, with_samples=True)
    assert repr(run.predictions["validation"]) == repr(replace(logged, sums=None))
    assert bool(np.isnan(run.samples["validation"].p_true).any()) is not with_p_true
    assert run.n_classes == 3
    assert {c.metric.name for c in run.curves} == ({"log_loss", "accuracy"} if with_p_true else {"accuracy"})
    assert lossacc.diagnose(run_id, write=True).run.warnings == ()


def test_the_same_labels_have_the_same_digest_whatever_was_answered(here: Tracking) -> None:
    run_ids = [here.new_run() for _ in range(3)]
    for run_id, answers in zip(run_ids, ([0, 2, 2], [1, 2, 0]), strict=False):
        lossacc.log_top_predictions([0, 2, 2], answers, [0.9, 0.8, 0.7], p_true=None, run_id=run_id)
    lossacc.log_predictions([0, 2, 2], np.full((3, 3), 1 / 3), run_id=run_ids[2])
    tags = [here.client.get_run(run_id).data.tags for run_id in run_ids]
    assert len({tag["lossacc.samples.validation"] for tag in tags}) == 1


def test_blocks_are_read_once_and_leave_what_the_arrays_leave(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    truth, proba = generator.integers(0, 1_000, 2_000), generator.dirichlet(np.ones(1_000), 2_000).astype(np.float32)
    proba[np.arange(2_000), truth] += 1
    proba /= proba.sum(axis=1, keepdims=True)

    def batches() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for start in range(0, 2_000, 128):
            yield truth[start : start + 128], proba[start : start + 128]

    whole, in_memory, spooled = (here.new_run() for _ in range(3))
    lossacc.log_predictions(truth, proba, label_issues=False, run_id=whole)
    lossacc.log_predictions(batches(), label_issues=False, run_id=in_memory)
    monkeypatch.setattr(PredictionBuffer.__init__, "__defaults__", (1 << 20,))
    lossacc.log_predictions(batches(), run_id=spooled)
    files = here.files(whole)
    assert here.files(in_memory) == files
    assert sum(map(len, here.files(spooled).values())) < 5e6 * 2_000 / 50_000 + 120_000  # and the classes
    first, last = (read_run(run_id).predictions["validation"] for run_id in (whole, spooled))
    assert last.log_loss == pytest.approx(first.log_loss)
    assert last.temperature == pytest.approx(first.temperature, rel=1e-3)
    assert "Suspected label errors were not searched for" in last.notes[0]
    tags = [here.client.get_run(run_id).data.tags["lossacc.samples.validation"] for run_id in (whole, spooled)]
    assert tags[0] == tags[1]


def test_what_are_no_blocks_is_said(here: Tracking) -> None:
    with pytest.raises(InputError, match="y_proba is missing"):
        lossacc.log_predictions(np.array([0, 1]), run_id=here.new_run())
    with pytest.raises(InputError, match="block 0 is no"):
        lossacc.log_predictions([0, 1], run_id=here.new_run())
