"""The page of stopping at an alarm and stopping with patience."""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.page import versions
from benchmarks.stopping_rules import ALARM, END, RISE, STOPPING_RULES, Outcome, Stopped
from benchmarks.tables import share, table

__all__ = ["render"]


def render(trained: Sequence[Stopped], curves: Sequence[Stopped]) -> str:
    """Write the page.

    Parameters
    ----------
    trained : sequence of Stopped
        Trainings of our own.
    curves : sequence of Stopped
        Labelled curves; may be none.

    Returns
    -------
    str
        Markdown.
    """
    packages = ("scikit-learn", "torch", "keras", "xgboost")
    parts = [
        "# Stopping at an alarm, and stopping with patience",
        f"Written by `python -m benchmarks.early_stopping` with {versions(*packages)}. What the columns mean: "
        "[benchmarks.md](benchmarks.md#stopping-beside-patience).",
        *_section("Trainings that were run for this", trained),
        *(_section("Labelled curves of others", curves) if curves else ()),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, stopped: Sequence[Stopped]) -> Iterator[str]:
    yield f"## {title}"
    yield _sentence(stopped)
    yield _table(stopped)
    kinds = {
        "rises": f"The validation loss ends more than {100 * RISE:g} % above its best",
        "improves": f"The best step is among the last {100 * END:g} %",
        "levels off": "Neither",
    }
    for kind, what in kinds.items():
        chosen = [one for one in stopped if one.kind == kind]
        yield f"### {what} ({len(chosen)} of {len(stopped)})"
        if chosen:
            yield _table(chosen)
    yield "### By kind"
    yield "Best step kept / steps saved."
    groups: dict[str, list[Stopped]] = {}
    for one in stopped:
        groups.setdefault(one.group, []).append(one)
    rows = [
        [name, str(len(group)), *(_short(group, rule) for rule in STOPPING_RULES)] for name, group in groups.items()
    ]
    yield table(["", "trainings", *STOPPING_RULES], rows)


def _sentence(stopped: Sequence[Stopped]) -> str:
    """Say where each of the two wins."""
    kept = {rule: sum(one.by_rule[rule].kept for one in stopped) for rule in STOPPING_RULES}
    saved = {rule: 100 * np.mean([one.by_rule[rule].saved for one in stopped]) for rule in STOPPING_RULES}
    rising = [one for one in stopped if one.kind == "rises"]
    caught = {rule: sum(one.by_rule[rule].stopped for one in rising) for rule in STOPPING_RULES}
    return (
        f"{len(stopped)} trainings, each to its full length. Stopped at the alarm, {kept[ALARM]} keep their best step; "
        f"with a patience of 10, {kept['patience 10']} do, with one of 20, {kept['patience 20']}. Steps saved: "
        f"{saved[ALARM]:.0f} % by the alarm, {saved['patience 10']:.0f} % and {saved['patience 20']:.0f} % with "
        "patience. Patience also ends a training that neither improves nor gets worse, and the alarm does not: where "
        "computing time counts more than the last bit of loss, patience wins. Of the "
        f"{len(rising)} trainings whose validation loss has risen in the end, the alarm stops {caught[ALARM]}, a "
        f"patience of 10 stops {caught['patience 10']}."
    )


def _table(stopped: Sequence[Stopped]) -> str:
    header = ["", "best step kept", "loss lost, mean", "worst 5 %", "stopped", "steps saved", "median delay"]
    return table(header, [_line(rule, [one.by_rule[rule] for one in stopped]) for rule in STOPPING_RULES])


def _line(name: str, found: Sequence[Outcome]) -> list[str]:
    lost = [one.lost for one in found]
    delays = [one.delay for one in found if one.stopped and one.kept]
    return [
        name,
        share(sum(one.kept for one in found), len(found)),
        f"{100 * np.mean(lost):.2f} %",
        f"{100 * np.quantile(lost, 0.95):.1f} %",
        share(sum(one.stopped for one in found), len(found)),
        f"{100 * np.mean([one.saved for one in found]):.0f} %",
        f"{np.median(delays):g}" if delays else "-",
    ]


def _short(stopped: Sequence[Stopped], rule: str) -> str:
    kept = np.mean([one.by_rule[rule].kept for one in stopped])
    saved = np.mean([one.by_rule[rule].saved for one in stopped])
    return f"{100 * kept:.0f} % / {100 * saved:.0f} %"
