"""What one training writes to its run: each key decided once, and a key that MLflow refuses left out alone."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlflow.exceptions import MlflowException

from lossacc_mlflow.errors import StoreError
from lossacc_mlflow.store.connection import Connection, connect, translated
from lossacc_mlflow.store.keeping import JudgedPredictions, keep
from lossacc_mlflow.store.logged import CURVES_TAG, StepRange, decide_keys
from lossacc_mlflow.store.points import Points, write_points
from lossacc_mlflow.store.unsent import Entry, RunTags
from lossacc_mlflow.store.writing import tag_entities
from lossacc_mlflow.wording import quote

__all__ = ["RunWriter"]

_log = logging.getLogger("lossacc_mlflow")


class RunWriter:
    """Writes points, tags and predictions of one training to its run.

    Parameters
    ----------
    run_id, tracking_uri : str
    steps : mapping of str to StepRange
        Of every key of the training, as it grows.
    tags : mapping of str to str
        All tags of the training so far: they say what its keys mean.
    repeats : bool
        Whether the points may be there already: what is sent twice is there once.

    Attributes
    ----------
    dropped : set of str
        Keys that are not written.
    is_second_training : bool
        Whether the run holds the curves of another training already.
    asked_at : float or None
        ``time.monotonic()`` of the request that has no answer yet.
    is_stopped : bool
        Set from outside: nothing is to be written any more.
    """

    def __init__(
        self,
        run_id: str,
        tracking_uri: str,
        steps: Mapping[str, StepRange],
        tags: Mapping[str, str],
        *,
        repeats: bool = False,
    ) -> None:
        self._repeats = repeats
        self._run_id, self._tracking_uri, self._steps, self._tags = run_id, tracking_uri, steps, tags
        self._accepted: set[str] = set()
        self._written_tags: dict[str, str] = {}
        self.dropped: set[str] = set()
        self.is_second_training = self.is_stopped = False
        self.asked_at: float | None = None

    def connect(self) -> Connection:
        """Reach the store.

        Raises
        ------
        StoreError
            If it does not answer.
        """
        with self._asking():
            return connect(self._tracking_uri)

    def write(self, connection: Connection, entry: Entry) -> bool:
        """Write one entry.

        Returns
        -------
        bool
            False where predictions cannot be written although the store answers: their files lie elsewhere.

        Raises
        ------
        StoreError
            If the store cannot be reached, or refuses.
        """
        if self.is_stopped:
            raise StoreError("the training has ended")
        with self._asking():
            if isinstance(entry, Points):
                self._write_points(connection, entry)
            elif isinstance(entry, RunTags):
                self._write_tags(connection, entry.tags)
            elif isinstance(entry, JudgedPredictions):
                return self._write_predictions(entry)
        return True

    def drop_second_training(self, keys: list[str]) -> None:
        """Leave this training out of the run, which holds the curves of another one."""
        self.dropped.update(keys)
        if not self.is_second_training:
            self.is_second_training = True
            _log.warning(
                "lossacc: run %s already holds the curve of another training (%s), which begins at the same step: this "
                "training is not logged to it. Take one run a model: 'with mlflow.start_run(): ...' around each.",
                *(self._run_id, ", ".join(keys)),
            )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Note since when the store owes an answer."""
        self.asked_at = time.monotonic()
        try:
            yield
        finally:
            self.asked_at = None

    def _write_tags(self, connection: Connection, tags: Mapping[str, str]) -> None:
        new = {key: value for key, value in tags.items() if self._written_tags.get(key) != value}
        if not new:
            return
        with translated(connection.uri, f"tags of run {self._run_id!r} cannot be written"):
            connection.client.log_batch(self._run_id, tags=tag_entities(new), synchronous=True)
        self._written_tags.update(new)

    def _write_predictions(self, judged: JudgedPredictions) -> bool:
        try:
            keep(self._run_id, judged, tracking_uri=self._tracking_uri)
        except StoreError:
            connect(self._tracking_uri)  # raises where it is not only the files that cannot be reached
            _log.debug("lossacc: predictions of run %s", self._run_id, exc_info=True)
            return False
        return True

    def _write_points(self, connection: Connection, points: Points) -> None:
        new = set(points.keys) - self._accepted - self.dropped
        if new:
            self._decide(connection, {key: self._steps[key] for key in new if key in self._steps})
        points = points.only(self._accepted)
        try:
            write_points(connection, self._run_id, points, progress=self._note_answer)
        except StoreError as error:
            if not _is_refusal(error):
                raise
            self._write_key_by_key(connection, points, error)

    def _note_answer(self, _: int) -> None:
        self.asked_at = time.monotonic()
        if self.is_stopped:
            raise StoreError("the training has ended")

    def _decide(self, connection: Connection, new: Mapping[str, StepRange]) -> None:
        """Look, once for each key, whether it is ours to write."""
        decisions = decide_keys(connection, self._run_id, new, self._tags, repeats=self._repeats)
        if decisions.repeated:
            self.drop_second_training(sorted(decisions.repeated))
        for key, other in decisions.elsewhere.items():
            self.dropped.add(key)
            _log.info("lossacc: run %s has %s from another logger, as %s.", self._run_id, key, other)
        if decisions.accepted:
            # With the other tags so far, which would else be a request of their own.
            others = {} if self.is_second_training else dict(self._tags)
            self._write_tags(connection, {CURVES_TAG: ",".join(decisions.curves), **others})
            self._accepted |= decisions.accepted

    def _write_key_by_key(self, connection: Connection, points: Points, error: StoreError) -> None:
        """Find the keys that MLflow refuses; if it is all of them, it is not their fault."""
        keys = sorted({points.keys[place] for place in set(points.key.tolist())})
        refused: dict[str, StoreError] = {}
        for key in keys:
            try:
                write_points(connection, self._run_id, points.only({key}), progress=self._note_answer)
            except StoreError as of_key:
                if not _is_refusal(of_key):
                    raise
                refused[key] = of_key
        if len(refused) == len(keys) and not all(key in str(why) for key, why in refused.items()):
            raise error
        for key, why in refused.items():
            self.dropped.add(key)
            self._accepted.discard(key)
            _log.warning("lossacc: %s is not logged: %s", quote(key), why)


def _is_refusal(error: StoreError) -> bool:
    """Whether MLflow found fault with what it was given."""
    cause = error.__cause__
    return isinstance(cause, MlflowException) and cause.error_code in {"INVALID_PARAMETER_VALUE", "BAD_REQUEST"}
