"""A diagnosis and a comparison for the terminal: plain text without colour or markup."""

from collections.abc import Iterable, Sequence
from textwrap import wrap

from lossacc_mlflow.records import Comparison, Diagnosis, Finding, PairedComparison
from lossacc_mlflow.render.format import evidence_threshold, evidence_value, one_line, shorten
from lossacc_mlflow.render.prediction_rows import loss_identity
from lossacc_mlflow.render.rows import (
    COMPARISON_COLUMNS,
    SPLITS,
    comparison_rows,
    curve_rows,
    flagged_first,
    group_rows,
    lacks_information,
    pair_tests,
    seen_keys,
    since,
)
from lossacc_mlflow.render.words import DISCREPANCIES, KEY_ADVICE, LEVELS, VERDICTS

__all__ = ["render_comparison_text", "render_text"]

_LABEL_WIDTH = 18


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
    lines += _labelled("verdict", f"{verdict.label}. {verdict.meaning}", width)
    lines += _labelled("loss vs accuracy", f"{discrepancy.label}. {discrepancy.meaning}", width)
    lines += _paragraph(diagnosis.headline, width)
    lines += _curve_table(diagnosis)
    lines += _prediction_lines(diagnosis, width)
    for finding in flagged_first(diagnosis.findings):
        lines += ["", *_finding_lines(finding, since(finding, diagnosis.curves), width)]
    lines += _unflagged(diagnosis.findings, width)
    if diagnosis.run.warnings:
        lines += ["", *_labelled("could not be read", " ".join(map(one_line, diagnosis.run.warnings)), width)]
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
        lines += _paragraph(sentence, width)
    if comparison.rows:
        lines += ["", *_table(COMPARISON_COLUMNS, comparison_rows(comparison.rows), left=(0, 6, 7))]
    for row in comparison.rows:
        if row.remarks:
            lines += ["", *_indented(" ".join(row.remarks), width)]
    for pair in comparison.pairs:
        lines += ["", *_pair_lines(pair, width)]
    for finding in flagged_first(comparison.findings):
        lines += ["", *_finding_lines(finding, "", width)]
    lines += _unflagged(comparison.findings, width)
    return "\n".join(lines)


def _curve_table(diagnosis: Diagnosis) -> list[str]:
    columns = ("curve", "first", "best", "at", "smoothed", "at", "last")
    rows = [
        (f"{r.split} {r.metric}", r.first, r.best, r.best_step, r.smoothed_best, r.smoothed_best_step, r.last)
        for r in curve_rows(diagnosis.curves)
    ]
    return ["", *_table(columns, rows, left=(0, 3, 5))] if rows else []


def _prediction_lines(diagnosis: Diagnosis, width: int) -> list[str]:
    lines: list[str] = []
    for split in SPLITS:
        if summary := diagnosis.run.predictions.get(split):
            lines += _labelled(f"{split} loss", loss_identity(summary), width)
    return ["", *lines] if lines else []


def _finding_lines(finding: Finding, start: str, width: int) -> list[str]:
    lines = [f"{LEVELS[finding.level].label.upper()} {finding.code} {one_line(finding.title)}"]
    lines += _indented(finding.message, width)
    labelled = [("since", start)] if start else []
    for evidence in finding.evidence:
        limit = evidence_threshold(evidence)
        value = f"{evidence_value(evidence)} (threshold {limit})" if limit else evidence_value(evidence)
        labelled.append((shorten(evidence.name.replace("_", " "), 40), value))
    if finding.advice:
        labelled.append(("what to do", finding.advice))
    column = max([_LABEL_WIDTH, *(len(label) for label, _ in labelled)])
    for label, text in labelled:
        lines += _labelled(label, text, width, column)
    return lines


def _unflagged(findings: Sequence[Finding], width: int) -> list[str]:
    lines: list[str] = []
    for status, label in (("clear", "clear"), ("not_applicable", "not applicable")):
        if codes := [f.code for f in findings if f.status == status]:
            lines += _labelled(label, f"{', '.join(codes)} ({len(codes)} of {len(findings)} rules)", width)
    return ["", *lines] if lines else []


def _what_to_log(diagnosis: Diagnosis, width: int) -> list[str]:
    understood, other = seen_keys(diagnosis)
    return [
        "",
        *_labelled("keys understood", understood or "none", width),
        *_labelled("not understood", other or "none", width),
        *_labelled("what to log", KEY_ADVICE, width),
    ]


def _pair_lines(pair: PairedComparison, width: int) -> list[str]:
    names = f"A = {shorten(pair.name_a, 60)}, B = {shorten(pair.name_b, 60)}"
    on = f" {pair.split}" if pair.split else ""
    columns = ("group", "samples", "loss A", "loss B", "adds to A - B", "share")
    lines = [f"{names}, on the same {pair.n_samples:,}{on} samples"]
    lines += _indented(pair.explanation, width)
    lines += [f"  {line}" for line in _table(columns, group_rows(pair), left=(0,))]
    for label, value in pair_tests(pair):
        lines += _indented(f"{label}: {value}", width)
    return lines


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int]) -> list[str]:
    """Align a table; columns named in ``left`` hold words, the others numbers."""
    table = [tuple(columns), *map(tuple, rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [line(table[0]), "  ".join("-" * w for w in widths), *map(line, table[1:])]


def _labelled(label: str, text: str, width: int, column: int = _LABEL_WIDTH) -> list[str]:
    return _wrapped(text, width, f"  {label.ljust(column)}  ", " " * (column + 4))


def _indented(text: str, width: int) -> list[str]:
    return _wrapped(text, width, "  ", "  ")


def _paragraph(text: str, width: int) -> list[str]:
    return ["", *_wrapped(text, width, "", "")] if one_line(text) else []


def _wrapped(text: str, width: int, first: str, following: str) -> list[str]:
    return wrap(one_line(text), width, initial_indent=first, subsequent_indent=following, break_on_hyphens=False)
