"""Prediction files -> their summaries, and what makes the difference between any two of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from lossacc_mlflow.errors import PredictionFileError, PredictionsError
from lossacc_mlflow.files.predictions import PredictionFile, Progress, read_prediction_file
from lossacc_mlflow.files.streaming import all_samples, worst_samples
from lossacc_mlflow.pairing import adjust_for_many, compare_samples, holm
from lossacc_mlflow.predictions import (
    judge_predictions,
    judge_top_predictions,
    make_predictions,
    summarize_predictions,
    summarize_top_predictions,
)
from lossacc_mlflow.records import (
    PairedComparison,
    PredictionFileSummary,
    PredictionReport,
    PredictionSummary,
    RunData,
    SamplePredictions,
    Split,
)
from lossacc_mlflow.rules import RULES, apply_rules, decide_discrepancy
from lossacc_mlflow.wording import quote

__all__ = ["judge_prediction_files"]

_MAX_IN_ALL_PAIRS = 6
"""Up to as many files every pair is explained, more are each held against the most accurate one."""

_MAX_WHOLE = 1 << 24
"""Probabilities that are read into memory at once; of more, only what is kept of each sample, or of the worst."""


def judge_prediction_files(
    paths: Sequence[Path],
    *,
    labels: Sequence[str] | None = None,
    temperature: bool = True,
    progress: Progress | None = None,
) -> PredictionReport:
    """Summarise prediction files, and explain the differences between them sample by sample.

    Parameters
    ----------
    paths : sequence of Path
        See :func:`~lossacc_mlflow.files.read_prediction_file`. Two or more must hold the same samples: matched by
        ``sample_id`` where both of a pair have it, else row by row.
    labels : sequence of str, optional
        The class of each column, in every file.
    temperature : bool
        Whether to fit a temperature to each, which takes further passes.
    progress : callable, optional

    Returns
    -------
    PredictionReport
        Up to six files are explained in all pairs, more each against the most accurate one; p values are adjusted for
        the number of pairs (Holm).

    Raises
    ------
    PredictionFileError
        If a file cannot be used, or two do not hold the same samples.
    """
    opened = [read_prediction_file(path, labels=labels, progress=progress) for path in paths]
    names = _names(paths)
    keeps = len(paths) > 1
    judged = tuple(
        _judge(file, name, temperature=temperature, keeps=keeps) for file, name in zip(opened, names, strict=True)
    )
    remarks: tuple[str, ...] = ()
    chosen = list(combinations(range(len(judged)), 2))
    if len(judged) > _MAX_IN_ALL_PAIRS:
        best = min(range(len(judged)), key=lambda i: (-judged[i].summary.accuracy, judged[i].summary.log_loss))
        chosen = [(best, i) for i in range(len(judged)) if i != best]
        remarks = (
            f"Of {len(judged)} files each is held against the most accurate one, {quote(judged[best].name)}; name up "
            f"to {_MAX_IN_ALL_PAIRS} files to see all pairs.",
        )
    pairs = [_pair(opened[i], opened[j], judged[i], judged[j]) for i, j in chosen]
    return PredictionReport(judged, _adjusted(pairs), remarks)


def _names(paths: Sequence[Path]) -> list[str]:
    """Name files by their stems, or by their paths where stems do not tell them apart."""
    stems = Counter(path.stem for path in paths)
    return [path.stem if stems[path.stem] == 1 else str(path) for path in paths]


def _judge(file: PredictionFile, name: str, *, temperature: bool, keeps: bool) -> PredictionFileSummary:
    try:
        summary, samples = _judge_rows(file, temperature=temperature, keeps=keeps)
    except PredictionsError as error:
        raise PredictionFileError(f"prediction file {str(file.path)!r}: {error}") from error
    samples = replace(samples, sample_id=_ids(file, list(map(int, samples.sample_id))))
    if file.classes is not None:
        names = dict(zip(map(str, range(len(file.classes))), file.classes, strict=True))
        summary = replace(
            summary, classes=tuple(replace(c, label=names.get(c.label, c.label)) for c in summary.classes)
        )
        samples = replace(samples, classes=file.classes)
    # Rules that look at samples want all of them.
    known: dict[Split, SamplePredictions] = {"test": samples} if len(samples) == summary.n_samples else {}
    run = RunData(name, name, predictions={"test": summary}, samples=known, n_classes=summary.n_classes)
    findings = apply_rules(run, RULES)
    about = tuple(f for f in findings if f.code.startswith("DIS") and f.status != "not_applicable")
    return PredictionFileSummary(name, str(file.path), summary, samples, decide_discrepancy(run, findings), about)


def _ids(file: PredictionFile, rows: Sequence[int]) -> tuple[str, ...]:
    """Name samples by their ids, or say where they stand as a person would look for them."""
    if file.has_sample_id:
        return file.sample_ids(rows)
    if file.path.suffix.lower() == ".npz":
        return tuple(f"index {row}" for row in rows)
    return tuple(f"row {row + 1}" for row in rows)


def _judge_rows(file: PredictionFile, *, temperature: bool, keeps: bool) -> tuple[PredictionSummary, SamplePredictions]:
    """Judge a file whole where it is small; else block by block, with all samples only if asked to keep them."""
    classes = range(max(2, file.n_classes))
    width = file.n_classes if file.has_probabilities else 1
    if (file.n_rows or 0) * width <= _MAX_WHOLE:
        arrays = [np.concatenate(parts) for parts in zip(*file, strict=True)]
        if file.has_probabilities:
            return judge_predictions(make_predictions(*arrays, split="test"), temperature=temperature)
        p_true = arrays[3] if len(arrays) > 3 else None
        return judge_top_predictions(*arrays[:3], p_true=p_true, labels=classes, split="test")
    if file.has_probabilities:
        summary = summarize_predictions(file, temperature=temperature)
    else:
        summary = summarize_top_predictions(file, labels=classes)
    return summary, all_samples(file, summary) if keeps else worst_samples(file, summary)


def _pair(
    file_a: PredictionFile, file_b: PredictionFile, a: PredictionFileSummary, b: PredictionFileSummary
) -> PairedComparison:
    """Explain the difference between two files, after making sure that they hold the same samples."""
    both = f"prediction files {a.path!r} and {b.path!r}"
    by_id = file_a.has_sample_id and file_b.has_sample_id
    samples_a = _identified(file_a, a.samples, by_id=by_id)
    samples_b = _identified(file_b, b.samples, by_id=by_id)
    if len(samples_a) != len(samples_b) or (by_id and set(samples_a.sample_id) != set(samples_b.sample_id)):
        common = f", {len(set(samples_a.sample_id) & set(samples_b.sample_id)):,} in common" if by_id else ""
        way = "" if by_id else " With a sample_id in both, the order of rows does not matter."
        raise PredictionFileError(
            f"{both} do not hold the same samples ({len(samples_a):,} and {len(samples_b):,}{common}): give "
            f"predictions of one common split.{way}"
        )
    if file_a.has_probabilities and file_b.has_probabilities and file_a.n_classes != file_b.n_classes:
        raise PredictionFileError(
            f"{both} do not have the same classes ({file_a.n_classes:,} and {file_b.n_classes:,} columns): give "
            "predictions of one task."
        )
    samples_a, samples_b = _with_common_classes(samples_a, samples_b, named=file_b.classes is not None)
    _check_labels(samples_a, samples_b, both, by_id=by_id)
    pair = compare_samples(samples_a, samples_b, name_a=a.name, name_b=b.name, summary_a=a.summary, summary_b=b.summary)
    return replace(pair, split=None)


def _identified(file: PredictionFile, samples: SamplePredictions, *, by_id: bool) -> SamplePredictions:
    """Name the samples as they are to be matched: by their ids, which must tell them apart, or by their rows."""
    if not by_id:
        return replace(samples, sample_id=tuple(map(str, range(len(samples)))))
    ids = samples.sample_id
    if len(set(ids)) < len(ids):
        (repeated, n), *_ = Counter(ids).most_common(1)
        raise PredictionFileError(
            f"prediction file {str(file.path)!r}: sample_id {quote(repeated)} is there {n:,} times, so samples cannot "
            "be matched with those of another file: make the ids different, or leave the column out to match rows."
        )
    return samples


def _with_common_classes(
    a: SamplePredictions, b: SamplePredictions, *, named: bool
) -> tuple[SamplePredictions, SamplePredictions]:
    """Number the classes of both alike; those of the second are only numbered unless they are named."""
    if a.classes == b.classes:
        return a, b
    if not named and len(a.classes) == len(b.classes):
        return a, replace(b, classes=a.classes)
    classes = (*a.classes, *(name for name in b.classes if name not in a.classes))
    place = np.array([classes.index(name) for name in b.classes], dtype=np.int64)
    return replace(a, classes=classes), replace(b, y_true=place[b.y_true], y_pred=place[b.y_pred], classes=classes)


def _check_labels(a: SamplePredictions, b: SamplePredictions, both: str, *, by_id: bool) -> None:
    if by_id and a.sample_id != b.sample_id:
        place = {name: i for i, name in enumerate(b.sample_id)}
        order = np.array([place[name] for name in a.sample_id], dtype=np.int64)
    else:
        order = np.arange(len(b))
    differ = np.flatnonzero(a.y_true != b.y_true[order])
    if not len(differ):
        return
    first = int(differ[0])
    which = f"sample {quote(a.sample_id[first])}" if by_id else f"row {first + 1:,}"
    way = "" if by_id else ", or not in the same order: give both a sample_id to match them by"
    raise PredictionFileError(
        f"{both} name different true labels for {len(differ):,} of {len(a):,} samples, first {which} "
        f"({quote(a.classes[a.y_true[first]])} and {quote(b.classes[b.y_true[order[first]]])}): they are not "
        f"predictions of the same data{way}."
    )


def _adjusted(pairs: Sequence[PairedComparison]) -> tuple[PairedComparison, ...]:
    """Judge every pair as one of as many as were looked at."""
    if len(pairs) < 2:
        return tuple(pairs)
    accuracy = holm([pair.mcnemar_p for pair in pairs]).tolist()
    loss = holm([pair.brier_t_p if pair.at_clip else pair.paired_t_p for pair in pairs]).tolist()
    return tuple(_adjust_each(pairs, accuracy, loss))


def _adjust_each(
    pairs: Sequence[PairedComparison], accuracy: Sequence[float], loss: Sequence[float]
) -> Iterator[PairedComparison]:
    for pair, of_accuracy, of_loss in zip(pairs, accuracy, loss, strict=True):
        yield adjust_for_many(pair, mcnemar_p=of_accuracy, loss_p=of_loss, n_pairs=len(pairs))
