"""`track`: curves and predictions of a training loop, from what the loop has at hand anyway."""

from collections.abc import Callable, Collection
from typing import Any

import torch

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.options import Options, Predictions
from lossacc_mlflow.loggers.torch.answers import TaskKind
from lossacc_mlflow.loggers.torch.evaluation import forward_batch, unwrapped
from lossacc_mlflow.loggers.torch.loop import Track
from lossacc_mlflow.loggers.torch.predictions import KeptPredictions
from lossacc_mlflow.loggers.torch.recording import Recorder

__all__ = ["track"]


def track(
    model: torch.nn.Module | None = None,
    *,
    predictions: Predictions = "last",
    stop_when: str | Collection[str] | None = None,
    train_evaluation: bool | int = False,
    train_loader: Any = None,  # noqa: ANN401  (a data loader, or any iterable of batches)
    loss: str | None = None,
    loss_reduction: str = "mean",
    task: TaskKind | None = None,
    n_classes: int | None = None,
    from_logits: bool | None = True,
    ignore_index: int = -100,
    loss_fn: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    forward: Callable[[torch.nn.Module, Any], tuple[Any, Any]] = forward_batch,
    first_epoch: int = 0,
    name: str | None = None,
    run_id: str | None = None,
) -> "Track":
    """Log loss and accuracy of a training loop, by epoch, to the active run.

    Parameters
    ----------
    model : Module, optional
        Only for what needs it: `train_evaluation`, and the best weights of a training that was stopped.
    predictions : {"last", "best"}, int or None
        Of which epochs predictions of the validation data are kept; an integer n: every n-th and the last.
    stop_when : str or collection of str, optional
        Verdicts, such as ``overfitting``, at whose first alarm that lasts `Track.should_stop` becomes True.
    train_evaluation : bool or int
        Whether train loss and accuracy are measured at the end of each epoch, in evaluation mode, instead of being the
        running mean of the batches. An integer is the number of training samples, the same ones at every epoch; True:
        as many as there are validation samples.
    train_loader : DataLoader or iterable of batches, optional
        Of the training data, for `train_evaluation`.
    loss : str, optional
        What the loss is, such as ``log_loss``. By default the first batches tell whether it is the log loss.
    loss_reduction : {"mean", "sum"}
        Of losses that are one number; one loss a sample is seen by its shape.
    task : {"classification", "regression"}, optional
        By default the first batch tells.
    n_classes : int, optional
    from_logits : bool or None
        Whether outputs are logits; False: probabilities; None: the first batch tells.
    ignore_index : int
        Targets of this class count for nothing.
    loss_fn : callable, optional
        ``loss_fn(outputs, targets)``, in `Track.evaluate`; the log loss by default.
    forward : callable, optional
        ``forward(model, batch)`` returns outputs and targets, in `Track.evaluate`; by default a batch is
        ``(*inputs, targets)`` or a mapping with ``labels``.
    first_epoch : int
        Step of the first epoch, where a training goes on.
    name : str, optional
        For messages; the class of the model by default.
    run_id : str, optional
        The active run at the end of the first epoch by default; if none is active, one is started.

    Returns
    -------
    Track
        To be used in a ``with`` statement.

    Raises
    ------
    InputError
        If an argument is none of these. Nothing that happens later raises.

    Notes
    -----
    With DistributedDataParallel only the process of rank 0 logs, what it has seen; `stop_when` is not available there.

    Examples
    --------
    >>> import torch
    >>> with track() as log:  # doctest: +SKIP
    ...     for epoch in log.epochs(20):
    ...         for x, y in train_loader:
    ...             logits = model(x)
    ...             loss = torch.nn.functional.cross_entropy(logits, y)
    ...             log.log_batch(loss, logits, y)
    ...             ...
    ...         log.evaluate(model, validation_loader)
    """
    options = Options(predictions=predictions, stop_when=stop_when, train_evaluation=train_evaluation)
    if loss_reduction not in {"mean", "sum"}:
        raise InputError(f"loss_reduction is {loss_reduction!r}; wanted is 'mean' or 'sum'.")
    if train_evaluation and (model is None or train_loader is None):
        raise InputError("train_evaluation needs the model and train_loader=: track(model, train_loader=...).")
    called = name or ("PyTorch" if model is None else type(unwrapped(model)).__name__)
    recorder = Recorder(
        name=called,
        kept=None if predictions is None else KeptPredictions(),
        kind=task,
        n_classes=n_classes,
        from_logits=from_logits,
        ignore_index=ignore_index,
        is_sum=loss_reduction == "sum",
    )
    return Track(
        options,
        recorder,
        model=model,
        train_loader=train_loader,
        loss=loss,
        loss_fn=loss_fn,
        forward=forward,
        first_epoch=first_epoch,
        name=called,
        run_id=run_id,
    )
