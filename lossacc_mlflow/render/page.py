"""Self-contained HTML pages for MLflow's artifact pane and for notebooks: no script, no external resource."""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import PurePosixPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lossacc_mlflow.records import CurveSummary, Finding
from lossacc_mlflow.render.format import evidence_threshold, evidence_value, sentence, shorten
from lossacc_mlflow.render.rows import flagged_first, since
from lossacc_mlflow.render.words import CAPTIONS, LEVELS

__all__ = ["PAGE_LIMIT", "Card", "Outcomes", "cards", "count_outcomes", "notebook_frame", "render_page"]

PAGE_LIMIT = 500_000
"""Bytes that a page takes at most, pictures included."""


@dataclass(frozen=True, slots=True)
class Card:
    """A flagged finding as a page shows it; evidence is (name, value, threshold)."""

    finding: Finding
    since: str
    evidence: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many rules came out in which way."""

    flagged: int
    clear: int
    not_applicable: int


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture in a page; ``uri`` is None where it was left out to keep the page small."""

    name: str
    title: str
    caption: str
    uri: str | None


def cards(findings: Sequence[Finding], curves: Sequence[CurveSummary] = ()) -> list[Card]:
    """Prepare the flagged findings, the gravest first."""
    return [Card(f, since(f, curves), _evidence(f)) for f in flagged_first(findings)]


def count_outcomes(findings: Iterable[Finding]) -> Outcomes:
    """Count findings by status."""
    counts = Counter(f.status for f in findings)
    return Outcomes(counts["flagged"], counts["clear"], counts["not_applicable"])


def render_page(template: str, context: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Render a template with as many of the first pictures as ``PAGE_LIMIT`` allows.

    Parameters
    ----------
    template : str
        File name below ``templates/``.
    context : mapping of str to object
        Everything that the template names, but for ``pictures``.
    pictures : mapping of str to bytes
        PNG or SVG by name or path.

    Returns
    -------
    str
        One HTML document that can be encoded in UTF-8.
    """
    page = _environment().get_template(template)
    html = b""
    for kept in range(len(pictures), -1, -1):
        shown = [_picture(name, body if i < kept else None) for i, (name, body) in enumerate(pictures.items())]
        html = page.render(**context, pictures=shown).encode("utf-8", "replace")
        if len(html) <= PAGE_LIMIT:
            break
    return html.decode()


def notebook_frame(html: str, *, height: int = 720) -> str:
    """Wrap a page in a frame, so that neither its style nor its content touches the notebook around it.

    Parameters
    ----------
    html : str
        A whole document.
    height : int
        In pixels; the reader can drag it larger.

    Returns
    -------
    str
        A sandboxed ``<iframe>`` that holds the page in its ``srcdoc``.

    Examples
    --------
    >>> notebook_frame('<p title="x">y</p>').endswith('srcdoc="&lt;p title=&quot;x&quot;&gt;y&lt;/p&gt;"></iframe>')
    True
    """
    style = f"width:100%;height:{height}px;border:0;resize:vertical;overflow:auto"
    return f'<iframe title="lossacc" sandbox style="{style}" srcdoc="{escape(html, quote=True)}"></iframe>'


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lossacc_mlflow"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shorten=shorten, sentence=sentence)
    environment.globals["levels"] = LEVELS
    return environment


def _evidence(finding: Finding) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (shorten(e.name.replace("_", " ")), evidence_value(e), evidence_threshold(e)) for e in finding.evidence
    )


def _picture(path: str, body: bytes | None) -> _Picture:
    name = shorten(PurePosixPath(path).stem)
    # Further pictures of one kind are numbered: attribution_2.
    title, caption = CAPTIONS.get(re.sub(r"_\d+$", "", name), (name.replace("_", " ").capitalize(), ""))
    if body is None:
        return _Picture(name, title, caption, None)
    media_type = "image/png" if body.startswith(b"\x89PNG") else "image/svg+xml"
    return _Picture(name, title, caption, f"data:{media_type};base64,{b64encode(body).decode()}")
