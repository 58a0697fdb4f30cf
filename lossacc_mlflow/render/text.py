"""A diagnosis and a comparison for the terminal: plain text without colour or markup."""

from collections.abc import Sequence

from lossacc_mlflow.records import Comparison, Diagnosis, Finding
from lossacc_mlflow.render.format import one_line, shorten
from lossacc_mlflow.render.prediction_rows import loss_identity
from lossacc_mlflow.render.rows import (
    COMPARISON_COLUMNS,
    SPLITS,
    comparison_rows,
    curve_rows,
    flagged_first,
    full_headline,
    lacks_information,
    seen_keys,
    since,
)
from lossacc_mlflow.render.terminal import finding_lines, indented, labelled, pair_lines, paragraph, table_lines
from lossacc_mlflow.render.words import DISCREPANCIES, KEY_ADVICE, VERDICTS

__all__ = ["render_comparison_text", "render_text"]


def render_text(diagnosis: Diagnosis, *, width: int = 100) -> str:
    """Write a diagnosis for the terminal.

    Parameters
    ----------
    diagnosis : Diagnosis
    width : int
        Columns at which sentences are wrapped; tables may be wider.

    Returns
    -------
    str
        Without escape sequences and without a final line break. Text that comes from the run is on one line and
        printable, but not escaped for any markup.
    """
    verdict, discrepancy = VERDICTS[diagnosis.verdict], DISCREPANCIES[diagnosis.discrepancy]
    name = shorten(diagnosis.run_name)
    lines = [f"{name} (run {shorten(diagnosis.run_id)})" if name else f"run {shorten(diagnosis.run_id)}"]
    lines += labelled("verdict", f"{verdict.label}. {verdict.meaning}", width)
    lines += labelled("loss vs accuracy", f"{discrepancy.label}. {discrepancy.meaning}", width)
    lines += paragraph(full_headline(diagnosis), width)
    lines += _curve_table(diagnosis)
    lines += _prediction_lines(diagnosis, width)
    for finding in flagged_first(diagnosis.findings):
        lines += ["", *finding_lines(finding, since(finding, diagnosis.curves), width)]
    lines += _unflagged(diagnosis.findings, width)
    if diagnosis.run.warnings:
        lines += ["", *labelled("could not be read", " ".join(map(one_line, diagnosis.run.warnings)), width)]
    if lacks_information(diagnosis):
        lines += _what_to_log(diagnosis, width)
    return "\n".join(lines)


def render_comparison_text(comparison: Comparison, *, width: int = 100) -> str:
    """Write a comparison for the terminal.

    Parameters
    ----------
    comparison : Comparison
    width : int
        Columns at which sentences are wrapped; tables may be wider.

    Returns
    -------
    str
        As :func:`render_text`.
    """
    lines = [shorten(comparison.name) or "comparison"]
    for sentence in comparison.recommendation:
        lines += paragraph(sentence, width)
    if comparison.rows:
        lines += ["", *table_lines(COMPARISON_COLUMNS, comparison_rows(comparison.rows), left=(0, 6, 7))]
    for row in comparison.rows:
        if row.remarks:
            lines += ["", *indented(" ".join(row.remarks), width)]
    for pair in comparison.pairs:
        lines += ["", *pair_lines(pair, width)]
    for finding in flagged_first(comparison.findings):
        lines += ["", *finding_lines(finding, "", width)]
    lines += _unflagged(comparison.findings, width)
    return "\n".join(lines)


def _curve_table(diagnosis: Diagnosis) -> list[str]:
    columns = ("curve", "first", "best", "at", "smoothed", "at", "last")
    rows = [
        (f"{r.split} {r.metric}", r.first, r.best, r.best_step, r.smoothed_best, r.smoothed_best_step, r.last)
        for r in curve_rows(diagnosis.curves)
    ]
    return ["", *table_lines(columns, rows, left=(0, 3, 5))] if rows else []


def _prediction_lines(diagnosis: Diagnosis, width: int) -> list[str]:
    lines: list[str] = []
    for split in SPLITS:
        if summary := diagnosis.run.predictions.get(split):
            lines += labelled(f"{split} loss", loss_identity(summary), width)
    return ["", *lines] if lines else []


def _unflagged(findings: Sequence[Finding], width: int) -> list[str]:
    lines: list[str] = []
    for status, label in (("clear", "clear"), ("not_applicable", "not applicable")):
        if codes := [f.code for f in findings if f.status == status]:
            lines += labelled(label, f"{', '.join(codes)} ({len(codes)} of {len(findings)} rules)", width)
    return ["", *lines] if lines else []


def _what_to_log(diagnosis: Diagnosis, width: int) -> list[str]:
    understood, other = seen_keys(diagnosis)
    return [
        "",
        *labelled("keys understood", understood or "none", width),
        *labelled("not understood", other or "none", width),
        *labelled("what to log", KEY_ADVICE, width),
    ]
