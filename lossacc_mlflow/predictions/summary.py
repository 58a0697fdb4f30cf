"""Labels and probabilities → their summary, and what is kept of every sample."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lossacc_mlflow.blocks import Block, dot, in_order, make_tiles
from lossacc_mlflow.calibration import MIN_SAMPLES, Temperatures, fit_temperatures, losses_after
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.predictions.figures import summarize_sums
from lossacc_mlflow.predictions.inputs import ArrayRows, BlockRows, Labels, array_rows
from lossacc_mlflow.predictions.labels import ClassNames
from lossacc_mlflow.predictions.rows import RowFigures, judge_rows
from lossacc_mlflow.predictions.sums import PredictionSums, add_up
from lossacc_mlflow.records import FloatArray, Predictions, PredictionSummary, SamplePredictions, Split

__all__ = ["judge_prediction_blocks", "judge_predictions", "summarize_predictions"]

_READ_ONCE_NOTE = (
    "The temperature was not fitted: that takes further passes, and the blocks come from an iterator that can be "
    "read once. Give a list, or an object whose __iter__ starts anew."
)

_TOO_FEW_NOTE = f"The temperature was not fitted: that takes {MIN_SAMPLES} samples."

_LARGE = 1 << 20
_SAMPLE_ROWS = 128
_SAMPLE_ENTRIES = 1 << 22


def summarize_predictions(
    y_true: ArrayLike | Iterable[Any],
    y_proba: ArrayLike | None = None,
    *,
    temperature: bool = True,
    labels: Labels | None = None,
    sample_weight: ArrayLike | None = None,
) -> PredictionSummary:
    """Summarise labels and probabilities, in one pass and in bounded memory.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,), or iterable of blocks
        Class labels, see :func:`make_predictions`. Without ``y_proba``, an iterable of ``(y_true, y_proba)`` or
        ``(y_true, y_proba, sample_weight)``, each of some rows: a file that does not fit into memory, say.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), optional
    temperature : bool
        Whether to fit a temperature and split the loss into calibration and refinement. That takes further passes,
        so blocks must come from an iterable that can be read again; from an iterator these figures are None, and
        ``notes`` says so.
    labels : sequence of length n_classes, optional
        The class of each column. Needed for blocks whose labels are text, unless the first block has all classes.
    sample_weight : array-like of shape (n_samples,), optional
        Every mean is then a weighted one; ``n_samples`` and other numbers of samples stay counts. The expected ECE,
        the z of over-confidence and standard errors use the squared weights, as variances of weighted sums do.

    Returns
    -------
    PredictionSummary
        Can be merged with others (``.merge``). The log loss is scikit-learn's in float64, whatever the dtype;
        ``loss_by_clip`` tells what it is under the clips of other libraries. Gini coefficient and top shares are exact
        up to 10,000 samples and within 1e-3 beyond; ``n_huge_errors`` is exact up to 10,000 of them, and beyond to
        those within 0.4 % of the bound.

    Raises
    ------
    PredictionsError
        See :func:`make_predictions`.

    Examples
    --------
    >>> summary = summarize_predictions([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> round(summary.accuracy, 3), round(summary.log_loss, 4), round(summary.loss_incorrect, 4)
    (0.667, 0.4149, 0.9163)
    >>> blocks = [([0], [[0.9, 0.1]]), ([1, 1], [[0.2, 0.8], [0.6, 0.4]])]
    >>> summarize_predictions(blocks).log_loss == summary.log_loss
    True
    """
    rows: ArrayRows | BlockRows
    if y_proba is not None:
        rows = array_rows(y_true, y_proba, labels, sample_weight)  # type: ignore[arg-type]  # no blocks beside y_proba
    elif sample_weight is not None:
        raise PredictionsError("the weights of blocks belong into the blocks: (y_true, y_proba, sample_weight).")
    elif not isinstance(y_true, Iterable) or isinstance(y_true, np.ndarray):
        raise PredictionsError("y_proba is missing: give the probabilities, or blocks (y_true, y_proba).")
    else:
        rows = BlockRows(y_true, labels)
    walk = _Walk(rows, samples=temperature and rows.repeatable)
    total = walk.sums()
    if not temperature:
        return summarize_sums(total)
    if not rows.repeatable:
        return summarize_sums(total, notes=(_READ_ONCE_NOTE,))
    if total.n < MIN_SAMPLES:
        return summarize_sums(total, notes=(_TOO_FEW_NOTE,))
    temperatures = fit_temperatures(rows, walk.sample(total.n))
    after = [sums for sums, _ in in_order(partial(_after_temperature, temperatures=temperatures), rows)]
    return summarize_sums(total, **_temperature_figures(total, temperatures, np.sum(after, axis=0)))


def judge_predictions(
    predictions: Predictions, *, temperature: bool = True
) -> tuple[PredictionSummary, SamplePredictions]:
    """Compute the summary and what is kept of every sample.

    Parameters
    ----------
    predictions : Predictions
    temperature : bool
        Whether to fit a temperature; without it the samples keep their own probability.

    Returns
    -------
    summary : PredictionSummary
    samples : SamplePredictions
    """
    rows = array_rows(
        predictions.y_true,
        predictions.y_proba,
        ClassNames(len(predictions.classes), predictions.classes),
        predictions.sample_weight,
    )
    return _judge(rows, predictions.split, predictions.sample_id, notes=predictions.notes, temperature=temperature)


def judge_prediction_blocks(
    blocks: Iterable[Any],
    *,
    split: Split = "validation",
    labels: Labels | None = None,
    sample_id: Sequence[object] | None = None,
    temperature: bool = True,
) -> tuple[PredictionSummary, SamplePredictions]:
    """Do as `judge_predictions`, of blocks that need not be in memory together.

    Parameters
    ----------
    blocks : iterable of (y_true, y_proba) or (y_true, y_proba, sample_weight)
        One that can be read again, such as a `PredictionBuffer`.
    split : {"train", "validation", "test"}
    labels : sequence of length n_classes, optional
        The class of each column. Needed where labels are text, unless the first block has all classes.
    sample_id : sequence of length n_samples, optional
    temperature : bool

    Returns
    -------
    summary : PredictionSummary
    samples : SamplePredictions

    Raises
    ------
    PredictionsError
        See :func:`make_predictions`; and of blocks that can be read only once.
    """
    rows = BlockRows(blocks, labels)
    if not rows.repeatable:
        raise PredictionsError("blocks from an iterator can be read only once: put them into a PredictionBuffer.")
    return _judge(rows, split, sample_id, temperature=temperature)


def _judge(
    rows: ArrayRows | BlockRows,
    split: Split,
    sample_id: Sequence[object] | None,
    *,
    temperature: bool,
    notes: tuple[str, ...] = (),
) -> tuple[PredictionSummary, SamplePredictions]:
    walk = _Walk(rows, samples=temperature, keeps=True)
    total = walk.sums()
    if sample_id is not None and len(sample_id) != total.n:
        raise PredictionsError(f"sample_id has {len(sample_id)} entries for {total.n} samples: give one a sample.")
    kept = {
        name: np.concatenate([getattr(part, name) for part in walk.kept])
        for name in ("y_true", "y_pred", "confidence", "p_true", "brier")
    }
    weights = [part.weight for part in walk.kept if part.weight is not None]
    figures: dict[str, Any] = {}
    after = kept["p_true"]
    if temperature and total.n < MIN_SAMPLES:
        notes += (_TOO_FEW_NOTE,)
    elif temperature:
        temperatures = fit_temperatures(rows, walk.sample(total.n))
        parts = list(in_order(partial(_after_temperature, temperatures=temperatures), rows))
        figures = _temperature_figures(total, temperatures, np.sum([sums for sums, _ in parts], axis=0))
        after = np.exp(-np.concatenate([losses for _, losses in parts]))
    samples = SamplePredictions(
        split=split,
        sample_id=tuple(map(str, range(total.n) if sample_id is None else sample_id)),
        p_true_after_temperature=after,
        classes=rows.classes.names,
        sample_weight=np.concatenate(weights) if weights else None,
        **kept,
    )
    return summarize_sums(total, notes=notes, **figures), samples


class _Walk:
    """The first pass: sums over all blocks, and on the way some rows to start a temperature fit from.

    Parameters
    ----------
    rows : ArrayRows or BlockRows
    samples : bool
        Whether to keep rows for a temperature fit.
    keeps : bool
        Whether to keep what is known of every row, in ``kept``.
    """

    def __init__(self, rows: ArrayRows | BlockRows, *, samples: bool, keeps: bool = False) -> None:
        self.kept: list[RowFigures] = []
        self._rows, self._samples, self._keeps = rows, samples, keeps
        self._sample: list[Block] = []
        self._stride = 0

    def sums(self) -> PredictionSums:
        """Read every block once."""
        total: PredictionSums | None = None
        for figures, sums in in_order(self._judge, self._blocks()):
            total = sums if total is None else total + sums
            if self._keeps:
                self.kept.append(figures)
        if total is None:
            raise PredictionsError("there are no predictions: give at least one sample.")
        if not total.weight > 0:
            raise PredictionsError("all samples have weight 0: give a weight to some of them.")
        return replace(total, repairs=total.repairs + self._rows.repairs)

    def sample(self, n: int) -> Sequence[Block]:
        """Return the rows to start from; none where all rows are not many more."""
        n_kept = sum(map(len, self._sample))
        n_classes = len(self._rows.classes)
        return self._sample if n * n_classes > _LARGE and 4 * n_kept < n else ()

    def _blocks(self) -> Iterator[Block]:
        for block in self._rows:
            if self._samples:
                self._take(block)
            yield block

    def _take(self, block: Block) -> None:
        """Keep rows spread evenly over the block; thin out what is kept where it becomes too much."""
        self._stride = self._stride or max(1, len(block) // _SAMPLE_ROWS)
        self._sample.append(_thinned(block, self._stride))
        if sum(part.y_proba.size for part in self._sample) > _SAMPLE_ENTRIES:
            self._sample = [_thinned(part, 2) for part in self._sample]
            self._stride *= 2

    def _judge(self, block: Block) -> tuple[RowFigures, PredictionSums]:
        figures, repairs = judge_rows(block)
        return figures, add_up(figures, self._rows.classes.names, len(self._rows.classes), repairs)


def _thinned(block: Block, stride: int) -> Block:
    weight = None if block.weight is None else block.weight[::stride].copy()
    return Block(block.start, block.y_true[::stride].copy(), block.y_proba[::stride].copy(), weight)


def _after_temperature(block: Block, temperatures: Temperatures) -> tuple[FloatArray, FloatArray]:
    """Sums for `_temperature_figures`, and the loss of every row after temperature."""
    before, after = losses_after(block, temperatures)
    correct = np.concatenate([tile.argmax() for tile in make_tiles(block.y_proba)]) == block.y_true
    weight = np.ones(len(block)) if block.weight is None else block.weight
    removed, squared = before - after, weight**2
    costs = weight * after
    sums = [costs[correct].sum(), costs[~correct].sum(), dot(squared, removed), dot(squared, removed**2)]
    return np.array(sums), after


def _temperature_figures(total: PredictionSums, temperatures: Temperatures, after: FloatArray) -> dict[str, Any]:
    """Calibration and refinement, with the part of the calibration loss that right and wrong answers carry."""
    after_correct, after_incorrect, removed, removed_squared = map(float, after)
    correct = (total.loss_correct - after_correct) / total.weight
    incorrect = (total.loss_incorrect - after_incorrect) / total.weight
    refinement = (after_correct + after_incorrect) / total.weight
    loss = (total.loss_correct + total.loss_incorrect) / total.weight
    mean = loss - refinement
    spread = removed_squared - 2 * mean * removed + mean**2 * total.weight_squared
    return {
        "temperature": temperatures.temperature,
        "temperature_at_bound": temperatures.at_bound,
        "calibration_loss": mean,
        "calibration_loss_se": sqrt(max(0.0, spread) * total.n / (total.n - 1)) / total.weight,
        "calibration_loss_incorrect": incorrect,
        "calibration_loss_correct": correct,
        "refinement_loss": refinement,
    }
