"""Time and peak memory of a piece of work, measured in a process of its own (Linux: memory is read from /proc)."""

import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Cost", "Job", "measure", "measure_side_by_side"]


@dataclass(frozen=True)
class Job:
    """What is measured.

    Parameters
    ----------
    work : callable
        Takes what ``load`` returns, and returns figures by name. Like both loaders it must be importable by name, or
        a `functools.partial` of what is: it travels to another process.
    load : callable
        Returns the arguments. What they take of memory is not counted.
    load_small : callable
        Returns arguments of a small problem, to warm up: imports, compilation, threads.
    n_cores : int, optional
        Hold the process to so many cores; default: all there are.
    """

    work: Callable[..., Mapping[str, float]]
    load: Callable[[], Sequence[Any]]
    load_small: Callable[[], Sequence[Any]]
    n_cores: int | None = None


@dataclass(frozen=True)
class Cost:
    """What a job cost.

    Parameters
    ----------
    seconds : tuple of float
        Of every repetition.
    peak_bytes : int
        The largest resident memory while it worked, above what was resident when it began: with the data and all
        libraries loaded, after the warm-up.
    resident_bytes : int
        The largest resident memory of the whole process.
    figures : mapping of str to float
        What came out.
    """

    seconds: tuple[float, ...]
    peak_bytes: int
    resident_bytes: int
    figures: Mapping[str, float]

    @property
    def median(self) -> float:
        """Seconds."""
        return median(self.seconds)


def measure(job: Job, *, n_repeats: int = 3) -> Cost:
    """Measure a job in a fresh process: warm up, work once for the memory, then as often as asked for the time.

    Parameters
    ----------
    job : Job
    n_repeats : int
        With 0 the only time is that of the first work on the whole data.

    Returns
    -------
    Cost
    """
    # Forked processes would begin with our memory, and one that has worked with what its allocator has not given back.
    with _held_to(job.n_cores), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, job, n_repeats).result()


def measure_side_by_side(jobs: Mapping[str, Job], *, n_rounds: int = 3, n_repeats: int = 3) -> dict[str, Cost]:
    """Measure jobs in turns, every other round in the opposite order, so that none is always the first.

    Parameters
    ----------
    jobs : mapping of str to Job
    n_rounds : int
        Each starts a fresh process for every job.
    n_repeats : int
        In each process.

    Returns
    -------
    dict of str to Cost
        All seconds of all rounds; the largest of the peaks.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in jobs}
    for number in range(n_rounds):
        for name in list(jobs) if number % 2 == 0 else reversed(list(jobs)):
            costs[name].append(measure(jobs[name], n_repeats=n_repeats))
    return {
        name: Cost(
            seconds=tuple(seconds for cost in several for seconds in cost.seconds),
            peak_bytes=max(cost.peak_bytes for cost in several),
            resident_bytes=max(cost.resident_bytes for cost in several),
            figures=several[0].figures,
        )
        for name, several in costs.items()
    }


def _measure(job: Job, n_repeats: int) -> Cost:
    warnings.simplefilter("ignore")  # of the libraries about the made up data, and about themselves
    arguments = job.load()
    job.work(*job.load_small())
    # The mark that getrusage returns would be that of the parent, too: it survives fork and exec.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _memory("VmRSS")
    first, figures = _timed(job, arguments)
    peak = _memory("VmHWM")
    seconds = [_timed(job, arguments)[0] for _ in range(n_repeats)]
    return Cost(tuple(seconds) or (first,), peak - before, _memory("VmHWM"), dict(figures))


def _timed(job: Job, arguments: Sequence[Any]) -> tuple[float, Mapping[str, float]]:
    begin = time.perf_counter()
    figures = job.work(*arguments)
    return time.perf_counter() - begin, figures


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {name}: memory is measured on Linux only.")
    return 1024 * int(found.group(1))


@contextmanager
def _held_to(n_cores: int | None) -> Iterator[None]:
    """Let processes that are started meanwhile have some cores only, from before they import anything."""
    allowed = os.sched_getaffinity(0)
    if n_cores is not None:
        os.sched_setaffinity(0, sorted(allowed)[:n_cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
