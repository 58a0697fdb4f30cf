"""What a module logs by ``self.log``: under which names, by batch or by epoch, and which of our keys it is."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from lossacc_mlflow.keys import SPLIT_PREFIXES, ParsedKey, parse_keys, plainness

__all__ = ["LoggedNames"]

_OURS = {
    "loss": "loss",
    "log_loss": "loss",
    "accuracy": "accuracy",
    "root_mean_squared_error": "rmse",
    "r2": "r2",
}


class LoggedNames:
    """Names of metrics that a module logs, sorted by our keys.

    Lightning's ``callback_metrics`` hold three kinds: those of epochs; those of batches alone, whose value is that of
    the last batch; and those that are logged when the epoch is over for callbacks, which are one epoch behind wherever
    a callback logs them (as MLflow's autologging does).
    """

    def __init__(self) -> None:
        self._of_batches: frozenset[str] | None = None
        self._in_time: set[str] = set()
        self._late: set[str] = set()
        self._of_validation: set[str] = set()

    def see_first_batch(self, names: Collection[str]) -> None:
        """Take in what there is after the first batch of all: forks ``X_step`` of ``X`` are of epochs, too."""
        self._of_batches = frozenset(name for name in names if f"{name}_step" not in names)

    def see_validation(self, names: Iterable[str]) -> None:
        """Take in what there is when a validation has ended."""
        new = set(names) - (self._of_batches or frozenset()) - self._in_time - self._late
        self._in_time.update(new)
        self._of_validation.update(new)

    def see_epoch(self, names: Iterable[str], *, is_late: bool = False) -> None:
        """Take in what there is when callbacks are told of the end of an epoch; or later."""
        new = set(names) - (self._of_batches or frozenset()) - self._in_time - self._late
        (self._late if is_late else self._in_time).update(new)

    def has_every_epoch(self, *, is_validated: bool) -> bool:
        """Whether something is logged at the end of every epoch, be it that every one is validated."""
        logged = self._in_time | self._late
        return bool(logged if is_validated else logged - self._of_validation)

    def of_epochs(self) -> dict[str, str]:
        """Our key -> name of what is logged by epoch, and known in time."""
        return _by_key(self._in_time)

    def late(self) -> dict[str, str]:
        """Our key -> name of what is logged by epoch when callbacks have been told of its end."""
        return _by_key(self._late)

    def of_batches(self) -> dict[str, str]:
        """Our key -> name of what is logged by batch alone."""
        return _by_key(self._of_batches or frozenset(), keeps_steps=True)

    def values(self, metrics: Mapping[str, Any], keys: Collection[str]) -> dict[str, float]:
        """Values of an epoch by our keys, of those that are logged in time."""
        found = {key: name for key, name in self.of_epochs().items() if key in keys and name in metrics}
        parsed = parse_keys(found.values())
        return {
            key: 1 - float(metrics[name]) if parsed[name].complement else float(metrics[name])
            for key, name in found.items()
        }


def _by_key(names: Iterable[str], *, keeps_steps: bool = False) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for name, parsed in sorted(parse_keys(names).items(), key=lambda item: plainness(item[0])):
        key = _our_key(parsed)
        if key is not None and (keeps_steps or parsed.step_unit in {None, "epoch"}):
            chosen.setdefault(key, name)
    return chosen


def _our_key(parsed: ParsedKey) -> str | None:
    metric = _OURS.get(parsed.metric.name)
    return None if parsed.split == "test" or metric is None else f"{SPLIT_PREFIXES[parsed.split]}_{metric}"
