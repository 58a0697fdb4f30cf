"""Tags of a run: what loggers and people say in them, and those that we share, where what is theirs stays."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import cast, get_args

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.keys import ParsedKey, parse_override
from lossacc_mlflow.records import StepUnit

__all__ = [
    "KEYS_TAG",
    "KIND_TAG",
    "MAX_TAG_LENGTH",
    "OWN_TAG_PREFIX",
    "LoggedFacts",
    "merge_note",
    "merge_tables",
    "read_facts",
]

OWN_TAG_PREFIX = "lossacc."
"""Begins the key of every tag of ours."""

KIND_TAG = "lossacc.kind"
"""Says ``comparison`` on the run that compares the others."""

KEYS_TAG = "lossacc.keys"
"""Says what metric keys mean, as in ``my_key=validation:log_loss,other=train:accuracy``."""

MAX_TAG_LENGTH = 8_000
"""Characters that MLflow keeps of a run's tag."""

_OPEN, _CLOSE = "<!-- lossacc -->", "<!-- /lossacc -->"
# From an opening to its own closing: an opening that lost its closing belongs to the text around it.
_BLOCK = re.compile(rf"{_OPEN}(?:(?!{_OPEN}).)*?{_CLOSE}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LoggedFacts:
    """What the tags of a run say about what was logged; None where they do not.

    Parameters
    ----------
    loss : str or None
    step_unit : str or None
    n_classes : int or None
    class_counts : mapping of str to int, or None
    baseline_accuracy, baseline_loss : float or None
    overrides : mapping of str to ParsedKey
        What metric keys mean, before `keys` is asked.
    warnings : tuple of str
        Tags that could not be read.
    """

    loss: str | None = None
    step_unit: StepUnit | None = None
    n_classes: int | None = None
    class_counts: Mapping[str, int] | None = None
    baseline_accuracy: float | None = None
    baseline_loss: float | None = None
    overrides: Mapping[str, ParsedKey] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_facts(tags: Mapping[str, str]) -> LoggedFacts:
    """Read the tags ``lossacc.loss``, ``.step_unit``, ``.n_classes``, ``.class_counts``, ``.keys`` and the baselines.

    Parameters
    ----------
    tags : mapping of str to str

    Returns
    -------
    LoggedFacts

    Examples
    --------
    >>> facts = read_facts({"lossacc.n_classes": "ten", "lossacc.class_counts": '{"cat": 3, "dog": 1}'})
    >>> facts.n_classes, dict(facts.class_counts)
    (2, {'cat': 3, 'dog': 1})
    >>> facts.warnings
    ("tag lossacc.n_classes = 'ten' was left out: it is no number of classes (2 or more).",)
    """
    warnings = []

    def left_out(key: str, why: str) -> None:
        warnings.append(f"tag {key} = {tags[key][:60]!r} was left out: {why}.")

    step_unit = tags.get("lossacc.step_unit")
    if step_unit is not None and step_unit not in get_args(StepUnit):
        left_out("lossacc.step_unit", f"use one of {', '.join(get_args(StepUnit))}")
        step_unit = None
    class_counts = None
    if "lossacc.class_counts" in tags and (class_counts := _counts(tags["lossacc.class_counts"])) is None:
        left_out("lossacc.class_counts", 'it is no JSON object of counts, as in {"cat": 3, "dog": 1}')
    n_classes = len(class_counts) if class_counts and len(class_counts) > 1 else None
    if "lossacc.n_classes" in tags:
        text = tags["lossacc.n_classes"].strip()
        if text.isdecimal() and len(text) < 10 and int(text) > 1:
            n_classes = int(text)
        else:
            left_out("lossacc.n_classes", "it is no number of classes (2 or more)")
    baselines: dict[str, float | None] = {}
    for name in ("baseline_accuracy", "baseline_loss"):
        baselines[name] = number = _finite(tags.get(f"lossacc.{name}"))
        if number is None and f"lossacc.{name}" in tags:
            left_out(f"lossacc.{name}", "it is no finite number")
    overrides: dict[str, ParsedKey] = {}
    for part in filter(None, map(str.strip, tags.get(KEYS_TAG, "").split(","))):
        try:
            overrides |= [parse_override(part)]
        except InputError as error:
            warnings.append(f"tag {KEYS_TAG}: {error}")
    return LoggedFacts(
        loss=tags.get("lossacc.loss"),
        step_unit=cast("StepUnit | None", step_unit),
        n_classes=n_classes,
        class_counts=class_counts,
        baseline_accuracy=baselines["baseline_accuracy"],
        baseline_loss=baselines["baseline_loss"],
        overrides=overrides,
        warnings=tuple(warnings),
    )


def merge_note(existing: str, ours: str, *, limit: int = MAX_TAG_LENGTH) -> str:
    """Put our block into a note; a person's own text is kept whole.

    Parameters
    ----------
    existing : str
        The note as it stands.
    ours : str
        Markdown without delimiters; empty to take our block out.
    limit : int
        Characters that the note may have. Our block loses trailing paragraphs, then trailing lines, until it fits; if
        nothing of it fits, it is left out.

    Returns
    -------
    str

    Examples
    --------
    >>> print(merge_note("Mine.", "**healthy**"))
    Mine.
    <BLANKLINE>
    <!-- lossacc -->
    **healthy**
    <!-- /lossacc -->
    >>> merge_note(merge_note("Mine.", "**healthy**"), "")
    'Mine.'
    """
    found = _BLOCK.search(existing)
    if found:
        before, after = existing[: found.start()], _BLOCK.sub("", existing[found.end() :])
    else:
        before, after = existing + ("\n\n" if existing else ""), ""
    fixed = len(before) + len(after) + len(f"{_OPEN}\n\n{_CLOSE}")
    body = _fit(ours.replace(_OPEN, "").replace(_CLOSE, "").strip(), limit - fixed)
    if body:
        return f"{before}{_OPEN}\n{body}\n{_CLOSE}{after}"
    if not found:
        return existing
    return before.removesuffix("\n\n") + after if not after.strip() else before + after.removeprefix("\n\n")


def merge_tables(existing: str, ours: Iterable[str], *, prefix: str = "lossacc/") -> str:
    """List our tables in ``mlflow.loggedArtifacts``, besides those of others.

    Parameters
    ----------
    existing : str
        The tag as it stands: a JSON list of objects.
    ours : iterable of str
        Paths of our tables.
    prefix : str
        Begins the paths that are ours: those that are not in `ours` are taken out.

    Returns
    -------
    str
        Empty when nothing is left.

    Examples
    --------
    >>> merge_tables('[{"path": "mine.json", "type": "table"}]', ["lossacc/diagnostics.json"])
    '[{"path": "mine.json", "type": "table"}, {"path": "lossacc/diagnostics.json", "type": "table"}]'
    """
    try:
        listed = json.loads(existing or "[]")
    except ValueError:
        listed = []
    theirs = [
        entry
        for entry in (listed if isinstance(listed, list) else [])
        if not (isinstance(entry, dict) and str(entry.get("path", "")).startswith(prefix))
    ]
    tables = [*theirs, *({"path": path, "type": "table"} for path in sorted(set(ours)))]
    if tables == listed:
        return existing
    return json.dumps(tables) if tables else ""


def _counts(text: str) -> dict[str, int] | None:
    try:
        counts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(counts, dict) and all(type(count) is int and count >= 0 for count in counts.values())):
        return None
    return counts if sum(counts.values()) > 0 else None


def _finite(text: str | None) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if isfinite(number) else None


def _fit(text: str, room: int) -> str:
    """Drop trailing paragraphs, then trailing lines, until a text fits."""
    for separator in ("\n\n", "\n"):
        while len(text) > room and separator in text:
            text = text.rpartition(separator)[0].rstrip()
    return text if len(text) <= room else ""
