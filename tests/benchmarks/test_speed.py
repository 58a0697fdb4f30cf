"""The timing measures what it says, and is linear."""

from pathlib import Path

from benchmarks.speed import main, make_run, time_diagnosis
from lossacc_mlflow.rules import apply_rules, decide_verdict


def test_the_run_that_is_timed_is_one_with_findings() -> None:
    run = make_run(1000, 4)
    assert [len(c) for c in run.curves] == [1000] * 4
    assert decide_verdict(run, apply_rules(run)) == "loss_overfitting"


def test_cost_grows_with_the_points_and_no_faster() -> None:
    short, long = (time_diagnosis(n, 2, n_repeats=3) for n in (4_000, 64_000))
    assert long.seconds / short.seconds < 3 * 16  # quadratic would be 256
    assert long.peak_bytes < 100 * 2 * 64_000


def test_command(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    assert main(["--points", "50", "200", "--repeats", "1", "--output", str(page)]) == 0
    assert page.read_text(encoding="utf-8").count("\n| ") == 2 + 6 + 2
