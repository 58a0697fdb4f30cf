"""Of which steps the predictions of the validation data are made: they cost a pass over it, and some memory."""

from math import inf, isfinite

from lossacc_mlflow.loggers.options import Predictions

__all__ = ["PredictionPolicy"]


class PredictionPolicy:
    """Tells, step by step, whether predictions are to be made.

    Parameters
    ----------
    predictions : {"last", "best"}, int or None
        ``"last"``: once, when the training ends. ``"best"``: whenever the validation loss is the lowest so far; where
        no validation loss is known, as ``"last"``. An integer n: at every n-th step that is asked about, and when the
        training ends.

    Examples
    --------
    >>> policy = PredictionPolicy("best")
    >>> [policy.is_due(step, loss) for step, loss in enumerate([0.9, 0.5, 0.6])], policy.is_due(2, is_last=True)
    ([True, True, False], False)
    >>> policy = PredictionPolicy(2)
    >>> [policy.is_due(step) for step in range(5)], policy.is_due(4, is_last=True)
    ([False, True, False, True, False], True)
    """

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions
        self._best, self._n_asked = inf, 0
        self._made_at: int | None = None

    @property
    def keeps_steps(self) -> bool:
        """Whether the figures of every step stay, and not only those of the last predictions."""
        return isinstance(self.predictions, int)

    def is_due(self, step: int, val_loss: float | None = None, *, is_last: bool = False) -> bool:
        """Whether predictions of this step are to be made. To be asked once a step, and once more at the end.

        Parameters
        ----------
        step : int
        val_loss : float, optional
            Of this step.
        is_last : bool
            Whether the training has ended; with the step of the weights that it ends with.
        """
        due = self._is_due(val_loss, is_last=is_last) and not (is_last and step == self._made_at)
        self._made_at = step if due else self._made_at
        return due

    def _is_due(self, val_loss: float | None, *, is_last: bool) -> bool:
        if self.predictions is None:
            return False
        if isinstance(self.predictions, int):
            self._n_asked += not is_last
            return is_last or self._n_asked % self.predictions == 0
        if self.predictions == "last":
            return is_last
        if is_last:
            return self._made_at is None
        if val_loss is None or not isfinite(val_loss) or not val_loss < self._best:
            return False
        self._best = val_loss
        return True
