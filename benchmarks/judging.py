"""What our rules and the peers say about every run, in every variant of the data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.data import (
    LabelledRun,
    add_noise,
    drop_accuracy,
    drop_chance_level,
    drop_loss,
    read_labelled_runs,
    subsample,
    truncate,
)
from benchmarks.peers import PEERS
from lossacc_mlflow.records import FloatArray, Verdict
from lossacc_mlflow.rules import apply_rules, decide_verdict

__all__ = ["VARIANTS", "Opinion", "Round", "Variant", "judge_all"]

SEEDS = (0, 1, 2, 3, 4)
"""Of the noise; results are means over them."""

Change = Callable[[LabelledRun, np.random.Generator], LabelledRun]


@dataclass(frozen=True)
class Variant:
    """The same runs, made harder.

    Parameters
    ----------
    name : str
        As it stands in the tables.
    change : callable
        LabelledRun, generator -> LabelledRun.
    seeds : tuple of int
        One round for each; more than one only where the change is random.
    is_quick : bool
        Whether it is part of a quick look.
    keeps_labels : bool
        Whether what the labels say is still there to be seen.
    """

    name: str
    change: Change
    seeds: tuple[int, ...] = (0,)
    is_quick: bool = False
    keeps_labels: bool = True


@dataclass(frozen=True)
class Opinion:
    """What our rules say about one run.

    ``steps`` maps the code of every flagged rule to the step that it gives.
    """

    verdict: Verdict
    steps: Mapping[str, int | None]


@dataclass(frozen=True, eq=False)
class Round:
    """All answers to one variant with one seed.

    Parameters
    ----------
    variant : str
    seed : int
    opinions : tuple of Opinion, length n_runs
    peers : ndarray of float64, shape (n_runs, n_peers)
        1 yes, 0 no, NaN no answer; in the order of ``PEERS``.
    """

    variant: str
    seed: int
    opinions: tuple[Opinion, ...]
    peers: FloatArray


def _noisy(level: float, *, loss_alone: bool = False) -> Change:
    def change(one: LabelledRun, rng: np.random.Generator) -> LabelledRun:
        return add_noise(drop_accuracy(one) if loss_alone else one, level, rng)

    return change


VARIANTS: tuple[Variant, ...] = (
    Variant("as logged", lambda one, _: one, is_quick=True),
    Variant("5 % noise", _noisy(0.05), SEEDS),
    Variant("10 % noise", _noisy(0.10), SEEDS, is_quick=True),
    Variant("20 % noise", _noisy(0.20), SEEDS),
    Variant("loss alone", lambda one, _: drop_accuracy(one), is_quick=True),
    Variant("loss alone, 5 % noise", _noisy(0.05, loss_alone=True), SEEDS),
    Variant("loss alone, 10 % noise", _noisy(0.10, loss_alone=True), SEEDS, is_quick=True),
    Variant("loss alone, 20 % noise", _noisy(0.20, loss_alone=True), SEEDS),
    Variant("accuracy alone", lambda one, _: drop_loss(one), is_quick=True),
    Variant("20 points", lambda one, _: subsample(one, 20), is_quick=True),
    Variant("10 points", lambda one, _: subsample(one, 10), is_quick=True),
    Variant("first 20 points", lambda one, _: truncate(one, 20), keeps_labels=False),
    Variant("first 10 points", lambda one, _: truncate(one, 10), keeps_labels=False),
    Variant("chance level unknown", lambda one, _: drop_chance_level(one), is_quick=True),
)
"""Every form in which the runs are judged; noise multiplies every value of every curve."""


def judge_all(directory: Path, variants: Sequence[Variant], *, n_jobs: int = 1) -> Iterator[Round]:
    """Judge all runs of a directory in several variants.

    Parameters
    ----------
    directory : Path
    variants : sequence of Variant
    n_jobs : int
        Processes.

    Yields
    ------
    Round
        In the order of the variants and of their seeds.
    """
    names = [variant.name for variant in variants for _ in variant.seeds]
    seeds = [seed for variant in variants for seed in variant.seeds]
    directories = [directory] * len(names)
    if n_jobs == 1:
        yield from map(_judge_round, directories, names, seeds)
        return
    with ProcessPoolExecutor(n_jobs) as pool:
        yield from pool.map(_judge_round, directories, names, seeds)


def _judge_round(directory: Path, name: str, seed: int) -> Round:
    # Runs hold read-only mappings, which cannot be sent to another process: every process reads its own.
    variant = next(one for one in VARIANTS if one.name == name)
    opinions, peers = [], []
    for i, one in enumerate(read_labelled_runs(directory)):
        changed = variant.change(one, np.random.default_rng([seed, i]))
        opinions.append(_judge(changed))
        answers = (peer.says(changed.history) for peer in PEERS)
        peers.append([np.nan if answer is None else float(answer) for answer in answers])
    return Round(name, seed, tuple(opinions), np.array(peers).reshape(-1, len(PEERS)))


def _judge(one: LabelledRun) -> Opinion:
    findings = apply_rules(one.run)
    return Opinion(
        verdict=decide_verdict(one.run, findings),
        steps={f.code: f.step for f in findings if f.status == "flagged"},
    )
