"""A run is judged as it grows, from its past alone, and cheaply."""

import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossacc_mlflow import Alarm, InputError, Judgement, Monitor
from lossacc_mlflow.keys import parse_key
from lossacc_mlflow.records import Curve, RunData
from lossacc_mlflow.rules import apply_rules, decide_verdict

Rows = Sequence[Mapping[str, float]]


def rising_after(best: int, n: int) -> list[dict[str, float]]:
    """Train loss falls throughout; validation loss is smallest at one epoch and rises from there."""
    return [
        {"train_loss": 0.9**epoch, "val_loss": 0.5 + max(0.03 * (best - epoch), 0.02 * (epoch - best))}
        for epoch in range(n)
    ]


def feed(rows: Rows, **options: Any) -> list[Judgement]:  # noqa: ANN401  (options of Monitor)
    monitor = Monitor(**options)
    return [monitor.update(step, row) for step, row in enumerate(rows)]


def whole_run(rows: Rows) -> RunData:
    """The same rows as a finished run, without the monitor's own way there."""
    curves = []
    for key in (key for key in KEYS if any(key in row for row in rows)):
        parsed = parse_key(key)
        assert parsed is not None
        points = [(step, row[key]) for step, row in enumerate(rows) if key in row]
        step, value = zip(*points, strict=True)
        curves.append(Curve(parsed.metric, parsed.split, step=np.array(step), value=np.array(value), key=key))
    return RunData(run_id="", name="", curves=tuple(curves))


KEYS = ("train_loss", "val_loss", "val_accuracy")
VALUES = st.one_of(st.floats(0, 5), st.sampled_from([nan, inf, -inf, 1e-300, 1e300]))
ROWS = st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), min_size=1, max_size=40)


@given(rows=ROWS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_future_changes_nothing(rows: Rows, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(rows)))
    assert repr(feed(rows[:n])[-1]) == repr(feed(rows)[n - 1])  # repr: NaN in evidence equals itself


@given(rows=ROWS)
@settings(max_examples=60, deadline=None)
def test_the_last_judgement_is_that_of_the_whole_run(rows: Rows) -> None:
    run = whole_run(rows)
    findings = apply_rules(run)
    judgement = feed(rows)[-1]
    assert judgement.verdict == decide_verdict(run, findings)
    assert repr(sorted(judgement.findings, key=lambda f: f.code)) == repr(sorted(findings, key=lambda f: f.code))


def test_long_run_is_judged_to_its_end_on_request() -> None:
    rows = rising_after(500, 1234)
    monitor = Monitor()
    for step, row in enumerate(rows):
        latest = monitor.update(step, row)
    assert latest.step < 1233
    last = monitor.judge()
    assert last.step == 1233
    assert repr(last.findings) == repr(apply_rules(whole_run(rows)))
    assert monitor.judge() is last


def test_alarm_on_overfitting_keeps_the_best_step_and_stays() -> None:
    judgements = feed(rising_after(20, 60))
    alarms = [j.alarm for j in judgements if j.alarm is not None]
    first = alarms[0]
    assert (first.verdict, first.code, first.best_step) == ("overfitting", "FIT001", 20)
    assert 20 < first.since < first.step <= 40
    assert all(alarm is first for alarm in alarms)
    assert len(alarms) == 60 - first.step
    assert "20" in first.message
    assert first.advice


def test_best_step_is_the_raw_minimum() -> None:
    rows = rising_after(20, 60)
    rows[11]["val_loss"] = 0.01
    alarm = feed(rows)[-1].alarm
    assert alarm is not None
    assert alarm.best_step == 11


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_no_alarm_while_the_loss_falls(noise: float) -> None:
    rng = np.random.default_rng(1)
    rows = [
        {"train_loss": (0.95**i + 0.1) * (1 + noise * a), "val_loss": (0.95**i + 0.2) * (1 + noise * b)}
        for i, (a, b) in enumerate(rng.standard_normal((80, 2)))
    ]
    assert all(j.alarm is None for j in feed(rows))


def test_an_alarm_needs_to_last() -> None:
    rows = rising_after(20, 60)
    alarms = [_alarm(feed(rows, min_points=n)) for n in (10, 20)]
    assert [alarm.step - alarm.since for alarm in alarms] == [10, 20]
    assert feed(rows, persistence=0.9)[-1].alarm is None


def test_a_bump_that_recovers_is_no_alarm() -> None:
    rows = rising_after(10, 14) + [{"train_loss": 0.2 * 0.9**i, "val_loss": 0.55 * 0.97**i} for i in range(40)]
    assert feed(rows)[-1].alarm is None


def test_chosen_verdicts_only() -> None:
    assert feed(rising_after(20, 60), alarms={"not_learning"})[-1].alarm is None
    stuck = [{"train_loss": 0.7, "val_loss": 0.7, "val_accuracy": 0.1}] * 30
    alarm = _alarm(feed(stuck, alarms={"not_learning"}, n_classes=10))
    assert (alarm.verdict, alarm.code) == ("not_learning", "TRN003")


def climbing() -> list[dict[str, float]]:
    """Both losses fall, and climb together from epoch 20 on."""
    return [
        {"train_loss": 0.9**i + 0.05 * max(0, i - 20), "val_loss": 0.9**i + 0.06 * max(0, i - 20)} for i in range(60)
    ]


def test_late_divergence_is_an_alarm_on_request_only() -> None:
    assert feed(climbing())[-1].verdict == "diverged"
    assert feed(climbing())[-1].alarm is None
    assert _alarm(feed(climbing(), late_divergence=True)).code == "TRN002"


@pytest.mark.parametrize("value", [nan, inf])
def test_values_that_are_not_finite_are_seen_at_once_and_alarm_when_they_stay(value: float) -> None:
    healthy = [{"train_loss": 0.9**i + 0.1, "val_loss": 0.9**i + 0.2} for i in range(300)]
    judgements = feed([*healthy, *[{"train_loss": value, "val_loss": value}] * 40])
    assert (judgements[300].step, judgements[300].verdict) == (300, "diverged")
    assert judgements[300].alarm is None
    alarm = _alarm(judgements)
    assert (alarm.verdict, alarm.code, alarm.since, alarm.best_step) == ("diverged", "TRN001", 300, 299)


def test_values_that_never_were_finite_alarm_too() -> None:
    alarm = _alarm(feed([{"train_loss": nan, "val_loss": nan}] * 10))
    assert (alarm.verdict, alarm.code, alarm.step, alarm.since) == ("diverged", "TRN001", 3, 0)


def test_one_nan_that_recovers_is_no_alarm() -> None:
    rows = [{"train_loss": 0.9**i + 0.1, "val_loss": 0.9**i + 0.2} for i in range(60)]
    rows[30]["train_loss"] = nan
    assert feed(rows)[-1].alarm is None


def test_metrics_of_one_step_may_come_apart() -> None:
    rows = rising_after(20, 45)
    monitor = Monitor()
    for step, row in enumerate(rows):
        for key, value in row.items():
            judgement = monitor.update(step, {key: value})
    together = feed(rows)[-1]
    assert repr(judgement.findings) == repr(together.findings)
    assert judgement.alarm is not None
    assert together.alarm is not None
    assert abs(judgement.alarm.step - together.alarm.step) <= 1


def test_a_resumed_run_overwrites_its_steps() -> None:
    rows = rising_after(20, 40)
    monitor = Monitor()
    for step in range(10, 30):
        monitor.update(step, {"train_loss": 9.0, "val_loss": 9.0 + step})
    for step, row in enumerate(rows):
        judgement = monitor.update(step, row)
    found = {f.code: f for f in judgement.findings}
    assert found["FIT001"].step == 20
    assert judgement.verdict == feed(rows)[-1].verdict


def test_any_spelling_and_nothing_to_judge() -> None:
    monitor = Monitor()
    judgement = monitor.update(0, {"lr": 0.1, "epoch": 3, "Loss/Validation": np.float32(0.5), "val_loss_scale": None})
    assert judgement.verdict == "not_enough_information"
    assert judgement.alarm is None
    assert Monitor().judge().verdict == "not_enough_information"


def test_batches_and_epochs_on_one_axis() -> None:
    monitor, rng = Monitor(), np.random.default_rng(0)
    for step in range(1, 3001):
        row = {"train_loss": 0.998**step * (1 + 0.1 * rng.standard_normal())}
        if step % 100 == 0:
            row["val_loss"] = 0.5 + abs(step - 1000) / 2000
        judgement = monitor.update(step, row)
    assert judgement.alarm is not None
    assert judgement.alarm.best_step == 1000


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (lambda m: m.update(0, {"val_loss": "high"}), "'val_loss' at step 0 is 'high'"),
        (lambda m: m.update(nan, {"val_loss": 1}), "step is nan"),
        (lambda m: m.update("first", {}), "step is 'first'"),
        (lambda _: Monitor(growth=-0.1), "growth is -0.1"),
        (lambda _: Monitor(persistence=nan), "persistence is nan"),
    ],
)
def test_what_cannot_be_used_is_named(broken: Callable[[Monitor], object], what: str) -> None:
    with pytest.raises(InputError, match=what):
        broken(Monitor())


def test_judgements_get_rarer_and_memory_stays_linear() -> None:
    n = 20_000
    monitor, judged = Monitor(), 0
    rng = np.random.default_rng(0)
    values = (np.geomspace(1, 0.1, n) * (1 + 0.01 * rng.standard_normal(n))).tolist()
    latest = None
    monitor.update(0, {"train_loss": 1.0, "val_loss": 1.0})
    tracemalloc.start()
    for step, value in enumerate(values, start=1):
        judgement = monitor.update(step, {"train_loss": value, "val_loss": value})
        judged += judgement is not latest
        latest = judgement
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert judged < 50 + np.log(n / 50) / np.log(1.02) + 20
    assert kept < 100 * n
    assert peak < 1000 * n


def _alarm(judgements: list[Judgement]) -> Alarm:
    alarm = judgements[-1].alarm
    assert alarm is not None
    return alarm


def test_a_global_step_is_called_a_step() -> None:
    monitor = Monitor(step_unit="global_step")
    alarms = []
    for epoch in range(40):
        values = {"train_loss": 0.9**epoch, "val_loss": 0.2 + (epoch - 10) ** 2 / 1000}
        alarms.append(monitor.update(50 * epoch, values).alarm)
    alarm = next(one for one in alarms if one is not None)
    assert alarm.best_step == 500
    assert alarm.message.startswith("The validation loss is best at step 500 (")
    findings = monitor.judge().findings
    assert not any("global_step" in text for f in findings for text in (f.message, f.advice))
