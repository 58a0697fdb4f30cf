"""CMP003: runs that were judged on other data, other classes or by another loss are not comparable."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from math import isfinite
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.comparison.base import ComparisonRule
from lossacc_mlflow.comparison.rows import known_accuracy, sample_size
from lossacc_mlflow.records import (
    Comparison,
    ComparisonRow,
    Evidence,
    Finding,
    Level,
    PairTest,
    RunData,
    SamplePredictions,
    Split,
)
from lossacc_mlflow.wording import number

__all__ = ["NotComparable", "Oddity", "find_odd_runs"]

MAX_SD_RATIO = 1.1
_MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class Oddity:
    """In what a run differs from most others so that it cannot be compared with them."""

    run_id: str
    reasons: tuple[str, ...]
    only_loss: bool = False
    """Whether it is only judged by another loss, so that its answers can still be compared."""


@dataclass(frozen=True, slots=True)
class NotComparable(ComparisonRule):
    """A run was judged on other samples, other classes, by another loss or on another target than most others.

    How it is detected: what is known of a run is held against what most runs have: the digest of its samples (tag
    ``lossacc.samples.<split>``, which ``log_predictions`` writes), their number where no digest is known, the true
    labels of the same samples, its number of classes, the name of its loss, what stands for accuracy (accuracy,
    balanced accuracy, R²), and in a regression the standard deviation of its target, by a ratio of at most
    ``max_sd_ratio``. What is not known is not held against it.

    Why it matters: a lower loss on easier samples, among fewer classes or of a target in another unit is no better.
    Such a run is ranked in the table, but it dominates nobody and is not recommended; one with another loss only can
    still be recommended for its answers.

    What to do: evaluate the runs on the same samples with the same loss, or compare them by themselves.

    Parameters
    ----------
    max_sd_ratio : float
        Ratio of two standard deviations up to which the target is the same.
    """

    code: ClassVar[str] = "CMP003"
    title: ClassVar[str] = "Not comparable"
    level: ClassVar[Level] = "warning"
    max_sd_ratio: float = MAX_SD_RATIO

    def check(self, comparison: Comparison) -> Finding:
        """Look for runs that differ from most others in what they were judged on."""
        judged = [row for row in comparison.rows if row.accuracy is not None or row.loss is not None]
        if len(judged) < 2:
            return self.not_applicable("Fewer than two runs with an accuracy or a loss.")
        odd = self._find(comparison)
        evidence = [Evidence("runs_not_comparable", len(odd), 0), Evidence("runs", len(judged))]
        if not odd:
            return self.clear("Nothing that is known speaks against comparing the runs.", evidence)
        names = {row.run_id: row.name for row in comparison.rows}
        listed = [f"'{names[o.run_id]}' ({'; '.join(o.reasons)})" for o in odd[:_MAX_LISTED]]
        more = f" and {len(odd) - _MAX_LISTED} more" if len(odd) > _MAX_LISTED else ""
        return self.flagged(
            f"{len(odd)} of {len(judged)} runs cannot be compared with most others: {', '.join(listed)}{more}.",
            evidence,
            "Evaluate all runs on the same samples with the same loss, or compare these by themselves.",
            split=comparison.split,
        )

    def remarks(self, comparison: Comparison) -> Mapping[str, str]:
        """Tell each run in what it differs."""
        return {o.run_id: f"Not comparable with most others: {'; '.join(o.reasons)}." for o in self._find(comparison)}

    def _find(self, comparison: Comparison) -> tuple[Oddity, ...]:
        runs = [d.run for d in comparison.diagnoses]
        return find_odd_runs(comparison.rows, runs, comparison.tests, comparison.split, max_sd_ratio=self.max_sd_ratio)


def find_odd_runs(
    rows: Sequence[ComparisonRow],
    runs: Sequence[RunData],
    tests: Sequence[PairTest],
    split: Split,
    *,
    max_sd_ratio: float = MAX_SD_RATIO,
) -> tuple[Oddity, ...]:
    """Find the runs that differ from most others in what they were judged on.

    Parameters
    ----------
    rows : sequence of ComparisonRow
    runs : sequence of RunData
        Of the rows, in any order.
    tests : sequence of PairTest
        Two runs that were tested share their samples, whatever their digests say of the order.
    split : {"train", "validation", "test"}
    max_sd_ratio : float

    Returns
    -------
    tuple of Oddity
        In the order of the rows. Where there is no majority, what the best run has counts.
    """
    by_id = {run.run_id: run for run in runs}
    judged = [(row, by_id[row.run_id]) for row in rows if row.run_id in by_id and row.split is not None]
    digests = _digests([run for _, run in judged], tests, split)
    other_samples = _odd_ones(digests)
    sizes = {r.run_id: None if r.run_id in other_samples else _sample_size(r, split) for _, r in judged}
    losses = _odd_ones({row.run_id: _loss_name(row) for row, _ in judged})
    scales = _by_scale({r.run_id: _target_sd(r, split) for _, r in judged}, max_sd_ratio)
    aspects = (
        (other_samples, "it was judged on other samples (digest {}, theirs {})"),
        (_odd_ones(sizes), "it was judged on {} samples, they on {}"),
        (_other_labels([r for _, r in judged if r.run_id not in other_samples], split), "{} of {} true labels differ"),
        (_odd_ones({r.run_id: _n_classes(r, split) for _, r in judged}), "it has {} classes, they have {}"),
        (losses, "its loss is {}, theirs {}"),
        (_odd_ones({row.run_id: _quality_name(row) for row, _ in judged}), "it is ranked by {}, they by {}"),
        (_odd_ones(scales), "its target has a standard deviation of {}, theirs {}"),
    )
    found = []
    for row, _ in judged:
        reasons = [words.format(*odd[row.run_id]) for odd, words in aspects if row.run_id in odd]
        if reasons:
            other_loss = row.run_id in losses and len(reasons) == 1
            found.append(Oddity(row.run_id, tuple(reasons), only_loss=other_loss))
    return tuple(found)


def _digests(runs: Sequence[RunData], tests: Sequence[PairTest], split: Split) -> dict[str, str | None]:
    """Digest of each run's samples; of runs that were tested against each other that of the first."""
    digests = {run.run_id: run.tags.get(f"lossacc.samples.{split}") for run in runs}
    for test in tests:
        if digests.get(test.run_id_a) is not None and digests.get(test.run_id_b) is not None:
            digests[test.run_id_b] = digests[test.run_id_a]
    return {run_id: None if digest is None else digest[:8] for run_id, digest in digests.items()}


def _odd_ones(values: Mapping[str, str | None]) -> dict[str, tuple[str, str]]:
    """Value of each run that differs from the commonest one, beside that one."""
    known = {run_id: value for run_id, value in values.items() if value is not None}
    if len(set(known.values())) < 2:
        return {}
    # Of equally common ones the first counts: that of the best run.
    usual, _ = Counter(known.values()).most_common(1)[0]
    return {run_id: (value, usual) for run_id, value in known.items() if value != usual}


def _other_labels(runs: Sequence[RunData], split: Split) -> dict[str, tuple[str, str]]:
    """How many true labels, and of how many samples, are not those of most others; for samples of the same ids."""
    labels = {run.run_id: _labels_by_id(run.samples[split]) for run in runs if split in run.samples}
    digests = {
        run_id: sha256("\n".join(named).encode(errors="surrogatepass")).hexdigest()
        for run_id, (_, named) in labels.items()
    }
    if len(set(digests.values())) < 2:
        return {}
    usual, _ = Counter(digests.values()).most_common(1)[0]
    ids, names = labels[next(run_id for run_id, digest in digests.items() if digest == usual)]
    return {
        run_id: (f"{int(np.count_nonzero(own != names)):,}", f"{len(names):,}")
        for run_id, (own_ids, own) in labels.items()
        if digests[run_id] != usual and np.array_equal(own_ids, ids)
    }


def _labels_by_id(samples: SamplePredictions) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Ids of the samples, in order, and the names of their true classes."""
    ids = np.asarray(samples.sample_id, dtype=np.str_)
    order = np.argsort(ids, kind="stable")
    return ids[order], np.asarray(samples.classes, dtype=np.str_)[samples.y_true[order]]


def _sample_size(run: RunData, split: Split) -> str | None:
    size = sample_size(run, split)
    return None if size is None else f"{size:,}"


def _n_classes(run: RunData, split: Split) -> str | None:
    summary = run.predictions.get(split)
    n_classes = run.n_classes if summary is None else summary.n_classes
    return None if n_classes is None else str(n_classes)


def _loss_name(row: ComparisonRow) -> str | None:
    known = row.loss is not None and row.loss_name not in ("", "loss")
    return row.loss_name.replace("_", " ") if known else None


def _quality_name(row: ComparisonRow) -> str | None:
    known = row.accuracy is not None and (row.quality_name != "accuracy" or known_accuracy(row) is not None)
    return {"r2": "R²"}.get(row.quality_name, row.quality_name.replace("_", " ")) if known else None


def _target_sd(run: RunData, split: Split) -> float | None:
    summary = run.regressions.get(split)
    known = summary is not None and isfinite(summary.target_sd) and summary.target_sd > 0
    return summary.target_sd if known and summary is not None else None


def _by_scale(values: Mapping[str, float | None], max_ratio: float) -> dict[str, str | None]:
    """Name standard deviations that are next to each other alike, by their smallest."""
    known = sorted({value for value in values.values() if value is not None})
    names = {known[0]: number(known[0])} if known else {}
    for low, high in pairwise(known):
        names[high] = names[low] if high <= max_ratio * low else number(high)
    return {run_id: None if value is None else names[value] for run_id, value in values.items()}
