"""Random numbers that a pass of ours draws are given back: a training goes on as if there had been none."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["generators_kept", "random_numbers_kept"]


@contextmanager
def random_numbers_kept(*loaders: Any) -> Iterator[None]:  # noqa: ANN401  (of any framework)
    """Put the generators of Python, NumPy and PyTorch back afterwards: MLflow draws from them, too, names for runs.

    Parameters
    ----------
    *loaders : DataLoader or any iterable of batches
        Whose own generators are put back as well.
    """
    torch = sys.modules.get("torch")
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (what others draw from)
    of_torch = None if torch is None else torch.get_rng_state()
    on_gpu = torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
    of_gpus = torch.cuda.get_rng_state_all() if torch is not None and on_gpu else None
    try:
        with generators_kept(*loaders):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if torch is not None and of_torch is not None:
            torch.set_rng_state(of_torch)
            if of_gpus is not None:
                torch.cuda.set_rng_state_all(of_gpus)


@contextmanager
def generators_kept(*loaders: Any) -> Iterator[None]:  # noqa: ANN401
    """Put the generators back that loaders have of their own, which every pass over them draws from.

    Parameters
    ----------
    *loaders : DataLoader or any iterable of batches
    """
    generators = [generator for loader in loaders for generator in _generators(loader)]
    states = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def _generators(loader: Any) -> list[Any]:  # noqa: ANN401
    batch_sampler = getattr(loader, "batch_sampler", None)
    owners = (loader, getattr(loader, "sampler", None), batch_sampler, getattr(batch_sampler, "sampler", None))
    found = [getattr(owner, "generator", None) for owner in owners]
    return list({id(generator): generator for generator in found if hasattr(generator, "get_state")}.values())
