"""What was asked for before it was built, held against what was measured, and the page that says so."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.tables import table

__all__ = ["Goal", "Part", "render_parts"]


@dataclass(frozen=True)
class Goal:
    """One thing that was asked for, in words, and what came out.

    Parameters
    ----------
    what, wanted, found : str
    reached : bool
    """

    what: str
    wanted: str
    found: str
    reached: bool


@dataclass(frozen=True)
class Part:
    """One section of a page.

    Parameters
    ----------
    title : str
    paragraphs : tuple of str
        Text and tables.
    goals : tuple of Goal
    """

    title: str
    paragraphs: tuple[str, ...]
    goals: tuple[Goal, ...] = ()


def render_parts(title: str, introduction: str, parts: Sequence[Part], remark: str | None = None) -> str:
    """Write a page: how many goals are missed, all of them in a table, and the parts that they come from.

    Parameters
    ----------
    title, introduction : str
    parts : sequence of Part
    remark : str, optional
        Stands where the number of missed goals does, if that says nothing.

    Returns
    -------
    str
        Markdown.

    Examples
    --------
    >>> missed = Goal("memory", "at most 20 MB", "23 MB", reached=False)
    >>> print(render_parts("Speed", "Made today.", [Part("One", ("text",), (missed,))]))
    # Speed
    <BLANKLINE>
    Made today.
    <BLANKLINE>
    1 of 1 goals is missed.
    <BLANKLINE>
    | goal | wanted | found | reached |
    |---|---:|---:|---:|
    | memory | at most 20 MB | 23 MB | **no** |
    <BLANKLINE>
    ## One
    <BLANKLINE>
    text
    <BLANKLINE>
    <BLANKLINE>
    """
    goals = [goal for part in parts for goal in part.goals]
    missed = sum(not goal.reached for goal in goals)
    verdict = f"{missed} of {len(goals)} goals {'is' if missed == 1 else 'are'} missed."
    if not missed:
        verdict = f"All {len(goals)} goals are reached."
    rows = [[goal.what, goal.wanted, goal.found, "yes" if goal.reached else "**no**"] for goal in goals]
    text = [f"# {title}", introduction, remark or verdict, table(["goal", "wanted", "found", "reached"], rows)]
    for part in parts:
        text += [f"## {part.title}", *part.paragraphs]
    return "\n\n".join([*text, ""])
