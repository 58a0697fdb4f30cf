"""The manual of a rule: its docstring and its thresholds."""

from inspect import cleandoc

from lossacc_mlflow.render.words import LEVELS
from lossacc_mlflow.rules import Question
from lossacc_mlflow.rules.configuration import thresholds_of

__all__ = ["render_manual"]


def render_manual(rule: Question, *, source: str = "") -> str:
    """Write the manual of a rule as Markdown that also reads well in a terminal.

    Parameters
    ----------
    rule : Question
        An instance, so that the thresholds are those in force.
    source : str
        Where thresholds that are not the defaults come from.

    Returns
    -------
    str
        Without a final line break.
    """
    heading = f"# {rule.code}: {rule.title} ({LEVELS[rule.level].label.lower()})"
    return "\n\n".join([heading, cleandoc(type(rule).__doc__ or ""), *_thresholds(rule, source)])


def _thresholds(rule: Question, source: str) -> list[str]:
    """The table of thresholds, with the defaults beside those that differ from them."""
    own, default = thresholds_of(rule), thresholds_of(type(rule)())
    if not own:
        return []
    changed = own != default
    rows = [("threshold", "value", "default")[: 3 if changed else 2]]
    for name, value in own.items():
        rows.append((name, f"{value:.4g}", f"{default[name]:.4g}")[: 3 if changed else 2])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    table = [_line(row, widths) for row in rows]
    table.insert(1, f"|{'-' * (widths[0] + 2)}|{''.join('-' * (width + 1) + ':|' for width in widths[1:])}")
    told = [f"Values that differ from the default are set in {source}."] if changed and source else []
    return ["\n".join(table), *told]


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join([name.strip().ljust(widths[0]), *numbers])} |"
