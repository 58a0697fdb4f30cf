"""Blocks of plain text for the terminal, shared by everything that is shown there: tables, paragraphs, findings."""

from collections.abc import Iterable, Sequence
from textwrap import wrap

from lossacc_mlflow.records import Finding, PairedComparison
from lossacc_mlflow.render.format import evidence_threshold, evidence_value, one_line, shorten
from lossacc_mlflow.render.rows import group_rows, pair_tests
from lossacc_mlflow.render.words import LEVELS

__all__ = ["finding_lines", "indented", "labelled", "pair_lines", "paragraph", "table_lines"]

_LABEL_WIDTH = 18


def finding_lines(finding: Finding, start: str, width: int) -> list[str]:
    """Write a finding: its message, the numbers beside their thresholds, and what to do."""
    lines = [f"{LEVELS[finding.level].label.upper()} {finding.code} {one_line(finding.title)}"]
    lines += indented(finding.message, width)
    rows = [("since", start)] if start else []
    for evidence in finding.evidence:
        limit = evidence_threshold(evidence)
        value = f"{evidence_value(evidence)} (threshold {limit})" if limit else evidence_value(evidence)
        rows.append((shorten(evidence.name.replace("_", " "), 40), value))
    if finding.advice:
        rows.append(("what to do", finding.advice))
    column = max([_LABEL_WIDTH, *(len(label) for label, _ in rows)])
    for label, text in rows:
        lines += labelled(label, text, width, column)
    return lines


def pair_lines(pair: PairedComparison, width: int) -> list[str]:
    """Write a paired comparison: its explanation, the four groups, and the tests."""
    names = f"A = {shorten(pair.name_a, 60)}, B = {shorten(pair.name_b, 60)}"
    on = f" {pair.split}" if pair.split else ""
    columns = ("group", "samples", "loss A", "loss B", "adds to A - B", "share")
    lines = [f"{names}, on the same {pair.n_samples:,}{on} samples"]
    lines += indented(pair.explanation, width)
    lines += [f"  {line}" for line in table_lines(columns, group_rows(pair), left=(0,))]
    for label, value in pair_tests(pair):
        lines += indented(f"{label}: {value}", width)
    return lines


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int]) -> list[str]:
    """Align a table; columns named in ``left`` hold words, the others numbers."""
    table = [tuple(columns), *map(tuple, rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return [line(table[0]), "  ".join("-" * w for w in widths), *map(line, table[1:])]


def labelled(label: str, text: str, width: int, column: int = _LABEL_WIDTH) -> list[str]:
    """Write a text beside its label."""
    return _wrapped(text, width, f"  {label.ljust(column)}  ", " " * (column + 4))


def indented(text: str, width: int) -> list[str]:
    """Write a text two spaces in."""
    return _wrapped(text, width, "  ", "  ")


def paragraph(text: str, width: int) -> list[str]:
    """Write a text below an empty line; nothing where it is empty."""
    return ["", *_wrapped(text, width, "", "")] if one_line(text) else []


def _wrapped(text: str, width: int, first: str, following: str) -> list[str]:
    return wrap(one_line(text), width, initial_indent=first, subsequent_indent=following, break_on_hyphens=False)
