"""The page about several runs: recommendation first, then the models, pictures and explained differences."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from lossacc_mlflow.records import Comparison, ComparisonRow, PairedComparison
from lossacc_mlflow.render.format import metric_words, score, shorten, signed, step_words
from lossacc_mlflow.render.page import cards, count_outcomes, render_page
from lossacc_mlflow.render.prediction_tables import Table
from lossacc_mlflow.render.rows import group_rows, pair_tests
from lossacc_mlflow.render.words import DISCREPANCIES, VERDICTS
from lossacc_mlflow.wording import number, p_value

__all__ = ["render_comparison_report"]

_MAX_ROWS = 100
_MAX_PAIRS = 20


def render_comparison_report(comparison: Comparison, pictures: Mapping[str, bytes], *, version: str = "") -> str:
    """Write ``comparison.html`` for several runs.

    Parameters
    ----------
    comparison : Comparison
    pictures : mapping of str to bytes
        As in :func:`~lossacc_mlflow.render.render_report`.
    version : str
        Version of this package, for the foot of the page.

    Returns
    -------
    str
        One HTML document of at most ``PAGE_LIMIT`` bytes in UTF-8; it shows the first 100 models and 20 pairs.
    """
    rows = comparison.rows[:_MAX_ROWS]
    context = {
        "name": shorten(comparison.name, 120) or "comparison",
        "recommendation": comparison.recommendation,
        "quality_title": _shared_title([r.quality_name for r in rows if r.accuracy is not None], "accuracy"),
        "loss_title": _shared_title([r.loss_name for r in rows if r.loss is not None], "loss"),
        "has_temperature": any(r.loss_after_temperature is not None for r in rows),
        "has_test": any(r.test_loss is not None or r.test_accuracy is not None for r in rows),
        "rows": _model_rows(rows),
        "n_rows": len(comparison.rows),
        "n_hidden_rows": len(comparison.rows) - len(rows),
        "pairs": [_pair(p) for p in comparison.pairs[:_MAX_PAIRS]],
        "pair_table": _pair_table(comparison.pairs[:_MAX_PAIRS]),
        "n_hidden_pairs": max(0, len(comparison.pairs) - _MAX_PAIRS),
        "cards": cards(comparison.findings),
        "counts": count_outcomes(comparison.findings),
        "findings": comparison.findings,
        "version": version,
    }
    return render_page("comparison.html", context, pictures)


def _shared_title(metrics: Sequence[str], otherwise: str) -> str:
    """Head of a column: the metric where all runs share it."""
    return metric_words(metrics[0]) if len(set(metrics)) == 1 else otherwise


def _model_rows(rows: Sequence[ComparisonRow]) -> list[dict[str, Any]]:
    """Rows of the table of models, the best accuracy and the lowest loss marked."""
    best_accuracy = max((r.accuracy for r in rows if r.accuracy is not None and isfinite(r.accuracy)), default=None)
    best_loss = min((r.loss for r in rows if r.loss is not None and isfinite(r.loss)), default=None)
    return [
        {
            "name": shorten(row.name or row.run_id, 60),
            "accuracy": score(row.quality_name, row.accuracy)[0],
            "is_most_accurate": row.accuracy is not None and row.accuracy == best_accuracy,
            "loss": score(row.loss_name, row.loss)[0],
            "has_lowest_loss": row.loss is not None and row.loss == best_loss,
            "after_temperature": number(row.loss_after_temperature),
            "test_accuracy": score(row.quality_name, row.test_accuracy)[0],
            "test_loss": score(row.loss_name, row.test_loss)[0],
            "best_step": step_words(row.best_step, row.step_unit),
            "verdict": VERDICTS[row.verdict],
            "remarks": row.remarks,
            "discrepancy": DISCREPANCIES[row.discrepancy] if row.discrepancy != "none" else None,
        }
        for row in rows
    ]


def _pair_table(pairs: Sequence[PairedComparison]) -> Table | None:
    """Every pair in one line: both differences, and how sure they are when all pairs are looked at; None for one."""
    if len(pairs) < 2:
        return None
    tested = max(p.n_pairs for p in pairs)
    adjusted = tested > 1
    return Table(
        title="All pairs",
        lead=(
            "A minus B, on the same samples."
            + (f" Of {tested:,} pairs some differ by chance: the p values of Holm allow for that." if adjusted else "")
        ),
        heads=(
            "A against B",
            "Accuracy",
            *_p_heads("McNemar", adjusted),
            "Loss",
            *_p_heads("Test", adjusted),
            "After temperature",
            "Loss settled",
        ),
        rows=tuple(_pair_row(p, adjusted=adjusted) for p in pairs),
    )


def _p_heads(test: str, adjusted: bool) -> tuple[str, ...]:
    return (f"{test} p", "Holm") if adjusted else (f"{test} p",)


def _pair_row(pair: PairedComparison, *, adjusted: bool) -> tuple[str, ...]:
    accuracy = [pair.mcnemar_p, pair.mcnemar_p_holm][: 1 + adjusted]
    loss = [pair.brier_t_p if pair.at_clip else pair.paired_t_p, pair.loss_p_holm][: 1 + adjusted]
    mark = " (Brier)" if pair.at_clip else ""
    return (
        f"{shorten(pair.name_a, 40)} against {shorten(pair.name_b, 40)}",
        f"{100 * pair.delta_accuracy:+.1f} points",
        *(p_value(p).removeprefix("p ").removeprefix("= ") for p in accuracy),
        signed(pair.delta_loss),
        *(p_value(p).removeprefix("p ").removeprefix("= ") + mark for p in loss),
        signed(pair.delta_loss_after_temperature),
        "yes" if pair.decided else "no",
    )


def _pair(pair: PairedComparison) -> dict[str, Any]:
    known = [abs(g.contribution) for g in pair.groups if isfinite(g.contribution)]
    largest = max(known, default=0.0) or 1.0
    groups = [
        {
            "cells": cells,
            "width": round(100 * abs(group.contribution) / largest) if isfinite(group.contribution) else 0,
            "b_loses_more": group.contribution < 0,
        }
        for cells, group in zip(group_rows(pair), pair.groups, strict=True)
    ]
    return {
        "name_a": shorten(pair.name_a, 60),
        "name_b": shorten(pair.name_b, 60),
        "split": pair.split or "",
        "n": f"{pair.n_samples:,}",
        "accuracies": score("accuracy", pair.accuracy_a, pair.accuracy_b),
        "losses": (number(pair.loss_a), number(pair.loss_b)),
        "losses_after": (number(pair.loss_a_after_temperature), number(pair.loss_b_after_temperature)),
        "explanation": pair.explanation,
        "groups": groups,
        "tests": pair_tests(pair),
    }
