"""Every two models on the same samples are tested, and those pairs explained that are worth it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lossacc_mlflow.clips import LOG_LOSS_CLIP, largest_loss
from lossacc_mlflow.comparison.rows import is_reversed, known_accuracy, settled_loss
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.pairing import (
    ALPHA,
    Outcomes,
    adjust_for_many,
    align_outcomes,
    compare_outcomes,
    hangs_on_clip,
    holm,
    mcnemar,
    outcomes_of,
    paired_t,
)
from lossacc_mlflow.records import ComparisonRow, Diagnosis, FloatArray, IntArray, PairedComparison, PairTest, Split

__all__ = ["explain_pairs"]

_MAX_REVERSALS = 100
"""Reversals that are explained, those that differ most in loss; of hundreds of runs there are thousands."""


@dataclass(frozen=True, slots=True, eq=False)
class _Tests:
    """Tests of the pairs of one group of runs, not adjusted; arrays have shape (n_pairs,)."""

    pairs: tuple[tuple[int, int], ...]
    n_samples: int
    delta_accuracy: FloatArray
    delta_loss: FloatArray
    delta_after: FloatArray
    mcnemar_p: FloatArray
    loss_p: FloatArray
    after_p: FloatArray
    hangs: tuple[bool, ...]


def explain_pairs(
    ranked: Sequence[tuple[ComparisonRow, Diagnosis]], split: Split
) -> tuple[tuple[PairedComparison, ...], tuple[PairTest, ...]]:
    """Test all pairs on the same samples together, and explain the pairs worth explaining.

    Parameters
    ----------
    ranked : sequence of (ComparisonRow, Diagnosis)
        Most accurate first; diagnoses with ``run.samples``.
    split : {"train", "validation", "test"}

    Returns
    -------
    pairs : tuple of PairedComparison
        Neighbours by accuracy, the best by accuracy against the best by loss, and every reversal (the 100 that differ
        most in loss), most accurate first.
    tests : tuple of PairTest
        Of every pair on the same samples.
    """
    judged = [(row, d) for row, d in ranked if known_accuracy(row) is not None and split in d.run.samples]
    groups = _groups(judged, split)
    tested = [(group, _test(group)) for group in groups]
    exact = holm(np.concatenate([t.mcnemar_p for _, t in tested] or [np.empty(0)]))
    loss = holm(np.concatenate([t.loss_p for _, t in tested] or [np.empty(0)]))
    after = holm(np.concatenate([t.after_p for _, t in tested] or [np.empty(0)]))
    wanted = _worth_explaining([row for row, _ in judged])
    pairs: dict[tuple[int, int], PairedComparison] = {}
    tests: dict[tuple[int, int], PairTest] = {}
    at = 0
    for group, found in tested:
        for k, (i, j) in enumerate(found.pairs):
            adjusted = float(exact[at]), float(loss[at])
            tests[i, j] = PairTest(
                run_id_a=judged[i][0].run_id,
                run_id_b=judged[j][0].run_id,
                n_samples=found.n_samples,
                delta_accuracy=float(found.delta_accuracy[k]),
                delta_loss=float(found.delta_loss[k]),
                delta_loss_after_temperature=float(found.delta_after[k]),
                mcnemar_p=adjusted[0],
                loss_p=adjusted[1],
                after_temperature_p=float(after[at]),
                loss_decided=adjusted[1] < ALPHA and not found.hangs[k],
            )
            if (i, j) in wanted:
                pair = compare_outcomes(group[i], group[j])
                pairs[i, j] = adjust_for_many(pair, mcnemar_p=adjusted[0], loss_p=adjusted[1], n_pairs=len(exact))
            at += 1
    return tuple(pairs[key] for key in sorted(pairs)), tuple(tests[key] for key in sorted(tests))


def _worth_explaining(rows: Sequence[ComparisonRow]) -> set[tuple[int, int]]:
    by_loss = min(range(len(rows)), key=lambda i: settled_loss(rows[i]), default=0)
    wanted = {(i, i + 1) for i in range(len(rows) - 1)} | ({(0, by_loss)} if by_loss else set())
    reversed_pairs = [(i, j) for i, j in combinations(range(len(rows)), 2) if is_reversed(rows[i], rows[j])]
    reversed_pairs.sort(key=lambda ij: -abs((rows[ij[0]].loss or 0.0) - (rows[ij[1]].loss or 0.0)))
    return wanted | set(reversed_pairs[:_MAX_REVERSALS])


def _groups(judged: Iterable[tuple[ComparisonRow, Diagnosis]], split: Split) -> list[dict[int, Outcomes]]:
    """Runs by the samples that they were judged on, in the same order."""
    groups: list[dict[int, Outcomes]] = []
    for place, (row, diagnosis) in enumerate(judged):
        run = diagnosis.run
        outcomes = outcomes_of(run.samples[split], name=row.name, summary=run.predictions.get(split))
        if not len(outcomes):
            continue
        for group in groups:
            try:
                aligned = align_outcomes(next(iter(group.values())), outcomes)
            except PredictionsError:
                # Other samples: nothing can be paired, and the rows still say what each run reached.
                continue
            group[place] = aligned
            break
        else:
            groups.append({place: outcomes})
    return groups


def _test(group: Mapping[int, Outcomes]) -> _Tests:
    """Test all pairs of a group by products of matrices: one pass over the samples, however many runs there are."""
    places, outcomes = list(group), list(group.values())
    i, j = np.triu_indices(len(places), 1)
    n = len(outcomes[0])
    right = np.array([o.right for o in outcomes], dtype=np.float64)
    both = np.rint(right @ right.T)
    hits = np.diag(both)
    only_a, only_b = hits[i] - both[i, j], hits[j] - both[i, j]
    weight = outcomes[0].weight
    delta_loss, loss_p = _mean_differences([o.loss for o in outcomes], weight, i, j)
    delta_brier, brier_p = _mean_differences([o.brier for o in outcomes], weight, i, j)
    delta_after, after_p = _mean_differences([o.loss_after_temperature for o in outcomes], weight, i, j)
    delta_accuracy, accuracy_p = (only_a - only_b) / n, mcnemar(only_a, only_b)[0]
    if outcomes[0].is_weighted:
        delta_accuracy, accuracy_p = _mean_differences(list(right), weight, i, j)
    near = np.array([o.at_clip for o in outcomes], dtype=np.bool_)
    at_clip = near[i] | near[j]
    loss_max = largest_loss(LOG_LOSS_CLIP)
    hangs = (
        bool(c) and hangs_on_clip(float(d), float(b), loss_max, n)
        for c, d, b in zip(at_clip, delta_loss, delta_brier, strict=True)
    )
    return _Tests(
        pairs=tuple((places[a], places[b]) for a, b in zip(i.tolist(), j.tolist(), strict=True)),
        n_samples=n,
        delta_accuracy=delta_accuracy,
        delta_loss=delta_loss,
        delta_after=delta_after,
        mcnemar_p=accuracy_p,
        loss_p=np.where(at_clip, brier_p, loss_p),
        after_p=after_p,
        hangs=tuple(hangs),
    )


def _mean_differences(
    values: Sequence[FloatArray], weight: FloatArray, i: IntArray, j: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Mean difference of each pair of rows, and its p value by a paired t test."""
    table = np.array(values)
    mean, n = (weight * table).mean(axis=1), table.shape[1]
    centred = weight * (table - mean[:, None])
    products = centred @ centred.T
    square = np.diag(products)
    # Of two rows that are the same, rounding leaves next to nothing on either side of zero.
    variance = np.maximum(square[i] + square[j] - 2 * products[i, j], 0.0) / max(n - 1, 1)
    delta: FloatArray = mean[i] - mean[j]
    return delta, paired_t(delta, np.sqrt(variance / n), n)
