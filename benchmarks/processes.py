"""Time and peak memory of a piece of work, measured in a process of its own (Linux: memory is read from /proc)."""

import os
import re
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Cost", "Job", "measure", "measure_in_turns", "measure_side_by_side", "seconds_run"]

_TURN_SECONDS = 0.25
_ENDED = "a process that was measured has ended before its work was done."

_ALIKE = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_ARENA_MAX": "1",
    "PYTHONHASHSEED": "0",
}
"""Has processes lay out their memory alike, and glibc keep what it has got from the system (``man 3 mallopt``).

Else the same training takes 5 % longer in one process than in another, from its beginning to its end: each large array
is mapped anew, page by page, or is not, as the first ones of a process happen to fall.
"""


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


def measure_in_turns(jobs: Mapping[str, Job], *, n_rounds: int = 3) -> dict[str, list[Cost]]:
    """Measure long jobs side by side: each works once, a quarter of a second at a time, while the others are stopped.

    A machine that is faster now and slower a minute later is so for all of them. Turns are given from the outside, by
    the signals SIGSTOP and SIGCONT, so that threads in the background do not work in the others' turns either. All
    processes lay out their memory in the same way.

    Parameters
    ----------
    jobs : mapping of str to Job
        They should share nothing that one of them could hold a lock of when it is stopped.
    n_rounds : int
        Each starts a fresh process for every job; every other round begins with the last one.

    Returns
    -------
    dict of str to list of Cost
        One a round. Seconds, also those that `work` reads from `seconds_run`, are those in which the job had its turn.

    Raises
    ------
    RuntimeError
        If a job fails.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in jobs}
    for number in range(n_rounds):
        names = list(jobs) if number % 2 == 0 else list(jobs)[::-1]
        with ExitStack() as stack:
            players = {name: stack.enter_context(_player(jobs[name])) for name in names}
            while players:
                for name, player in list(players.items()):
                    cost = player.play(_TURN_SECONDS)
                    if cost is not None:
                        costs[name].append(cost)
                        del players[name]
    return costs


def seconds_run() -> float:
    """Return the seconds since some moment, without those in which this process was stopped for another's turn."""
    return time.perf_counter() - float(_Stops.seconds.value)


class _NoStops:
    value = 0.0


class _Stops:
    """How long this process has been stopped; whoever stops it keeps the account."""

    seconds: Any = _NoStops()


class _Player:
    """A process that works only while it is its turn."""

    def __init__(self, pid: int, connection: Connection, stopped: Any) -> None:  # noqa: ANN401  (a shared double)
        self._pid, self._connection, self._stopped = pid, connection, stopped
        self._receive()  # it has warmed up
        self._since = self._stop()
        connection.send("work")

    def play(self, seconds: float) -> Cost | None:
        """Let it work for a while; return what it cost when it is ready."""
        self._stopped.value += time.perf_counter() - self._since  # one clock for all processes of a machine
        os.kill(self._pid, signal.SIGCONT)
        if self._connection.poll(seconds):
            return self._receive()
        self._since = self._stop()
        return None

    def _stop(self) -> float:
        os.kill(self._pid, signal.SIGSTOP)
        state = os.waitid(os.P_PID, self._pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if state is None or state.si_code != os.CLD_STOPPED:
            raise RuntimeError(_ENDED)
        return time.perf_counter()

    def _receive(self) -> Cost | None:
        try:
            cost, error = self._connection.recv()
        except EOFError:
            raise RuntimeError(_ENDED) from None
        if error:
            raise RuntimeError(f"a job that was measured has failed:\n{error}")
        return cost  # type: ignore[no-any-return]


@contextmanager
def _player(job: Job) -> Iterator[_Player]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    stopped = context.Value("d", 0.0, lock=False)
    with _held_to(job.n_cores), _environment(_ALIKE):
        process = context.Process(target=_work_in_turns, args=(job, theirs, stopped), daemon=True)
        process.start()
    theirs.close()
    try:
        yield _Player(process.pid or 0, ours, stopped)
    finally:
        process.kill()  # stopped as it may be
        process.join()


def _work_in_turns(job: Job, connection: Connection, stopped: Any) -> None:  # noqa: ANN401
    def wait() -> None:
        connection.send((None, ""))
        connection.recv()

    _Stops.seconds = stopped
    try:
        connection.send((_measure(job, 0, wait), ""))
    except Exception:  # noqa: BLE001  (told to the process that measures)
        connection.send((None, traceback.format_exc()))
    connection.recv()  # until it is killed


def _measure(job: Job, n_repeats: int, wait: Callable[[], None] = lambda: None) -> Cost:
    warnings.simplefilter("ignore")  # of the libraries about the made up data, and about themselves
    arguments = job.load()
    job.work(*job.load_small())
    wait()
    # The mark that getrusage returns would be that of the parent, too: it survives fork and exec.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _memory("VmRSS")
    first, figures = _timed(job, arguments)
    peak = _memory("VmHWM")
    seconds = [_timed(job, arguments)[0] for _ in range(n_repeats)]
    return Cost(tuple(seconds) or (first,), peak - before, _memory("VmHWM"), dict(figures))


def _timed(job: Job, arguments: Sequence[Any]) -> tuple[float, Mapping[str, float]]:
    begin = seconds_run()
    figures = job.work(*arguments)
    return seconds_run() - begin, figures


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {name}: memory is measured on Linux only.")
    return 1024 * int(found.group(1))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let processes that are started meanwhile have some environment variables, where they have none of this name."""
    before = dict(os.environ)
    os.environ.update({**variables, **before})
    try:
        yield
    finally:
        for name in variables.keys() - before.keys():
            del os.environ[name]


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
