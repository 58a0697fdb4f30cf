"""Trainings of transformers: curves and predictions, through the callback and through autolog."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.entities import Run

import lossacc_mlflow as lossacc
from lossacc_mlflow.records import RunData
from tests.conftest import Tracking

with suppress(ImportError):  # the marker deselects these tests where it is missing
    import torch
    import transformers

    from lossacc_mlflow.loggers.transformers import LossaccCallback

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning"),  # torch, about machines without a GPU
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, here: Tracking) -> Iterator[None]:
    """One thread, no network, the test's own experiment, and all autologging off again."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MLFLOW_MAX_LOG_PARAMS", "3")  # they take most of the time
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    lossacc.autolog(disable=True)
    mlflow.transformers.autolog(disable=True)
    torch.set_num_threads(before)


class Samples:
    """Samples in memory, as dictionaries of tensors."""

    def __init__(self, **columns: Any) -> None:  # noqa: ANN401
        self.columns = {name: torch.as_tensor(np.asarray(values)) for name, values in columns.items()}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {name: column[i] for name, column in self.columns.items()}


def sentences(n: int, seed: int, *, noise: float = 0.0) -> Samples:
    """Eight words, of which the first tells which of three classes it is."""
    rng = np.random.default_rng(seed)
    labels, words = rng.integers(0, 3, n), rng.integers(5, 50, (n, 8))
    words[:, 0] = np.where(rng.random(n) < noise, rng.integers(0, 3, n), labels)
    return Samples(input_ids=words, labels=labels)


def bert(kind: str = "ForSequenceClassification", **config: Any) -> Any:  # noqa: ANN401
    transformers.set_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    settings = {"vocab_size": 50, "max_position_embeddings": 16, "num_labels": 3, **small, **config}
    return getattr(transformers, f"Bert{kind}")(transformers.BertConfig(**settings))


def trainer(path: Path, model: Any = None, *, cls: Any = None, **given: Any) -> Any:  # noqa: ANN401
    """A trainer of 64 sentences, 48 others to evaluate; keywords are those of Trainer or of its arguments."""
    ours = {"train_dataset", "eval_dataset", "compute_metrics", "callbacks", "compute_loss_func"}
    settings = {
        "output_dir": str(path / "out"),
        "num_train_epochs": 3,
        "per_device_train_batch_size": 16,
        "per_device_eval_batch_size": 20,
        "learning_rate": 5e-3,
        "eval_strategy": "epoch",
        "logging_steps": 2,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        **{key: value for key, value in given.items() if key not in ours},
    }
    data = {"train_dataset": sentences(64, 0), "eval_dataset": sentences(48, 1)}
    return (cls or transformers.Trainer)(
        model=bert() if model is None else model,
        args=transformers.TrainingArguments(**settings),
        **{**data, **{key: value for key, value in given.items() if key in ours}},
    )


def callback(**options: Any) -> LossaccCallback:  # noqa: ANN401
    return LossaccCallback(**options)


def accuracy(answers: Any) -> dict[str, float]:  # noqa: ANN401
    return {"accuracy": float((answers.predictions.argmax(-1) == answers.label_ids).mean())}


def only_run(store: Tracking) -> Run:
    (run,) = store.client.search_runs([store.experiment_id])
    return run


def read(store: Tracking) -> RunData:
    return lossacc.read_run(only_run(store).info.run_id)


def history(store: Tracking, key: str) -> list[tuple[int, float]]:
    points = store.client.get_metric_history(only_run(store).info.run_id, key)
    return [(point.step, point.value) for point in sorted(points, key=lambda point: point.step)]


def curves(run: RunData) -> dict[str, list[int]]:
    return {f"{c.split} {c.metric.name}": c.step.tolist() for c in run.curves}


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.message for r in caplog.records if r.name == "lossacc_mlflow" and r.levelno >= logging.WARNING]


def answers_of(trained: Any) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401
    """What the model answers to the evaluation data, computed by hand."""
    data = trained.eval_dataset.columns
    trained.model.eval()
    with torch.no_grad():
        return trained.model(input_ids=data["input_ids"]).logits.numpy(), data["labels"].numpy()


def weights(model: Any) -> np.ndarray:  # noqa: ANN401
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


def test_a_callback_makes_whole_curves_and_keeps_predictions(tmp_path: Path, here: Tracking) -> None:
    labels = {0: "cat", 1: "dog", 2: "owl"}
    trained = trainer(tmp_path, bert(id2label=labels), callbacks=[callback(train_evaluation=24)])
    trained.train()
    run = read(here)
    assert curves(run) == {
        "train log_loss": [4, 8, 12],
        "validation log_loss": [4, 8, 12],
        "train accuracy": [4, 8, 12],
        "validation accuracy": [4, 8, 12],
    }
    assert {c.step_unit for c in run.curves} == {"global_step"}
    logits, truth = answers_of(trained)
    assert history(here, "val_accuracy")[-1][1] == pytest.approx((logits.argmax(1) == truth).mean())
    assert [step for step, _ in history(here, "epoch")] == [4, 8, 12]
    assert run.predictions["validation"].n_samples == 48
    assert run.predictions["validation"].accuracy == pytest.approx((logits.argmax(1) == truth).mean())
    assert run.tags["lossacc.keys"] == "train_loss=train:log_loss,train_accuracy=train:accuracy"
    assert lossacc.read_run(run.run_id, with_samples=True).samples["validation"].classes == ("cat", "dog", "owl")
    assert mlflow.active_run() is None
    assert only_run(here).info.status == "FINISHED"


@pytest.mark.parametrize("with_metrics", [False, True])
def test_training_is_the_same_with_and_without_us(tmp_path: Path, here: Tracking, with_metrics: bool) -> None:
    metrics = accuracy if with_metrics else None
    plain = trainer(tmp_path, compute_metrics=metrics)
    plain.train()
    ours = callback(train_evaluation=True, stop_when="overfitting", predictions=1)
    logged = trainer(tmp_path, compute_metrics=metrics, callbacks=[ours])
    logged.train()
    np.testing.assert_array_equal(weights(plain.model), weights(logged.model))

    def timeless(log: Sequence[dict[str, float]]) -> list[dict[str, float]]:
        return [{k: v for k, v in row.items() if "runtime" not in k and "second" not in k} for row in log]

    assert timeless(plain.state.log_history) == timeless(logged.state.log_history)
    assert "prediction_step" not in vars(logged)
    assert "training_step" not in vars(logged)
    assert len(read(here).by_step["validation"]) == 3


@pytest.mark.parametrize("order", ["ours", "ours, mlflow", "mlflow, ours", "report, callback"])
def test_nothing_is_logged_twice_in_any_order(tmp_path: Path, here: Tracking, order: str) -> None:
    switches = {
        "ours": lambda: lossacc.autolog(diagnose=False),
        "mlflow": mlflow.transformers.autolog,
    }
    names = order.split(", ")
    for name in names:
        switches.get(name, lambda: None)()
    trained = trainer(
        tmp_path,
        report_to="mlflow" if "report" in names else "none",
        callbacks=[callback()] if "callback" in names else None,
    )
    trained.train()
    keys = set(only_run(here).data.metrics) - {"epoch", "grad_norm", "learning_rate", "total_flos"}
    keys = {key for key in keys if not key.endswith(("_runtime", "_second"))}
    is_alone = names == ["ours"]
    assert keys == (
        {"train_loss", "val_loss", "val_accuracy"} if is_alone else {"loss", "eval_loss", "train_loss", "val_accuracy"}
    )
    assert curves(read(here)) == {
        "train log_loss": [2, 4, 6, 8, 10, 12],
        "validation log_loss": [4, 8, 12],
        "validation accuracy": [4, 8, 12],
    }
    assert len(history(here, "train_loss")) == (6 if is_alone else 1)
    assert [type(c).__name__ for c in trained.callback_handler.callbacks].count("LossaccCallback") == len(
        [name for name in names if name == "callback"]
    )


def test_an_evaluation_on_training_samples_is_no_mean_over_the_run(tmp_path: Path, here: Tracking) -> None:
    trainer(tmp_path, callbacks=[callback(train_evaluation=True)], report_to="mlflow").train()
    (curve,) = (c for c in read(here).curves if c.split == "train" and c.metric.name == "log_loss")
    assert curve.key == "train_loss"
    assert curve.step.tolist() == [4, 8, 12]
    assert len(history(here, "train_loss")) == 4


def test_what_a_user_computes_is_used_as_it_is(tmp_path: Path, here: Tracking) -> None:
    def half(answers: Any) -> dict[str, float]:  # noqa: ANN401, ARG001
        return {"acc": 0.5}

    trainer(tmp_path, callbacks=[callback()], compute_metrics=half).train()
    assert history(here, "val_accuracy") == [(4, 0.5), (8, 0.5), (12, 0.5)]


@pytest.mark.parametrize("report_to", ["none", "mlflow"])
def test_a_loss_that_is_logged_too_rarely_is_logged_at_each_evaluation(
    tmp_path: Path, here: Tracking, report_to: str
) -> None:
    often = trainer(tmp_path, logging_strategy="epoch", gradient_accumulation_steps=2)
    often.train()
    rare = trainer(
        tmp_path, logging_steps=500, gradient_accumulation_steps=2, callbacks=[callback()], report_to=report_to
    )
    rare.train()
    wanted = [row["loss"] for row in often.state.log_history if "loss" in row]
    (curve,) = (c for c in read(here).curves if c.split == "train")
    assert curve.step.tolist() == [2, 4, 6]
    np.testing.assert_allclose(curve.value, wanted, rtol=1e-6)


def test_smoothed_labels_are_told_and_predictions_are_plain(tmp_path: Path, here: Tracking) -> None:
    trained = trainer(tmp_path, callbacks=[callback()], label_smoothing_factor=0.2)
    trained.train()
    run = read(here)
    assert run.tags["lossacc.loss"] == "smoothed:0.2"
    logits, truth = answers_of(trained)
    plain = -(logits - np.log(np.exp(logits).sum(1, keepdims=True)))[np.arange(48), truth].mean()
    assert run.predictions["validation"].log_loss == pytest.approx(plain, rel=1e-5)
    assert history(here, "val_accuracy")[-1][1] == pytest.approx((logits.argmax(1) == truth).mean())


def test_several_labels_a_sample_are_unsupported_in_one_warning(
    tmp_path: Path, here: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    def data(n: int, seed: int) -> Samples:
        rng = np.random.default_rng(seed)
        return Samples(input_ids=rng.integers(0, 50, (n, 8)), labels=rng.integers(0, 2, (n, 3)).astype(np.float32))

    model = bert(problem_type="multi_label_classification")
    trainer(tmp_path, model, train_dataset=data(32, 0), eval_dataset=data(16, 1), callbacks=[callback()]).train()
    assert [w for w in warnings_of(caplog) if "multi-label" in w] == warnings_of(caplog)
    assert len(warnings_of(caplog)) == 1
    assert set(curves(read(here))) == {"train loss", "validation loss"}


@pytest.mark.parametrize("report_to", ["none", "mlflow"])
def test_a_regression_has_rmse_and_r2(tmp_path: Path, here: Tracking, report_to: str) -> None:
    def data(n: int, seed: int) -> Samples:
        rng = np.random.default_rng(seed)
        words = rng.integers(0, 50, (n, 8))
        return Samples(input_ids=words, labels=(100 + words[:, 0] / 50).astype(np.float32))

    trained = trainer(
        tmp_path,
        bert(num_labels=1),
        train_dataset=data(64, 0),
        eval_dataset=data(48, 1),
        callbacks=[callback(train_evaluation=True)],
        report_to=report_to,
    )
    trained.train()
    answers, target = answers_of(trained)
    run = read(here)
    error = np.square(answers[:, 0] - target).mean()
    assert history(here, "val_rmse")[-1][1] == pytest.approx(np.sqrt(error), rel=1e-5)
    assert history(here, "val_r2")[-1][1] == pytest.approx(1 - error / target.var(), rel=1e-3)
    assert {"train_rmse", "train_r2"} <= set(only_run(here).data.metrics)
    assert ("val_loss" in only_run(here).data.metrics) is False
    assert run.regressions["validation"].n_samples == 48
    assert "val_accuracy" not in only_run(here).data.metrics


@pytest.mark.parametrize(("kind", "shift"), [("ForTokenClassification", 0), ("LMHeadModel", 1), ("ForMaskedLM", 0)])
def test_accuracy_of_tokens_leaves_ignored_ones_out(tmp_path: Path, here: Tracking, kind: str, shift: int) -> None:
    is_language = kind != "ForTokenClassification"

    def data(n: int, seed: int) -> Samples:
        rng = np.random.default_rng(seed)
        words = rng.integers(0, 50, (n, 8))
        labels = np.where(rng.random((n, 8)) < 0.3, -100, words if is_language else words % 3)
        return Samples(input_ids=words, labels=labels)

    model = bert(kind, is_decoder=kind == "LMHeadModel")
    trained = trainer(tmp_path, model, train_dataset=data(32, 0), eval_dataset=data(30, 1), callbacks=[callback()])
    trained.train()
    logits, labels = answers_of(trained)
    answered, labels = logits.argmax(-1)[:, : 8 - shift], labels[:, shift:]
    right = (answered == labels)[labels != -100]
    run = read(here)
    assert history(here, "val_accuracy")[-1][1] == pytest.approx(right.mean())
    assert run.n_classes == (50 if is_language else 3)
    if is_language:
        assert not run.predictions
    else:
        assert run.predictions["validation"].n_samples == len(right)


def test_several_data_sets_are_told_apart_by_their_names(tmp_path: Path, here: Tracking) -> None:
    data = {"train": sentences(20, 0), "easy": sentences(30, 1), "test": sentences(40, 2), "other": sentences(10, 3)}
    trainer(tmp_path, eval_dataset=data, callbacks=[callback()], report_to="mlflow").train()
    run = read(here)
    assert {key: steps for key, steps in curves(run).items() if "train" not in key} == {
        "validation log_loss": [4, 8, 12],
        "test log_loss": [4, 8, 12],
        "validation accuracy": [4, 8, 12],
        "test accuracy": [4, 8, 12],
    }
    assert history(here, "val_loss") == history(here, "eval_easy_loss")
    assert [v for _, v in history(here, "train_loss")][:2] == [v for _, v in history(here, "eval_train_loss")][:2]
    assert run.predictions["validation"].n_samples == 30


def test_without_evaluation_there_is_the_training_alone(tmp_path: Path, here: Tracking) -> None:
    trainer(tmp_path, eval_strategy="no", num_train_epochs=6, callbacks=[callback(train_evaluation=16)]).train()
    assert curves(read(here)) == {"train log_loss": [4, 8, 12, 16, 20, 24], "train accuracy": [4, 8, 12, 16, 20, 24]}
    findings = {finding.code: finding for finding in lossacc.diagnose(only_run(here).info.run_id).findings}
    assert findings["LOG005"].status == "flagged"


def remembering() -> Any:  # noqa: ANN401
    """A callback that remembers the weights of every evaluation."""

    class Remembering(transformers.TrainerCallback):  # type: ignore[misc]
        by_step: dict[int, np.ndarray] = {}  # noqa: RUF012

        def on_evaluate(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ANN401, ARG002
            self.by_step[state.global_step] = weights(model)

    one = Remembering()
    one.by_step = {}
    return one


def overfitting(path: Path, **given: Any) -> Any:  # noqa: ANN401
    """A third of the labels are noise, which a model without dropout learns by heart."""
    data = {"train_dataset": sentences(64, 0, noise=0.35), "eval_dataset": sentences(64, 1, noise=0.35)}
    model = bert(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return trainer(path, model, num_train_epochs=40, learning_rate=1e-2, **data, **given)


def test_overfitting_stops_the_training_and_restores_the_best_weights(tmp_path: Path, here: Tracking) -> None:
    memory = remembering()
    trained = overfitting(tmp_path, callbacks=[memory, callback(stop_when=["overfitting", "loss_overfitting"])])
    trained.train()
    run, losses = read(here), dict(history(here, "val_loss"))
    stopped, restored = int(run.tags["lossacc.stopped_step"]), int(run.tags["lossacc.restored_step"])
    assert stopped == trained.state.global_step < 160
    assert losses[restored] == min(losses.values())
    np.testing.assert_array_equal(weights(trained.model), memory.by_step[restored])
    assert run.tags["lossacc.predictions_step"] == str(restored)
    assert run.predictions["validation"].log_loss == pytest.approx(losses[restored], rel=1e-4)


def test_restoring_is_left_to_transformers_where_it_does(tmp_path: Path, here: Tracking) -> None:
    memory = remembering()
    trained = overfitting(
        tmp_path,
        callbacks=[memory, callback(stop_when=["overfitting", "loss_overfitting"])],
        load_best_model_at_end=True,
        save_strategy="epoch",
        save_total_limit=1,
    )
    trained.train()
    restored = int(read(here).tags["lossacc.restored_step"])
    assert f"checkpoint-{restored}" in str(trained.state.best_model_checkpoint)
    np.testing.assert_array_equal(weights(trained.model), memory.by_step[restored])


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_what_was_logged_before_an_exception_is_on_the_run(
    tmp_path: Path, here: Tracking, error: type[BaseException], status: str
) -> None:
    class Failing(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002
            if state.global_step == 10:
                raise error

    lossacc.autolog(diagnose=False)
    trained = trainer(tmp_path, callbacks=[Failing()])
    with pytest.raises(error):
        trained.train()
    assert curves(read(here))["validation accuracy"] == [4, 8]
    assert read(here).predictions["validation"].n_samples == 48
    assert only_run(here).info.status == status
    assert mlflow.active_run() is None
    assert "prediction_step" not in vars(trained)


def test_a_model_that_answers_nan_is_trained_to_its_end(
    tmp_path: Path, here: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    trained = trainer(
        tmp_path, learning_rate=1e30, max_grad_norm=0.0, logging_nan_inf_filter=False, callbacks=[callback()]
    )
    trained.train()
    assert np.isnan(history(here, "val_loss")[-1][1])
    assert history(here, "val_accuracy")[-1][1] == 0
    assert len(warnings_of(caplog)) == 1  # there are no probabilities to keep
    assert lossacc.diagnose(only_run(here).info.run_id).verdict == "diverged"


def test_a_resumed_training_goes_on_at_its_step(tmp_path: Path, here: Tracking) -> None:
    trainer(tmp_path, save_strategy="epoch", num_train_epochs=2).train()
    resumed = trainer(tmp_path, save_strategy="epoch", callbacks=[callback()])
    resumed.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-8"))
    assert curves(read(here)) == {
        "train log_loss": [10, 12],
        "validation log_loss": [12],
        "validation accuracy": [12],
    }


def test_a_step_of_a_subclass_that_hides_its_answers_is_made_up_for(tmp_path: Path, here: Tracking) -> None:
    class Hiding(transformers.Trainer):  # type: ignore[misc]
        def prediction_step(self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None) -> Any:  # noqa: ANN401
            loss, _, _ = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
            return loss, None, None

    trained = trainer(tmp_path, cls=Hiding, callbacks=[callback()])
    trained.train()
    logits, truth = answers_of(trained)
    step, value = history(here, "val_accuracy")[-1]
    assert step == 12
    assert value == pytest.approx((logits.argmax(1) == truth).mean())
    assert read(here).predictions["validation"].n_samples == 48


def test_a_module_of_ones_own_is_known_by_its_loss(tmp_path: Path, here: Tracking) -> None:
    class Table(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, weight: float) -> None:
            super().__init__()
            self.linear, self.weight = torch.nn.Linear(4, 2), weight

        def forward(self, x: Any, labels: Any = None) -> dict[str, Any]:  # noqa: ANN401
            logits = self.linear(x)
            return {"loss": self.weight * torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    def data(n: int, seed: int) -> Samples:
        x = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
        return Samples(x=x, labels=(x[:, 0] > 0).astype(np.int64))

    for weight in (1.0, 2.0):
        given = {"train_dataset": data(64, 0), "eval_dataset": data(48, 1), "callbacks": [callback(predictions="best")]}
        trainer(tmp_path, Table(weight), learning_rate=0.1, **given).train()
    twice, plain = here.client.search_runs([here.experiment_id])
    assert plain.data.tags["lossacc.loss"] == "log_loss"
    assert "lossacc.loss" not in twice.data.tags
    assert plain.data.tags["lossacc.n_classes"] == twice.data.tags["lossacc.n_classes"] == "2"
    assert plain.data.metrics["val_accuracy"] > 0.5


def test_a_stream_of_training_data_is_not_evaluated_on(
    tmp_path: Path, here: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    class Stream(torch.utils.data.IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Iterator[dict[str, Any]]:
            data = sentences(64, 0)
            yield from (data[i] for i in range(64))

    given = {"train_dataset": Stream(), "max_steps": 8, "eval_strategy": "steps", "eval_steps": 4}
    trainer(tmp_path, callbacks=[callback(train_evaluation=True)], **given).train()
    assert curves(read(here)) == {
        "train log_loss": [2, 4, 6, 8],
        "validation log_loss": [4, 8],
        "validation accuracy": [4, 8],
    }
    assert [w for w in warnings_of(caplog) if "no length" in w] == warnings_of(caplog)
    assert len(warnings_of(caplog)) == 1
