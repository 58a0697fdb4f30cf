"""Passes over data that leave no trace in a training: modes, gradients and random numbers are as before."""

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, Subset

from lossacc_mlflow.loggers.random_numbers import random_numbers_kept

__all__ = ["evaluating", "first_samples", "forward_batch", "split_batch", "to_device", "unwrapped"]

_TARGET_KEYS = ("labels", "label", "targets", "target", "y")


@contextmanager
def evaluating(model: torch.nn.Module, *loaders: Any, seed: int | None = None) -> Iterator[None]:  # noqa: ANN401
    """Evaluation mode without gradients; afterwards every mode and every random state is what it was.

    Parameters
    ----------
    model : Module
    *loaders : DataLoader
        Whose generators are put back, too.
    seed : int, optional
        Of all random numbers that are drawn within, as by random augmentation.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        with random_numbers_kept(*loaders), torch.no_grad():
            if seed is not None:
                torch.manual_seed(seed)
                random.seed(seed)
                np.random.seed(seed)  # noqa: NPY002
            model.eval()
            yield
    finally:
        for module, was_training in modes:
            module.training = was_training


def first_samples(data: Any, n_samples: int | None, *, seed: int = 0) -> Iterable[Any]:  # noqa: ANN401
    """Batches of the same samples at every call: a random part of a data set, the beginning of a stream.

    Parameters
    ----------
    data : DataLoader or iterable of batches
        Anything that can be gone through more than once.
    n_samples : int, optional
        All by default.
    seed : int

    Returns
    -------
    iterable of batches
        Of a data loader a new one, in this process: an iteration that is under way is not disturbed.
    """
    if n_samples is None:
        return _in_order(data)
    if not _is_indexed(data):
        return _until(data, n_samples)
    size = len(data.dataset)
    if n_samples >= size:
        return _in_order(data)
    chosen = np.sort(np.random.default_rng(seed).choice(size, n_samples, replace=False)).tolist()
    return _loader(data, Subset(data.dataset, chosen))


def split_batch(batch: Any) -> tuple[tuple[Any, ...], dict[str, Any], Any]:  # noqa: ANN401
    """Cut a batch into positional and named inputs of a model, and targets (None where there are none).

    A tuple or list ends with the targets; a mapping holds them as ``labels``, ``label``, ``targets``, ``target`` or
    ``y``, and everything else is named input.
    """
    if isinstance(batch, Mapping):
        named = dict(batch)
        key = next((key for key in _TARGET_KEYS if key in named), None)
        return (), named, None if key is None else named.pop(key)
    if isinstance(batch, (tuple, list)) and len(batch) > 1:
        return tuple(batch[:-1]), {}, batch[-1]
    return (batch,), {}, None


def forward_batch(model: torch.nn.Module, batch: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """What the model returns for a batch of `split_batch`, and its targets."""
    inputs, named, targets = split_batch(batch)
    return model(*inputs, **named), targets


def to_device(batch: Any, device: torch.device) -> Any:  # noqa: ANN401
    """Move every tensor of a batch."""
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(value, device) for value in batch) if type(batch) in {tuple, list} else batch
    return batch


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """The model within DistributedDataParallel: its forward pass waits for no other process."""
    is_parallel = isinstance(model, torch.nn.parallel.DistributedDataParallel)
    return model.module if is_parallel else model


def _in_order(data: Any) -> Iterable[Any]:  # noqa: ANN401
    batches: Iterable[Any] = _loader(data, data.dataset) if _is_indexed(data) else data
    return batches


def _is_indexed(data: Any) -> bool:  # noqa: ANN401
    """Whether there are numbered samples, of which the loader makes batches."""
    return (
        isinstance(data, DataLoader)
        and not isinstance(data.dataset, IterableDataset)
        and data.batch_sampler is not None
    )


def _loader(data: DataLoader, dataset: Any) -> Iterable[Any]:  # noqa: ANN401
    loader: Iterable[Any] = DataLoader(dataset, batch_size=data.batch_size or 64, collate_fn=data.collate_fn)
    return loader


def _until(batches: Iterable[Any], n_samples: int) -> Iterator[Any]:
    seen = 0
    for batch in islice(batches, n_samples):
        yield batch
        _, named, targets = split_batch(batch)
        sized = next((one for one in (targets, *named.values()) if hasattr(one, "__len__")), None)
        seen += 1 if sized is None else len(sized)
        if seen >= n_samples:
            return
