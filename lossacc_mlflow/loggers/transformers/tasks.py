"""What a model was made to answer, and what its loss is."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.nn import functional
from transformers import Trainer

__all__ = [
    "IGNORED",
    "Task",
    "aligned",
    "class_names",
    "confirm_loss",
    "expected_classes",
    "expected_loss",
    "find_task",
    "first_tensor",
]

IGNORED = -100
"""Label of tokens that count for nothing, in every loss of transformers."""

_NOT_SHIFTED = ("ForTokenClassification", "ForMaskedLM", "ForConditionalGeneration")
_SHIFTED = ("ForCausalLM", "LMHeadModel")
_CLASSIFIERS = ("ForSequenceClassification", "ForImageClassification", "ForTokenClassification")
_LOG_LOSS = (*_CLASSIFIERS, *_SHIFTED, "ForMaskedLM", "ForConditionalGeneration", "ForMultipleChoice")

Kind = Literal["classification", "tokens", "language", "regression", "unsupported", "unknown"]


@dataclass(frozen=True, slots=True)
class Task:
    """What a model was made to answer.

    Parameters
    ----------
    kind : str
        One class a sample, one class a token, the next or the hidden word among a vocabulary, one number a sample;
        several classes or numbers a sample are unsupported; of anything else nothing is known but the loss.
    n_classes : int or None
    is_shifted : bool
        Whether the answer at one place is to the label of the next (causal language models).
    problem : str
        What it is that is unsupported.
    """

    kind: Kind
    n_classes: int | None = None
    is_shifted: bool = False
    problem: str = ""

    @property
    def has_accuracy(self) -> bool:
        """Whether each answer is right or wrong."""
        return self.kind in {"classification", "tokens", "language"}

    @property
    def is_scored(self) -> bool:
        """Whether more can be said of the answers than their loss."""
        return self.has_accuracy or self.kind == "regression"

    @property
    def keeps_predictions(self) -> bool:
        """Whether its predictions are kept: not the probabilities of a whole vocabulary for each word."""
        return self.kind in {"classification", "tokens", "regression"}


def find_task(model: Any, logits: object, labels: object) -> Task:  # noqa: ANN401  (any module)
    """Tell from the first answers of a model what it was made for.

    Parameters
    ----------
    model : torch.nn.Module
        Its configuration and the name of its class are asked where shapes do not decide.
    logits, labels : object
        As they came of ``prediction_step``.

    Returns
    -------
    Task
    """
    logits = first_tensor(logits)
    if not (isinstance(logits, torch.Tensor) and isinstance(labels, torch.Tensor)) or logits.ndim == 0:
        return Task("unknown")
    problem = getattr(getattr(model, "config", None), "problem_type", None)
    outputs = logits.shape[-1] if logits.ndim > 1 else 1
    is_pair = logits.shape == labels.shape and labels.ndim == 2 and outputs > 1
    if problem == "multi_label_classification" or (is_pair and problem != "regression"):
        return Task("unsupported", problem=f"multi-label classification with {outputs} labels a sample")
    if problem == "regression" or labels.is_floating_point():
        if logits.ndim > 2 or labels.numel() != logits.shape[0] or outputs > 1:
            return Task("unsupported", problem=f"regression with {outputs} targets a sample")
        return Task("regression")
    if logits.ndim == 2 and outputs > 1 and labels.numel() == len(logits):
        return Task("classification", outputs)
    if logits.ndim == 3 and labels.shape == logits.shape[:2]:
        name = type(unwrapped(model)).__name__
        if name.endswith(_SHIFTED):
            return Task("language", outputs, is_shifted=True)
        if name.endswith(_NOT_SHIFTED):
            return Task("tokens" if name.endswith("ForTokenClassification") else "language", outputs)
    return Task("unknown")


def aligned(task: Task, answers: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return answers of shape (n,), or logits of shape (n, n_classes), and their labels of shape (n,)."""
    n_axes = labels.ndim if task.kind in {"tokens", "language"} else 1
    if task.is_shifted:
        answers, labels = answers[:, :-1], labels[:, 1:]
    return answers.reshape(-1, *answers.shape[n_axes:]), labels.reshape(-1).to(answers.device)


def expected_loss(trainer: Any, model: Any) -> str | None:  # noqa: ANN401
    """Tell what a model of the library minimises, before any batch was seen; None where that is open.

    Parameters
    ----------
    trainer : transformers.Trainer
    model : torch.nn.Module
        After its first forward pass, which settles ``config.problem_type``.

    Returns
    -------
    str or None
        ``log_loss``, ``smoothed:ALPHA`` or ``mean_squared_error``.
    """
    model = unwrapped(model)
    config = getattr(model, "config", None)
    if not (computes_plain_loss(trainer) and type(model).__module__.startswith("transformers.models.")):
        return None
    if not type(model).__name__.endswith(_LOG_LOSS) or getattr(config, "output_router_logits", False):
        return None  # a router adds its own loss
    problem = getattr(config, "problem_type", None)
    if type(model).__name__.endswith(("ForSequenceClassification", "ForImageClassification")):
        if problem == "regression" or getattr(config, "num_labels", None) == 1:
            return "mean_squared_error" if getattr(config, "num_labels", None) == 1 else None
        if problem != "single_label_classification":
            return None
    return _log_loss(trainer)


def confirm_loss(trainer: Any, task: Task, loss: Any, logits: object, labels: torch.Tensor) -> str | None:  # noqa: ANN401
    """Tell from one batch whether the loss is the plain one of its answers.

    Parameters
    ----------
    trainer : transformers.Trainer
    task : Task
    loss, logits, labels : object
        As ``prediction_step`` returned them.

    Returns
    -------
    str or None
        As `expected_loss`.
    """
    if loss is None or not computes_plain_loss(trainer):
        return None
    answers = first_tensor(logits).detach().float()
    if task.kind == "regression":
        plain, name = functional.mse_loss(answers.flatten(), labels.flatten().float()), "mean_squared_error"
    else:
        answers, truth = aligned(task, answers, labels)
        alpha = trainer.args.label_smoothing_factor
        plain = functional.cross_entropy(answers, truth, ignore_index=IGNORED, label_smoothing=alpha)
        name = _log_loss(trainer)
    given, expected = float(loss.detach().float().mean()), float(plain)
    tolerance = 1e-3 if first_tensor(logits).dtype == torch.float32 else 2e-2  # half precision rounds
    return name if abs(given - expected) <= tolerance * max(1.0, abs(expected)) else None


def expected_classes(model: Any) -> int | None:  # noqa: ANN401
    """Return the number of classes of a classifier of the library; its configuration has one in any case."""
    name, n = type(unwrapped(model)).__name__, getattr(getattr(model, "config", None), "num_labels", None)
    return n if name.endswith(_CLASSIFIERS) and n is not None and n > 1 else None


def class_names(model: Any, task: Task) -> list[str] | None:  # noqa: ANN401
    """Return the names of the classes, unless they are those that transformers makes up."""
    id2label = getattr(getattr(model, "config", None), "id2label", None)
    if not id2label or task.n_classes is None or len(id2label) != task.n_classes:
        return None
    names = [str(id2label.get(i, id2label.get(str(i), ""))) for i in range(task.n_classes)]
    is_made_up = names == [f"LABEL_{i}" for i in range(task.n_classes)]
    return None if is_made_up or len(set(names)) < len(names) else names


def computes_plain_loss(trainer: Any) -> bool:  # noqa: ANN401
    """Whether nobody put another loss in the place of the model's."""
    return (
        trainer is not None
        and type(trainer).compute_loss is Trainer.compute_loss
        and getattr(trainer, "compute_loss_func", None) is None
    )


def _log_loss(trainer: Any) -> str:  # noqa: ANN401
    alpha = float(trainer.args.label_smoothing_factor)
    return f"smoothed:{alpha:g}" if alpha > 0 else "log_loss"


def first_tensor(logits: object) -> Any:  # noqa: ANN401
    """Models that also return hidden states put their answers first."""
    return logits[0] if isinstance(logits, tuple | list) and logits else logits


def unwrapped(model: Any) -> Any:  # noqa: ANN401
    """The model inside an adapter of peft."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
