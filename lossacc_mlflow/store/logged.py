"""What a run holds already: so that nothing is logged twice, and a second training does not mix with the first."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.keys import OWN_PREFIX, ParsedKey, find_metric, parse_keys, parse_override
from lossacc_mlflow.store.connection import Connection, translated
from lossacc_mlflow.store.lookup import fetch_run

__all__ = ["CURVES_TAG", "KeyDecisions", "StepRange", "decide_keys"]

CURVES_TAG = "lossacc.curves"
"""Names the keys of the curves that our loggers write: what holds the same metric under another key is another's."""

KEYS_TAG = "lossacc.keys"
"""Says what keys mean, as ``--key`` does: those are wanted beside another logger's."""


_FEW_STEPS = 10


@dataclass(slots=True)
class StepRange:
    """First and last step of a curve that grows, and its last timestamp in milliseconds."""

    first: int
    last: int
    timestamp: int = 0

    def add(self, step: int, now: int) -> int:
        """Take in a step; return its timestamp: of points of one step the last counts, and only that tells it."""
        self.timestamp = max(now, self.timestamp + (step <= self.last))
        self.first, self.last = min(self.first, step), max(self.last, step)
        return self.timestamp


@dataclass(frozen=True, slots=True)
class KeyDecisions:
    """What becomes of keys that are about to be written for the first time.

    Parameters
    ----------
    accepted : frozenset of str
    elsewhere : mapping of str to str
        Key of ours to that under which another logger has written the same curve.
    repeated : frozenset of str
        Keys that hold a curve of ours which begins no earlier than this one: that of another training.
    curves : tuple of str
        Keys of ours in the run, with the accepted ones, for `CURVES_TAG`.
    """

    accepted: frozenset[str]
    elsewhere: Mapping[str, str]
    repeated: frozenset[str]
    curves: tuple[str, ...]


def decide_keys(
    connection: Connection,
    run_id: str,
    wanted: Mapping[str, StepRange],
    tags: Mapping[str, str],
    *,
    repeats: bool = False,
) -> KeyDecisions:
    """Look at what a run holds: one request, and one more for every key that could be in the way.

    Parameters
    ----------
    connection : Connection
    run_id : str
    wanted : mapping of str to StepRange
        The keys to be written, with the steps that there are so far.
    tags : mapping of str to str
        Of ours that may not be on the run yet: loss, step unit, meaning of keys.
    repeats : bool
        Whether curves of ours may begin anew: they are the same points.

    Returns
    -------
    KeyDecisions

    Raises
    ------
    UnknownRunError
        If there is no such run.
    StoreError
        If the store cannot be reached, or refuses.
    """
    run = fetch_run(connection, run_id)
    known = {**run.data.tags, **tags}
    ours = [key for key in known.get(CURVES_TAG, "").split(",") if key]
    held = [key for key in run.data.metrics if not key.startswith(OWN_PREFIX)]
    meanings = parse_keys(dict.fromkeys([*held, *wanted]))
    beside = _declared(known.get(KEYS_TAG, ""))
    accepted: set[str] = set()
    repeated: set[str] = set()
    elsewhere: dict[str, str] = {}
    for key, steps in wanted.items():
        if key in held and key in ours:
            there = set() if repeats else _steps(connection, run_id, key)
            (repeated if there and steps.first <= min(there) else accepted).add(key)
            continue
        rivals = [key] if key in held else []
        if key in meanings and key not in beside and not rivals:
            rivals = [
                other
                for other in held
                if other not in ours and other in meanings and _is_same(meanings[other], meanings[key], known)
            ]
        rival = next(
            (other for other in rivals if _is_curve(_steps(connection, run_id, other), steps, is_key=other == key)),
            None,
        )
        if rival is None:
            accepted.add(key)
        else:
            elsewhere[key] = rival
    return KeyDecisions(
        frozenset(accepted), elsewhere, frozenset(repeated), tuple(dict.fromkeys([*ours, *sorted(accepted)]))
    )


def _is_same(theirs: ParsedKey, ours: ParsedKey, tags: Mapping[str, str]) -> bool:
    """Whether two keys tell the same metric of the same split, at steps that count the same thing."""
    if theirs.split != ours.split:
        return False
    if theirs.step_unit not in {None, ours.step_unit or tags.get("lossacc.step_unit", "epoch")}:
        return False
    names = {theirs.metric.name, ours.metric.name}
    told = find_metric(tags.get("lossacc.loss", "loss"))
    return len(names) == 1 or (told is not None and names == {"loss", told[0].name})


def _is_curve(there: Collection[int], steps: StepRange, *, is_key: bool) -> bool:
    """Whether there is a curve like ours: of several points, or as much as our own single one; a score is none.

    One that has come much further counts something else, batches say; under our own key it still is in the way.
    """
    if len(there) < 2:
        return steps.first == steps.last and set(there) == {steps.first}
    return is_key or max(there) <= 2 * steps.last + _FEW_STEPS


def _steps(connection: Connection, run_id: str, key: str) -> set[int]:
    with translated(connection.uri, f"metric {key!r} of run {run_id!r} cannot be read"):
        return {int(point.step) for point in connection.client.get_metric_history(run_id, key)}


def _declared(text: str) -> set[str]:
    keys = set()
    for part in filter(None, text.split(",")):
        try:
            keys.add(parse_override(part)[0])
        except InputError:  # said where the run is read
            continue
    return keys
