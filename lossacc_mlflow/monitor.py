"""The judge of a run that is still growing: what the rules say so far, and since when there is reason to stop."""

from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import SupportsFloat

import numpy as np

from lossacc_mlflow.curves import held_out_split, is_over_steps, loss_curve, quality_curve
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import Curve, Finding, FloatArray, RunData, StepUnit, Verdict
from lossacc_mlflow.rules import RULES, Rule, apply_rules, decide_verdict
from lossacc_mlflow.rules.fit import LossOverfitting
from lossacc_mlflow.rules.verdict import decisive_finding
from lossacc_mlflow.series import Series, assemble_curves

__all__ = ["Alarm", "Judgement", "Monitor"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A verdict that gave reason to stop, and lasted.

    Parameters
    ----------
    verdict : str
    code : str
        Of the finding that decided the verdict; empty where it was the last value that is not finite.
    step : int
        Step at which it had lasted long enough.
    since : int
        Step of the judgement that saw the first sign of it.
    best_step : int
        Step with the best held-out loss until then (accuracy, where no loss is known): the weights to keep.
    message : str
        What the deciding finding said, for a person.
    advice : str
    """

    verdict: Verdict
    code: str
    step: int
    since: int
    best_step: int
    message: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say about a run up to a step.

    Parameters
    ----------
    step : int
        Last step that was looked at.
    verdict : str
    findings : tuple of Finding
        One for each rule.
    alarm : Alarm or None
        The first one of the run; it stays once it is there.
    """

    step: int
    verdict: Verdict
    findings: tuple[Finding, ...]
    alarm: Alarm | None = None


class Monitor:
    """Judge a run while it grows, from its past alone.

    Every judgement is that of `apply_rules` and `decide_verdict` on what has been logged so far, so the last one is
    the verdict on the whole run. A judgement looks at all points anew; so that a training of n steps does not cost
    n² it is made at every new point while a curve is short (up to 1 / ``growth`` points), and from then on when a
    curve has grown by the share ``growth``, or when its first value that is not finite arrives. All judgements
    together cost a multiple 1 / ``growth`` of the last one, whatever the length, and the monitor holds nothing but the
    logged numbers.

    Parameters
    ----------
    rules : tuple of Rule
    n_classes : int, optional
    majority_accuracy : float, optional
        Accuracy of always answering the largest class.
    n_validation : int, optional
        Number of validation samples.
    loss : str, optional
        Which loss a key that only says ``loss`` holds, such as ``log_loss``.
    step_unit : str, optional
        What the steps are; default ``epoch``.
    alarms : collection of str
        Verdicts that are reason to stop.
    late_divergence : bool
        Whether ``diverged`` is one also where all values are finite (TRN002). Train losses that climb often come down
        again below their old best: on labelled real runs half of such alarms would have cost the best step.
    first_sign : float
        Relative rise of the held-out loss that is the first sign of overfitting (FIT001 asks for more).
    min_rise : float
        Relative rise of the held-out loss from which a rise that lasts is an alarm, before it is a verdict.
    persistence : float
        For how long there must have been a sign when the verdict comes, as a share of the points of the held-out curve
        so far.
    min_points : int
        For how many points of the held-out curve at least.
    growth : float
        Share by which a curve must have grown for a new judgement.

    Raises
    ------
    InputError
        If one of the last five is negative or not a number.

    Notes
    -----
    The defaults were chosen on labelled real training curves (docs/benchmarks.md): stopping at the first alarm kept the
    best step in more than 99 % of the runs.

    Examples
    --------
    >>> monitor = Monitor()
    >>> for epoch in range(40):
    ...     train, validation = 0.9**epoch, 0.2 + (epoch - 10) ** 2 / 1000
    ...     judgement = monitor.update(epoch, {"train_loss": train, "val_loss": validation})
    ...     if judgement.alarm:
    ...         break
    >>> judgement.verdict, judgement.alarm.code, judgement.alarm.best_step
    ('overfitting', 'FIT001', 10)
    """

    def __init__(
        self,
        *,
        rules: tuple[Rule, ...] = RULES,
        n_classes: int | None = None,
        majority_accuracy: float | None = None,
        n_validation: int | None = None,
        loss: str | None = None,
        step_unit: StepUnit | None = None,
        alarms: Collection[Verdict] = ("overfitting", "loss_overfitting", "diverged"),
        late_divergence: bool = False,
        first_sign: float = 0.03,
        min_rise: float = 0.06,
        persistence: float = 0.1,
        min_points: int = 3,
        growth: float = 0.02,
    ) -> None:
        numbers = {
            "first_sign": first_sign,
            "min_rise": min_rise,
            "persistence": persistence,
            "min_points": min_points,
            "growth": growth,
        }
        for name, value in numbers.items():
            if not (isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value!r}; wanted is a number of at least 0.")
        self._rules, self._alarms, self._late_divergence = rules, frozenset(alarms), late_divergence
        overfitting = next((rule for rule in rules if isinstance(rule, LossOverfitting)), LossOverfitting())
        self._first_sign = replace(overfitting, max_rise=first_sign)
        self._rise = replace(overfitting, max_rise=min(min_rise, overfitting.max_rise))
        self._known = RunData(
            run_id="",
            name="",
            n_classes=n_classes,
            majority_accuracy=majority_accuracy,
            n_validation=n_validation,
        )
        self._loss, self._step_unit = loss, step_unit
        self._persistence, self._min_points, self._growth = persistence, min_points, growth
        self._logged: dict[str, _Logged] = {}
        self._judgement: Judgement | None = None
        self._since: tuple[int, int] | None = None  # step of the first sign, and points then
        self._last_step = 0

    def update(self, step: int, metrics: Mapping[str, SupportsFloat | None]) -> Judgement:
        """Take in what was logged at one step, and judge the run if it has grown enough.

        Parameters
        ----------
        step : int
        metrics : mapping of str to number
            By any key that can be read (``train_loss``, ``val_loss``, ``val_accuracy``, ``loss``, ...); others are
            passed over, and so is None. Metrics of one step may come in several updates, and steps again, after a
            restart: then the last value of a step stays.

        Returns
        -------
        Judgement
            The latest one; `Judgement.step` says how far it looked.

        Raises
        ------
        InputError
            If a step or a value is not a number.
        """
        at = _number(step, "the step")
        if not isfinite(at):
            raise InputError(f"the step is {at:g}; wanted is a number.")
        for key, value in metrics.items():
            if value is not None:
                self._logged.setdefault(key, _Logged()).append(at, _number(value, f"{key!r} at step {at:g}"))
        self._last_step = int(at)
        if self._judgement is None or any(one.is_due(self._growth) for one in self._logged.values()):
            return self._judge()
        return self._judgement

    def judge(self) -> Judgement:
        """Judge all that has been logged, however little is new: what to ask for at the end of a training."""
        if self._judgement is None or any(one.n_new for one in self._logged.values()):
            return self._judge()
        return self._judgement

    def _judge(self) -> Judgement:
        run = self._run()
        findings = apply_rules(run, self._rules)
        verdict = decide_verdict(run, findings)
        earlier = None if self._judgement is None else self._judgement.alarm
        alarm = self._check_alarm(run, verdict, findings)
        self._judgement = Judgement(self._last_step, verdict, findings, earlier or alarm)
        for one in self._logged.values():
            one.mark_judged()
        return self._judgement

    def _run(self) -> RunData:
        series = [Series(key, *one.arrays()) for key, one in self._logged.items()]
        curves, other_keys = assemble_curves(series, loss=self._loss, step_unit=self._step_unit)
        return replace(self._known, curves=curves, other_keys=other_keys)

    def _check_alarm(self, run: RunData, verdict: Verdict, findings: tuple[Finding, ...]) -> Alarm | None:
        """Follow how long there have been signs; when they break off, the next one is the first again."""
        if verdict not in self._alarms:
            findings = tuple(self._rise.check(run) if f.code == self._rise.code else f for f in findings)
            verdict = decide_verdict(run, findings)
        finding = decisive_finding(verdict, findings)
        may_recover = finding is not None and finding.code == "TRN002"
        is_alarm = verdict in self._alarms and (self._late_divergence or not may_recover)
        if not is_alarm and self._first_sign.check(run).status != "flagged":
            self._since = None
            return None
        watched = _watched(run)
        # Where no value ever was finite, there is nothing to watch, and still a training to be stopped.
        n_points = max((len(c) for c in run.curves), default=0) if watched is None else len(watched)
        self._since = self._since or (self._last_step, n_points)
        since, n_before = self._since
        if not is_alarm or n_points - n_before < max(self._min_points, self._persistence * n_points):
            return None
        return Alarm(
            verdict=verdict,
            code="" if finding is None else finding.code,
            step=self._last_step,
            since=since,
            best_step=self._last_step if watched is None else _best_step(watched),
            message="" if finding is None else finding.message,
            advice="" if finding is None else finding.advice,
        )


class _Logged:
    """The points of one key, as they came: 16 bytes each."""

    def __init__(self) -> None:
        self.step, self.value = array("d"), array("d")
        self._n_judged = 0
        self._n_finite = 0
        self._has_broken = False

    def arrays(self) -> tuple[FloatArray, FloatArray]:
        """Steps and values without a copy: nothing more can be appended while these are alive."""
        return np.frombuffer(self.step), np.frombuffer(self.value)

    def append(self, step: float, value: float) -> None:
        """Take in a point."""
        self.step.append(step)
        self.value.append(value)
        self._has_broken |= not isfinite(value) and self._n_finite == len(self.value) - 1
        self._n_finite += isfinite(value)

    @property
    def n_new(self) -> int:
        """Points since the last judgement."""
        return len(self.value) - self._n_judged

    def is_due(self, growth: float) -> bool:
        """Whether there is enough to judge anew: a share of all points, or the first that is not finite."""
        return self.n_new > 0 and (self._has_broken or self.n_new >= growth * len(self.value))

    def mark_judged(self) -> None:
        """Count what is there as judged."""
        self._n_judged = len(self.value)
        self._has_broken = False


def _number(value: SupportsFloat, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} is {value!r}; wanted is a number.") from error


def _watched(run: RunData) -> Curve | None:
    """The curve by which one chooses the step to keep: held-out loss, else held-out accuracy, else train loss."""
    held_out = held_out_split(run)
    candidates = (loss_curve(run, held_out), quality_curve(run, held_out), loss_curve(run, "train"))
    return next((c for c in candidates if c is not None and is_over_steps(c) and np.isfinite(c.value).any()), None)


def _best_step(curve: Curve) -> int:
    value = curve.value if curve.metric.greater_is_better else -curve.value
    return int(curve.step[np.argmax(np.where(np.isfinite(value), value, -np.inf))])
