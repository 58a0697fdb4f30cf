"""What reported figures prove, as text for one screen and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import fields
from math import inf, isnan
from textwrap import wrap
from typing import Any

from lossacc_mlflow.bounds import find_loss
from lossacc_mlflow.records import FigureBounds, FiguresReport, LossBounds, Miscalibration
from lossacc_mlflow.render.figure_sentences import figure_sentences
from lossacc_mlflow.render.format import interval, sentence, shorten
from lossacc_mlflow.render.jsonable import jsonable
from lossacc_mlflow.render.terminal import table_lines
from lossacc_mlflow.wording import number, percent

__all__ = ["figures_payload", "render_figures_json", "render_figures_text"]

_JSON_BOUNDS = (
    "floor",
    "ceiling",
    "calibrated_low",
    "calibrated_high",
    "removable_loss",
    "loss_correct",
    "loss_incorrect",
    "loss_share_incorrect",
)


def render_figures_text(report: FiguresReport, *, width: int = 80) -> str:
    """Write what figures prove for the terminal.

    Parameters
    ----------
    report : FiguresReport
    width : int
        Columns at which sentences are wrapped.

    Returns
    -------
    str
        Plain text without escape sequences and without a final line break.
    """
    said = figure_sentences(report)
    lines = _paragraphs([" ".join(said.headline)], width)
    if any(f.is_possible for f in report.figures):
        lines += ["", *wrap(_assumptions(report), width)]
        lines += ["", *_over_classes(report)] if report.by_n_classes else []
        lines += ["", *_attribution(report)]
    lines += _paragraphs(said.samples, width)
    if said.models:
        known = f"n = {report.n:,}" if report.n is not None else "n independent samples; n is not given"
        lines += ["", f"ABOUT THE MODELS ({known})", *_paragraphs(said.models, width)]
    if said.advice:
        lines += ["", "WHICH TO TAKE", *_paragraphs(said.advice, width)]
    return "\n".join(lines)


def _assumptions(report: FiguresReport) -> str:
    loss = find_loss(report.loss_name)
    logs = ", natural logarithm" if loss.unit == "nats" else ""
    clip = f", clipped at {report.clip:g}" if report.clip else ""
    classes = f" Among {report.n_classes:,} classes." if report.n_classes and loss.needs_classes else ""
    return (
        f"ON THESE SAMPLES (arithmetic, if the loss is the plain mean {loss.words}{logs}{clip}, over the same samples)."
        f"{classes}"
    )


def _paragraphs(sentences: Sequence[str], width: int) -> list[str]:
    return [line for text in sentences for line in wrap(sentence(text), width, break_on_hyphens=False)]


def _over_classes(report: FiguresReport) -> list[str]:
    """Loss of one constant confidence, and the share that it removes, over numbers of classes."""
    counts = list(report.by_n_classes)
    heads = [f"{k:,} classes" for k in counts]
    rows = []
    for i, figure in enumerate(report.figures):
        cells = [_constant_cell(report.by_n_classes[k][i]) for k in counts]
        rows.append((*_figures_cells(figure), *cells, _up_to(figure)))
    title = "Loss with one constant confidence, and the share of the loss that it removes:"
    return [title, *table_lines(("model", "accuracy", "loss", *heads, "K up to"), rows, left=(0,))]


def _constant_cell(figure: FigureBounds) -> str:
    if not figure.is_possible:
        return "impossible"
    if isnan(figure.constant):
        return "n/a"
    removed = figure.bounds.removable_loss
    return f"{number(figure.constant)} {f'{percent(removed / figure.bounds.loss, 0):>5}' if removed > 0 else '    -'}"


def _up_to(figure: FigureBounds) -> str:
    most = figure.removable_up_to_n_classes
    if most is None:
        return "-"
    return "any" if most == inf else f"{most:,.0f}" if most < 1e6 else number(most)


def _figures_cells(figure: FigureBounds) -> tuple[str, str, str]:
    return shorten(figure.reported.name, 16), figure.reported.accuracy_text, shorten(figure.reported.loss_text, 12)


def _attribution(report: FiguresReport) -> list[str]:
    """Who can carry how much of the loss, and with a number of classes what is possible."""
    figures = report.figures
    heads = ["model"]
    columns: list[list[str]] = [[_figures_cells(f)[0] for f in figures]]
    if not report.by_n_classes:
        heads += ["accuracy", "loss", "possible"]
        columns += [[_figures_cells(f)[i] for f in figures] for i in (1, 2)]
        columns += [[_range(f.bounds.floor, f.bounds.ceiling) for f in figures]]
        if any(not isnan(f.constant) for f in figures):
            heads += ["calibrated", "constant"]
            columns += [[_range(f.bounds.calibrated_low, f.bounds.calibrated_high) for f in figures]]
            columns += [[_constant_cell(f) for f in figures]]
    first = table_lines(heads, list(zip(*columns, strict=True)), left=(0,)) if len(heads) > 1 else []
    names = ["model", "right answers cost", "wrong answers cost", "wrong ones carry"]
    cells = [
        [_figures_cells(f)[0] for f in figures],
        [_range(*f.bounds.loss_correct) for f in figures],
        [_range(*f.bounds.loss_incorrect) for f in figures],
        [_range(*f.bounds.loss_share_incorrect, "fraction") for f in figures],
    ]
    if under := report.clipped.get("keras", ()):
        names.append("clip 1e-7")
        cells.append(["impossible" if not u.is_possible else _at_most(u.bounds.loss_share_incorrect[1]) for u in under])
    rows = list(zip(*cells, strict=True))
    every = ["Mean loss of right and wrong answers, whatever K is:"] if report.by_n_classes else [""] if first else []
    return [*first, *every, *table_lines(names, rows, left=(0,))]


def _range(low: float, high: float, unit: str = "") -> str:
    return interval(low, high, unit).replace("at least", ">=")


def _at_most(share: float) -> str:
    return percent(share) if share == 1 else f"<= {percent(share)}"


def figures_payload(report: FiguresReport) -> dict[str, Any]:
    """Collect what ``lossacc figures --format json`` prints.

    Parameters
    ----------
    report : FiguresReport

    Returns
    -------
    dict
        Of JSON values only. Each number of a figure is that of the figure as given; with ``_rounded`` what holds on the
        whole rounding interval. What is not defined or not known is null, what has no limit ``"inf"``.
    """
    said = figure_sentences(report)
    return {
        "n_classes": report.n_classes,
        "clip": report.clip,
        "loss_name": report.loss_name,
        "n": report.n,
        "figures": [_figure_payload(f) for f in report.figures],
        "pairs": [_known(p) for p in report.pairs],
        "statements": [*said.headline, *said.samples, *said.models, *said.advice],
        "by_n_classes": [
            {"n_classes": k, "figures": [_figure_payload(f) for f in figures]}
            for k, figures in report.by_n_classes.items()
        ],
        "by_clip": [
            {"library": library, "clip": figures[0].bounds.clip, "figures": [_figure_payload(f) for f in figures]}
            for library, figures in report.clipped.items()
        ],
    }


def render_figures_json(report: FiguresReport) -> str:
    """Write :func:`figures_payload`: strict JSON, without a final line break."""
    return json.dumps(figures_payload(report), indent=2, allow_nan=False)


def _figure_payload(figure: FigureBounds) -> dict[str, Any]:
    reported = figure.reported
    payload: dict[str, Any] = {
        "name": reported.name,
        "accuracy": reported.accuracy,
        "accuracy_rounded": reported.accuracy_interval,
        "loss": reported.loss,
        "loss_rounded": reported.loss_interval,
        "possible": figure.is_possible,
        "possible_from_n": figure.possible_from_n,
        "n_right": figure.n_right,
        "constant_loss": figure.constant,
        "removable_up_to_n_classes": figure.removable_up_to_n_classes,
    }
    sides = (("", figure.bounds, figure.miscalibration), ("_rounded", figure.rounded, figure.miscalibration_rounded))
    for suffix, bounds, test in sides:
        payload |= _bounds_payload(bounds, test, suffix)
    return {name: _known(value) for name, value in payload.items()}


def _bounds_payload(bounds: LossBounds, test: Miscalibration, suffix: str) -> dict[str, Any]:
    values = {f"{name}{suffix}": getattr(bounds, name) for name in _JSON_BOUNDS}
    return values | {f"miscalibration_{f.name}{suffix}": getattr(test, f.name) for f in fields(test)}


def _known(value: object) -> Any:  # noqa: ANN401  (a JSON value)
    """As JSON, with null for what is not defined: an interval without ends as well."""
    match jsonable(value):
        case "nan":
            return None
        case list(items) if any(item == "nan" for item in items):
            return None
        case dict(items):
            return {name: _known(item) for name, item in items.items()}
        case other:
            return other
