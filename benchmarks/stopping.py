"""The stopping question: who stops at the first alarm, does he keep the best step, and how long does he wait?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import LabelledRun, read_labelled_runs
from benchmarks.peers import NEVER, PEERS
from benchmarks.tables import share, table
from lossacc_mlflow.monitor import Monitor
from lossacc_mlflow.records import Curve
from lossacc_mlflow.rules import RULES

__all__ = ["STOPPING_PEERS", "Stop", "first_alarm", "render_stopping", "stop_all"]

STOPPING_PEERS = tuple(peer for peer in PEERS if peer.stops is not None and peer.question == "overfit")
"""Peers that watch a training."""

_DECIDES_ALARMS = ("LOG008", "TRN001", "TRN002", "TRN003", "FIT001", "FIT002")
"""Rules on which the verdicts that are alarms depend; the others would only cost time."""


@dataclass(frozen=True)
class Stop:
    """Where everybody would have stopped one run.

    Parameters
    ----------
    n_points : int
    best_by_loss, best_by_accuracy : int or None
        Position of the best point of the whole run among all steps; None where that curve is not known.
    stops : tuple of int
        Position at which the training was stopped, of ours and of each of `STOPPING_PEERS`; -1 for never.
    """

    n_points: int
    best_by_loss: int | None
    best_by_accuracy: int | None
    stops: tuple[int, ...]


def stop_all(directory: Path, *, n_jobs: int = 1) -> Iterator[Stop]:
    """Let every run of a directory grow point by point, and ask everybody when to stop.

    Parameters
    ----------
    directory : Path
    n_jobs : int
        Processes.

    Yields
    ------
    Stop
        In the order of `read_labelled_runs`.
    """
    positions = range(len(read_labelled_runs(directory)))
    if n_jobs == 1:
        yield from (_stop(directory, position) for position in positions)
        return
    with ProcessPoolExecutor(n_jobs) as pool:
        yield from pool.map(_stop, [directory] * len(positions), positions, chunksize=20)


def first_alarm(rows: Iterable[tuple[int, Mapping[str, float]]], **facts: Any) -> int:  # noqa: ANN401
    """Position at which `Monitor` raises its first alarm, -1 for never.

    Parameters
    ----------
    rows : iterable of (step, figures by key)
    **facts
        What else `Monitor` is told; by default it alarms as by itself.
    """
    # The other rules would only cost time.
    monitor = Monitor(rules=tuple(rule for rule in RULES if rule.code in _DECIDES_ALARMS), **facts)
    return next((i for i, (step, row) in enumerate(rows) if monitor.update(step, row).alarm is not None), NEVER)


def render_stopping(runs: Sequence[LabelledRun], stops: Sequence[Stop]) -> list[str]:
    """Write the table of the stopping question.

    Parameters
    ----------
    runs : sequence of LabelledRun
    stops : sequence of Stop
        Of the same runs.

    Returns
    -------
    list of str
        Paragraphs of markdown.
    """
    names = ["lossacc, first alarm", *(peer.name for peer in STOPPING_PEERS)]
    rows = [_row(name, i, runs, stops) for i, name in enumerate(names)]
    header = ["stops", "keeps best loss", "keeps best accuracy", "stopped", "overfit stopped", "median delay"]
    return [
        "## Stopping",
        "Every run grows point by point and is stopped at the first alarm; it keeps its best step if the smallest "
        "validation loss (the largest accuracy) of the whole run had been seen by then. The delay is counted in points "
        "from the smallest validation loss to the stop, over the stopped runs with the label.",
        table([*header, "conflict stopped", "median delay", "points spared"], rows),
    ]


def _row(name: str, i: int, runs: Sequence[LabelledRun], stops: Sequence[Stop]) -> list[str]:
    def kept(bests: Sequence[int | None]) -> str:
        pairs = [(best, one.stops[i]) for best, one in zip(bests, stops, strict=True) if best is not None]
        return share(sum(at == NEVER or best <= at for best, at in pairs), len(pairs))

    def delay(label: str) -> list[str]:
        chosen = [one for run, one in zip(runs, stops, strict=True) if run.label == label]
        delays = [
            one.stops[i] - one.best_by_loss for one in chosen if one.stops[i] != NEVER and one.best_by_loss is not None
        ]
        return [share(len(delays), len(chosen)), f"{np.median(delays):g}" if delays else "-"]

    spared = sum(one.n_points - 1 - one.stops[i] for one in stops if one.stops[i] != NEVER)
    return [
        name,
        kept([one.best_by_loss for one in stops]),
        kept([one.best_by_accuracy for one in stops]),
        share(sum(one.stops[i] != NEVER for one in stops), len(stops)),
        *delay("overfit"),
        *delay("conflict_loss_up_acc_flat"),
        f"{100 * spared / max(1, sum(one.n_points for one in stops)):.0f} %",
    ]


def _stop(directory: Path, i: int) -> Stop:
    one = read_labelled_runs(directory)[i]
    rows: dict[int, dict[str, float]] = {}
    for curve in one.run.curves:
        for step, value in zip(curve.step.tolist(), curve.value.tolist(), strict=True):
            rows.setdefault(step, {})[curve.key] = value
    steps = sorted(rows)
    position = {step: at for at, step in enumerate(steps)}
    theirs = []
    for peer in STOPPING_PEERS:
        at = NEVER if peer.stops is None else peer.stops(one.history)
        theirs.append(NEVER if at == NEVER else position[int(one.history.step[at])])
    ours = first_alarm(
        ((step, rows[step]) for step in steps),
        n_classes=one.run.n_classes,
        majority_accuracy=one.run.majority_accuracy,
        n_validation=one.run.n_validation,
    )
    return Stop(
        n_points=len(steps),
        best_by_loss=_best(one, position, is_loss=True),
        best_by_accuracy=_best(one, position, is_loss=False),
        stops=(ours, *theirs),
    )


def _best(one: LabelledRun, position: dict[int, int], *, is_loss: bool) -> int | None:
    curves = (c for c in one.run.curves if c.split == "validation" and c.metric.greater_is_better is not is_loss)
    curve: Curve | None = next(curves, None)
    if curve is None or not np.isfinite(curve.value).any():
        return None
    value = curve.value if curve.metric.greater_is_better else -curve.value
    return position[int(curve.step[np.argmax(np.where(np.isfinite(value), value, -np.inf))])]
