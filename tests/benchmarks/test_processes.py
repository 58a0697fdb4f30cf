"""What is measured is the work alone, in a process of its own, and sides that take turns do not disturb each other."""

import json
import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks.processes import Job, measure, measure_in_turns, measure_side_by_side, seconds_run

_MEGABYTE = 1 << 20


def _allocate(n_bytes: int, log: Path) -> dict[str, float]:
    """Touch so much memory and let it go; note who did it, and on how many cores."""
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps([n_bytes, os.getpid(), len(os.sched_getaffinity(0))]) + "\n")
    return {"sum": float(np.ones(n_bytes // 8).sum())}


def _job(log: Path, megabytes: int = 64, n_cores: int | None = None) -> Job:
    arguments = partial(tuple, [megabytes * _MEGABYTE, log])
    return Job(partial(_allocate), arguments, partial(tuple, [8, log]), n_cores)


def _calls(log: Path) -> list[list[int]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_peak_memory_is_that_of_the_work_in_a_process_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    held = bytearray(200 * _MEGABYTE)  # ours: a process that inherits the peak of another would show it
    held[:: 1 << 12] = b"x" * (len(held) >> 12)
    cost = measure(_job(log, n_cores=1), n_repeats=2)
    assert 60 < cost.peak_bytes / _MEGABYTE < 80
    assert cost.resident_bytes > cost.peak_bytes
    assert cost.figures == {"sum": 64 * _MEGABYTE / 8}
    assert len(cost.seconds) == 2
    sizes, processes, cores = zip(*_calls(log), strict=True)
    assert sizes == (8, *[64 * _MEGABYTE] * 3)  # warm-up, memory, two for the time
    assert len(set(processes) - {os.getpid()}) == 1
    assert set(cores) == {1}


def test_sides_take_turns(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    costs = measure_side_by_side({"a": _job(log, 1), "b": _job(log, 2)}, n_rounds=2, n_repeats=1)
    order = list(dict.fromkeys((process, size // _MEGABYTE) for size, process, _ in _calls(log) if size > 8))
    assert [size for _, size in order] == [1, 2, 2, 1]
    assert len({process for process, _ in order}) == 4
    assert len(costs["a"].seconds) == len(costs["b"].seconds) == 2


def _count(seconds: float, log: Path) -> dict[str, float]:
    """Work until the clock of this process has gone on so far; note from when to when it worked without a break."""
    since, now = seconds_run(), time.perf_counter()
    spans = [[now, now]]
    while seconds_run() - since < seconds:
        now = time.perf_counter()
        if now - spans[-1][1] > 0.05:
            spans.append([now, now])
        spans[-1][1] = now
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps([seconds, spans]) + "\n")
    return {"passed": now - spans[0][0]}


def test_only_one_side_works_at_a_time_and_the_time_of_the_others_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "spans"
    jobs = {
        name: Job(partial(_count), partial(tuple, [seconds, log]), partial(tuple, [0.01, log]))
        for name, seconds in (("short", 0.6), ("long", 1.2))
    }
    costs = measure_in_turns(jobs, n_rounds=2)
    for name, seconds in (("short", 0.6), ("long", 1.2)):
        assert [cost.median for cost in costs[name]] == pytest.approx([seconds] * 2, abs=0.3)
    assert costs["long"][0].figures["passed"] > 1.4  # the clock on the wall went on
    spans = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    spans = [(seconds, its) for seconds, its in spans if seconds > 0.1]
    assert [seconds for seconds, _ in spans] == [0.6, 1.2, 0.6, 1.2]
    for (_, short), (_, long) in (spans[:2], spans[2:]):
        assert len(short) > 1
        assert all(end <= begin or stop <= start for start, end in short for begin, stop in long)
    # Every other round begins with the last one.
    assert spans[0][1][0][0] < spans[1][1][0][0]
    assert spans[3][1][0][0] < spans[2][1][0][0]


def _fail(how: str) -> dict[str, float]:
    if how == "raise":
        raise ValueError("no such thing")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


@pytest.mark.parametrize(
    ("how", "message"), [("raise", "ValueError: no such thing"), ("kill", "ended before its work was done")]
)
@pytest.mark.parametrize("when", ["warm-up", "work"])
def test_a_side_that_fails_ends_the_measurement(how: str, message: str, when: str) -> None:
    first, second = (how, "") if when == "warm-up" else ("", how)
    jobs = {
        "fine": Job(_fail, partial(tuple, [""]), partial(tuple, [""])),
        "failing": Job(_fail, partial(tuple, [second]), partial(tuple, [first])),
    }
    with pytest.raises(RuntimeError, match=message):
        measure_in_turns(jobs, n_rounds=1)
