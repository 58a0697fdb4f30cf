"""Our block of a run's note in the MLflow UI: Markdown, verdict first, because it is folded after a few lines."""

from collections.abc import Sequence
from urllib.parse import quote

from lossacc_mlflow.records import Comparison, Diagnosis, Finding
from lossacc_mlflow.render.format import one_line, shorten
from lossacc_mlflow.render.rows import (
    comparison_rows,
    flagged_first,
    full_headline,
    lacks_information,
    seen_keys,
    since,
)
from lossacc_mlflow.render.words import DISCREPANCIES, KEY_ADVICE, VERDICTS

__all__ = ["NOTE_LIMIT", "markdown_text", "render_comparison_note", "render_note"]

NOTE_LIMIT = 6000
"""Characters that a block takes at most, unless told otherwise; MLflow cuts the whole note at 8,000."""

# Entities for what starts a tag, an entity, a mention or a link; backslashes for Markdown's own marks.
_ESCAPES = {c: f"\\{c}" for c in "\\`*_{}[]~|#"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
_ESCAPE_TABLE = str.maketrans(_ESCAPES)


def render_note(diagnosis: Diagnosis, *, picture: str | None, limit: int = NOTE_LIMIT) -> str:
    """Write the block of ``mlflow.note.content`` for one run.

    Parameters
    ----------
    diagnosis : Diagnosis
    picture : str or None
        Path of the picture among the run's artifacts, ``lossacc/curves.png`` say.
    limit : int
        Characters that it may take: findings, then the picture are left out where it would take more.

    Returns
    -------
    str
        Markdown without our delimiters. The picture is a relative link, as the UI shows no ``data:`` images.
    """
    verdict, discrepancy = VERDICTS[diagnosis.verdict], DISCREPANCIES[diagnosis.discrepancy]
    first = f"**{verdict.label}**"
    if diagnosis.discrepancy not in {"none", diagnosis.verdict}:
        first += f" · loss against accuracy: **{discrepancy.label.lower()}**"
    headline = full_headline(diagnosis, verdict.meaning)
    parts = [first, markdown_text(headline, 800)]
    if picture is not None:
        parts.append(_image(_picture_words(diagnosis), picture, diagnosis.run_id))
    items = [_finding_item(f, since(f, diagnosis.curves)) for f in flagged_first(diagnosis.findings)]
    if lacks_information(diagnosis):
        understood, other = seen_keys(diagnosis, limit=8)
        items.append(f"- Keys understood: {markdown_text(understood) or 'none'}")
        items.append(f"- Keys not understood: {markdown_text(other) or 'none'}")
        items.append(f"- {markdown_text(KEY_ADVICE)}")
    link = _artifact_link("Full report", "lossacc/report.html", diagnosis.run.experiment_id, diagnosis.run_id)
    return _fitted(parts, items, link, limit)


def render_comparison_note(comparison: Comparison, *, run_id: str, picture: str | None, limit: int = NOTE_LIMIT) -> str:
    """Write the block of ``mlflow.note.content`` for the run that holds a comparison.

    Parameters
    ----------
    comparison : Comparison
    run_id : str
        The run to which the comparison is written.
    picture : str or None
        Path of the picture among its artifacts.
    limit : int
        See :func:`render_note`.

    Returns
    -------
    str
    """
    sentences = [markdown_text(s, 600) for s in comparison.recommendation]
    parts = [f"**{sentences[0]}**" if sentences else f"**{len(comparison.rows)} runs compared**", *sentences[1:3]]
    if picture is not None:
        parts.append(_image("Loss against accuracy of every run", picture, run_id))
    items = [_finding_item(f, "") for f in flagged_first(comparison.findings)]
    items += [
        f"- {markdown_text(row[0], 60)}: accuracy {row[1]}, loss {row[2]}, {markdown_text(row[6]).lower()}"
        for row in comparison_rows(comparison.rows[:20])
    ]
    link = _artifact_link("Full comparison", "lossacc/comparison.html", comparison.experiment_id, run_id)
    return _fitted(parts, items, link, limit)


def markdown_text(text: str, limit: int = 2000) -> str:
    r"""Escape foreign text for Markdown, on one line.

    Examples
    --------
    >>> markdown_text("a*b|<script>\n[x](y)")
    'a\\*b\\|&lt;script&gt; \\[x\\](y)'
    """
    return shorten(text, limit).translate(_ESCAPE_TABLE).replace("://", ":&#47;/")


def _picture_words(diagnosis: Diagnosis) -> str:
    """Say what the picture of a run shows."""
    run = diagnosis.run
    if run.curves:
        return "Curves of loss and accuracy"
    if run.predictions:
        return "Calibration and refinement"
    return "True against predicted values" if run.regressions else "What the loss is made of, step by step"


def _finding_item(finding: Finding, start: str) -> str:
    when = f" ({start})" if start else ""
    title = markdown_text(one_line(finding.title), 120)
    return f"- **{finding.code}** {title}{when}: {markdown_text(finding.message, 400)}"


def _image(alt: str, path: str, run_id: str) -> str:
    return f"![{alt}](get-artifact?path={_quoted(path)}&run_uuid={_quoted(run_id)})"


def _artifact_link(label: str, path: str, experiment_id: str, run_id: str) -> str:
    if not experiment_id:
        return f"{label}: `{path}` among the artifacts"
    # Without the workflow type MLflow opens its pages for generative AI.
    page = f"#/experiments/{_quoted(experiment_id)}/runs/{_quoted(run_id)}/artifacts/{path}"
    return f"[{label}]({page}?workflowType=machine_learning)"


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _fitted(parts: Sequence[str], items: Sequence[str], link: str, limit: int) -> str:
    """Join the parts, leaving out from the end what does not fit; the first line and the link always stay."""
    kept = list(items)
    while True:
        left_out = len(items) - len(kept)
        rest = [f"- and {left_out} more in the report"] if left_out else []
        note = "\n\n".join([*parts, *(["\n".join([*kept, *rest])] if kept or rest else []), link])
        if len(note) <= limit or not (kept or len(parts) > 1):
            return note
        if kept:
            kept.pop()
        else:
            parts = parts[:-1]
