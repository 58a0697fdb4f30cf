"""The manual of a rule: its docstring and its thresholds."""

from dataclasses import fields
from inspect import cleandoc

from lossacc_mlflow.render.words import LEVELS
from lossacc_mlflow.rules import Question

__all__ = ["render_manual"]


def render_manual(rule: Question) -> str:
    """Write the manual of a rule as Markdown that also reads well in a terminal.

    Parameters
    ----------
    rule : Question
        An instance, so that the thresholds are those in force.

    Returns
    -------
    str
        Without a final line break.
    """
    heading = f"# {rule.code}: {rule.title} ({LEVELS[rule.level].label.lower()})"
    lines = [heading, "", cleandoc(type(rule).__doc__ or "")]
    own = [f.name for f in fields(rule) if not isinstance(getattr(rule, f.name), Question)]
    thresholds = [("threshold", "value"), *((name, f"{getattr(rule, name):.4g}") for name in own)]
    if len(thresholds) > 1:
        width, value_width = (max(len(row[i]) for row in thresholds) for i in (0, 1))
        table = [f"| {name.ljust(width)} | {value.rjust(value_width)} |" for name, value in thresholds]
        lines += ["", table[0], f"|{'-' * (width + 2)}|{'-' * (value_width + 1)}:|", *table[1:]]
    return "\n".join(lines)
