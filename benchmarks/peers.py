"""The rules of other tools, written anew from their public documentation, with the defaults given there.

Each answers one question about a run in its own terms; `Peer.question` says which of ours it is taken as. A rule that
watches a training says yes if it fires at any step, as its users would see it do; a rule about a finished run looks at
the end. Every rule gets the steps at which train and validation loss are both finite, so that none stumbles over a NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import rankdata

from benchmarks.data import History
from lossacc_mlflow.records import FloatArray

__all__ = [
    "NEVER",
    "PEERS",
    "Peer",
    "Question",
    "autotrainer_oscillation",
    "autotrainer_slow_convergence",
    "deepchecks_boosting_overfit",
    "generalization_loss",
    "keras_early_stopping",
    "last_over_min",
    "matlab_gap",
    "prechelt_gl",
    "prechelt_pq",
    "prechelt_up",
    "runmedic_no_learning",
    "runmedic_overfitting",
    "sagemaker_loss_not_decreasing",
    "sagemaker_overfit",
    "sagemaker_overtraining",
    "spearman",
    "trainproof_overfit",
]

Question = Literal["overfit", "not_learning", "unstable", "nonfinite", "conflict"]

NEVER = -1
"""A stopping rule that never fired."""


@dataclass(frozen=True)
class Peer:
    """A rule of another tool.

    Parameters
    ----------
    name : str
        As it stands in the tables.
    question : str
        Which question its yes is taken as an answer to.
    says : callable
        History -> True, False, or None where it cannot answer.
    stops : callable or None
        History -> index of the point at which it would stop the training, -1 for never; None for rules that only
        look at a finished run.
    needs_accuracy : bool
    """

    name: str
    question: Question
    says: Callable[[History], bool | None]
    stops: Callable[[History], int] | None = None
    needs_accuracy: bool = False


def last_over_min(history: History, ratio: float) -> bool | None:
    """Tell whether the last validation loss exceeds the smallest one by a ratio.

    The one-line rule of blog posts and forums; on the published collection of labelled histories (Li et al. 2024,
    arXiv:2401.10359) it is as good as any trained classifier.
    """
    loss = history.validation_loss
    return None if not len(loss) else bool(loss[-1] > ratio * loss.min())


def spearman(history: History) -> bool | None:
    """Tell whether train and validation loss run against each other: Spearman's correlation is negative.

    Correlation of the two curves is one of the baselines of Li et al. 2024, arXiv:2401.10359; 0 is its natural
    threshold.
    """
    if len(history) < 3:
        return None
    train, validation = rankdata(history.train_loss), rankdata(history.validation_loss)
    covariance = np.mean((train - train.mean()) * (validation - validation.mean()))
    return bool(covariance < 0)


def sagemaker_overfit(history: History, *, ratio_threshold: float = 0.1, patience: int = 1) -> int:
    """Find where (validation - train) / train has exceeded ``ratio_threshold`` for ``patience`` steps.

    Amazon SageMaker developer guide, "Overfit Rule" (docs.aws.amazon.com/sagemaker/latest/dg/overfit.html).
    """
    gap = history.validation_loss - history.train_loss
    return _first_run(gap > ratio_threshold * history.train_loss, patience)


def sagemaker_overtraining(
    history: History, *, patience_train: int = 5, patience_validation: int = 10, delta: float = 0.01
) -> int:
    """Find where neither loss has improved for its patience; an improvement is one by more than ``delta``.

    Amazon SageMaker developer guide, "Overtraining Rule" (…/dg/overtraining.html), for its patiences; that both losses
    must have stalled is our reading, the one with fewer false alarms.
    """
    train = _waited(history.train_loss, delta) >= patience_train
    validation = _waited(history.validation_loss, delta) >= patience_validation
    return _first_run(train & validation, 1)


def sagemaker_loss_not_decreasing(history: History, *, num_steps: int = 10, diff_percent: float = 0.1) -> int:
    """Find where the train loss is not ``diff_percent`` % below its value ``num_steps`` steps before.

    Amazon SageMaker developer guide, "LossNotDecreasing Rule" (…/dg/loss-not-decreasing.html): evaluated every
    ``num_steps`` steps.
    """
    looked_at = np.arange(num_steps, len(history), num_steps)
    before, now = history.train_loss[looked_at - num_steps], history.train_loss[looked_at]
    fired = looked_at[now > before * (1 - diff_percent / 100)]
    return int(fired[0]) if len(fired) else NEVER


def matlab_gap(history: History, *, ratio: float = 0.1, n_times: int = 2) -> int:
    """Find where the validation loss lies 10 % above the train loss for the second time in a row.

    The 10 % rule of MATLAB's Deep Learning Toolbox, as it is told: a gap of more than a tenth of the train loss at two
    validations in a row.
    """
    gap = history.validation_loss - history.train_loss
    return _first_run(gap > ratio * history.train_loss, n_times)


def keras_early_stopping(history: History, patience: int) -> int:
    """Find where the validation loss has not improved for ``patience`` epochs.

    keras.io/api/callbacks/early_stopping, with its default ``min_delta=0``.
    """
    return _first_run(_waited(history.validation_loss, 0.0) >= patience, 1)


def generalization_loss(validation_loss: FloatArray) -> FloatArray:
    """Prechelt's generalization loss: the rise above the smallest loss so far, in percent (1998, eq. 1)."""
    lowest = np.minimum.accumulate(validation_loss)
    return 100 * (np.divide(validation_loss, lowest, out=np.ones(len(lowest)), where=lowest > 0) - 1)


def prechelt_gl(history: History, alpha: float = 5.0) -> int:
    """Find where the generalization loss exceeds ``alpha`` %.

    L. Prechelt, "Early stopping - but when?" (1998), class GL; 5 is the slowest that the paper tries.
    """
    return _first_run(generalization_loss(history.validation_loss) > alpha, 1)


def prechelt_pq(history: History, alpha: float = 3.0, strip: int = 5) -> int:
    """Find where the generalization loss over the training progress of the last strip exceeds ``alpha``.

    Prechelt (1998), class PQ: progress is 1000 (mean / min - 1) of the train loss over the last ``strip`` epochs; 3 is
    the slowest that the paper tries. Looked at only at the end of a strip.
    """
    ends = _strip_ends(history, strip)
    if not len(ends):
        return NEVER
    strips = history.train_loss[: ends[-1] + 1].reshape(-1, strip)
    low = strips.min(axis=1)
    progress = 1000 * (np.divide(strips.mean(axis=1), low, out=np.ones(len(low)), where=low > 0) - 1)
    fired = ends[generalization_loss(history.validation_loss)[ends] > alpha * progress]
    return int(fired[0]) if len(fired) else NEVER


def prechelt_up(history: History, successive: int = 8, strip: int = 5) -> int:
    """Find where the validation loss has risen in ``successive`` strips in a row.

    Prechelt (1998), class UP; 8 is the slowest that the paper tries.
    """
    ends = _strip_ends(history, strip)
    rose = np.diff(history.validation_loss[ends]) > 0
    at = _first_run(rose, successive)
    return NEVER if at == NEVER else int(ends[at + 1])


def deepchecks_boosting_overfit(history: History, *, max_decline: float = 0.05) -> bool | None:
    """Tell whether the score ends more than 5 % below its best.

    Deepchecks, Boosting Overfit, condition "test score percent decline is less than 5 %"
    (docs.deepchecks.com, tabular checks, model evaluation); the score is the accuracy.
    """
    score = history.validation_accuracy_alone
    if not len(score) or score.max() <= 0:
        return None
    return bool(score[-1] < (1 - max_decline) * score.max())


def trainproof_overfit(history: History, *, ratio: float = 1.2, min_points: int = 4) -> bool | None:
    """Tell whether the validation loss ends 1.2 times its minimum or more, while the train loss kept falling.

    trainproof, TP-OVERFIT (release notes of v0.9.0): at least four evaluations; WARN.
    """
    validation, train = history.validation_loss, history.train_loss
    if len(history) < min_points:
        return None
    return bool(validation[-1] > ratio * validation.min() and train[-1] < train[int(np.argmin(validation))])


def runmedic_overfitting(history: History, *, min_rise: float = 0.05, min_train_fall: float = 0.03) -> bool | None:
    """Tell whether the last three validation losses lie 5 % above the best, while the train loss fell by 3 %.

    runmedic 0.1.1 (pypi.org/project/runmedic), check "overfitting": at least four evaluations, three of them after the
    best; the train loss is an exponential moving average. From 15 % on it is a warning, below a note.
    """
    validation, train = history.validation_loss, history.train_loss
    if len(history) < 4:
        return None
    best = int(np.argmin(validation))
    if best > len(history) - 4 or validation[best] == 0:
        return False
    rise = (validation[-3:].mean() - validation[best]) / abs(validation[best])
    smooth = _moving_average(train)
    fallen = smooth[best] != 0 and (smooth[best] - smooth[-1]) / abs(smooth[best]) >= min_train_fall
    return bool(rise >= min_rise and fallen)


def runmedic_no_learning(history: History, *, min_fall: float = 0.02) -> bool | None:
    """Tell whether the train loss never falls 2 % below the mean of its first tenth.

    runmedic 0.1.1, check "no learning": at least twenty points of an exponential moving average.
    """
    if len(history) < 20:
        return None
    smooth = _moving_average(history.train_loss)
    start = float(smooth[: max(1, len(smooth) // 10)].mean())
    return bool(start != 0 and (start - smooth.min()) / abs(start) < min_fall)


def autotrainer_oscillation(history: History, *, zeta: float = 0.03, eta: float = 0.2) -> bool | None:
    """Tell whether the train accuracy swings by ``zeta`` between neighbouring extremes in a share ``eta`` of epochs.

    Zhang et al., "AUTOTRAINER: An Automatic DNN Training Problem Detection and Repair System" (ICSE 2021), oscillating
    loss: local maxima and minima are paired in order.
    """
    accuracy = history.train_accuracy
    if len(accuracy) < 3:
        return None
    before, now, after = accuracy[:-2], accuracy[1:-1], accuracy[2:]
    peaks, valleys = now[(now >= before) & (now >= after)], now[(now <= before) & (now <= after)]
    n = min(len(peaks), len(valleys))
    return bool(np.count_nonzero(peaks[:n] - valleys[:n] >= zeta) >= eta * len(accuracy))


def autotrainer_slow_convergence(history: History, *, delta: float = 0.01) -> bool | None:
    """Tell whether no epoch gained ``delta`` of accuracy, neither on train nor on validation data.

    Zhang et al. (ICSE 2021), slow convergence.
    """
    if len(history.train_accuracy) < 2:
        return None
    gains = (np.diff(a).max() for a in (history.train_accuracy, history.validation_accuracy))
    return all(gain < delta for gain in gains)


def _moving_average(value: FloatArray) -> FloatArray:
    """Exponential moving average over a span of a tenth of the points, 2 to 50, begun at the first value."""
    alpha = 2 / (np.clip(len(value) // 10, 2, 50) + 1)
    smooth: FloatArray = lfilter([alpha], [1, alpha - 1], value, zi=[(1 - alpha) * value[0]])[0]
    return smooth


def _first_run(fires: NDArray[np.bool_], length: int) -> int:
    """Index at which ``fires`` has been true ``length`` times in a row for the first time; -1 if it never was."""
    if length > len(fires):
        return NEVER
    total = np.concatenate([[0], np.cumsum(fires)])
    full = total[length:] - total[:-length] == length
    return int(np.argmax(full)) + length - 1 if full.any() else NEVER


def _waited(loss: FloatArray, delta: float) -> NDArray[np.int64]:
    """How many steps ago the loss last improved on its best by more than ``delta``."""
    if delta == 0:
        lowest = np.minimum.accumulate(loss)
        improved = np.concatenate([[True], lowest[1:] < lowest[:-1]])[: len(loss)]
    else:
        improved, best = np.zeros(len(loss), bool), np.inf
        for i, value in enumerate(loss.tolist()):
            if value < best - delta:
                improved[i], best = True, value
    steps = np.arange(len(loss))
    return steps - np.maximum.accumulate(np.where(improved, steps, 0))


def _strip_ends(history: History, strip: int) -> NDArray[np.int64]:
    return np.arange(strip - 1, len(history), strip)


def _stopping(name: str, question: Question, stops: Callable[[History], int], *, min_points: int = 2) -> Peer:
    """Make a peer of a rule that watches a training: its yes is to have fired."""

    def says(history: History) -> bool | None:
        return None if len(history) < min_points else stops(history) != NEVER

    return Peer(name, question, says, stops)


PEERS: tuple[Peer, ...] = (
    Peer("last / min > 1.05", "overfit", lambda h: last_over_min(h, 1.05)),
    Peer("last / min > 1.10", "overfit", lambda h: last_over_min(h, 1.10)),
    Peer("last / min > 1.15", "overfit", lambda h: last_over_min(h, 1.15)),
    Peer("Spearman(train, validation) < 0", "overfit", spearman),
    Peer("trainproof TP-OVERFIT", "overfit", trainproof_overfit),
    Peer("runmedic overfitting", "overfit", runmedic_overfitting),
    Peer("Deepchecks boosting overfit 5 %", "overfit", deepchecks_boosting_overfit, needs_accuracy=True),
    _stopping("SageMaker Overfit", "overfit", sagemaker_overfit),
    _stopping("SageMaker Overtraining", "overfit", sagemaker_overtraining),
    _stopping("MATLAB 10 % gap, twice", "overfit", matlab_gap),
    _stopping("Prechelt GL 5", "overfit", prechelt_gl),
    _stopping("Prechelt PQ 3", "overfit", prechelt_pq),
    _stopping("Prechelt UP 8", "overfit", prechelt_up),
    _stopping("Keras patience 5", "overfit", lambda h: keras_early_stopping(h, 5)),
    _stopping("Keras patience 10", "overfit", lambda h: keras_early_stopping(h, 10)),
    _stopping("Keras patience 20", "overfit", lambda h: keras_early_stopping(h, 20)),
    _stopping("SageMaker LossNotDecreasing", "not_learning", sagemaker_loss_not_decreasing),
    Peer("runmedic no learning", "not_learning", runmedic_no_learning),
    Peer("AutoTrainer slow convergence", "not_learning", autotrainer_slow_convergence, needs_accuracy=True),
    Peer("AutoTrainer oscillation", "unstable", autotrainer_oscillation, needs_accuracy=True),
    Peer("Keras TerminateOnNaN", "nonfinite", lambda h: h.first_nan_of_train is not None),
)
"""Every peer, with the question that it answers."""
