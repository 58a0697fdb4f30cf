"""Prediction files for the terminal: what each says about its loss, then what makes the difference between them."""

from collections.abc import Iterator, Sequence
from math import isnan

from lossacc_mlflow.records import PredictionFileSummary, PredictionReport, PredictionSummary
from lossacc_mlflow.render.format import one_line, shorten
from lossacc_mlflow.render.prediction_rows import loss_identity, prediction_groups
from lossacc_mlflow.render.prediction_tables import class_table, clip_table
from lossacc_mlflow.render.rows import flagged_first
from lossacc_mlflow.render.sheets import worst_predictions
from lossacc_mlflow.render.terminal import indented, labelled, pair_lines, table_lines
from lossacc_mlflow.render.words import DISCREPANCIES
from lossacc_mlflow.wording import NOT_KNOWN, number, percent

__all__ = ["render_predictions_text"]

_MAX_WORST = 5
_MAX_CLASSES = 10
_MAX_BESIDE = 4
"""Files whose figures stand side by side in one table; of more files only the first lines are shown."""

_SAYS_NOTHING = frozenset({NOT_KNOWN, f"{NOT_KNOWN}, {NOT_KNOWN}", "not asked for"})


def render_predictions_text(report: PredictionReport, *, width: int = 100) -> str:
    """Write what prediction files say for the terminal.

    Parameters
    ----------
    report : PredictionReport
    width : int
        Columns at which sentences are wrapped; tables may be wider.

    Returns
    -------
    str
        The answer first: of each file what its loss is made of and what is wrong with it; then every pair; then all
        figures, classes and the worst samples. Without escape sequences and without a final line break.
    """
    lines: list[str] = []
    for file in report.files:
        lines += [*([""] if lines else []), *_file_lines(file, width)]
    for pair in report.pairs:
        lines += ["", *pair_lines(pair, width)]
    for remark in report.remarks:
        lines += ["", *indented(remark, width)]
    if len(report.files) <= _MAX_BESIDE:
        lines += ["", *_figures(report.files)]
        for file in report.files:
            lines += _details(file, alone=len(report.files) == 1)
    return "\n".join(lines)


def _file_lines(file: PredictionFileSummary, width: int) -> list[str]:
    """Say in a few lines how good it is, what the loss is made of, and what is wrong with it."""
    s, discrepancy = file.summary, DISCREPANCIES[file.discrepancy]
    loss = f"log loss {number(s.log_loss)}" if not isnan(s.log_loss) else "log loss not known"
    lines = [f"{shorten(file.name)}: accuracy {percent(s.accuracy)}, {loss} ({_counted(s)})"]
    lines += labelled("loss vs accuracy", f"{discrepancy.label}. {discrepancy.meaning}", width)
    lines += labelled("the loss", loss_identity(s) if not isnan(s.loss_incorrect + s.loss_correct) else _part(s), width)
    for finding in flagged_first(file.findings):
        lines += labelled(finding.code, finding.message, width)
    advice = list(dict.fromkeys(f.advice for f in flagged_first(file.findings) if f.advice))
    if advice:
        lines += labelled("what to do", " ".join(advice), width)
    for note in s.notes:
        lines += labelled("note", note, width)
    return lines


def _counted(s: PredictionSummary) -> str:
    return f"{s.n_samples:,} sample{'s' * (s.n_samples != 1)}, {s.n_classes:,} class{'es' * (s.n_classes != 1)}"


def _part(s: PredictionSummary) -> str:
    """Say what is known of a loss whose right or wrong answers have none, or are not known."""
    if not isnan(s.log_loss):
        return loss_identity(s)
    if isnan(s.loss_correct):
        return "not known: the probability of the true class was not given"
    return (
        f"right answers cost {number(s.loss_correct)} on average; what wrong answers cost is not known, because the "
        "probability of their true class was not given (as probabilities of all classes, or p_true)"
    )


def _figures(files: Sequence[PredictionFileSummary]) -> list[str]:
    rows: list[tuple[str, ...]] = []
    for group, group_lines in prediction_groups([file.summary for file in files]):
        known = [(f"  {label}", *values) for label, values in group_lines if not _SAYS_NOTHING.issuperset(values)]
        if known:
            rows += [(group, *("" for _ in files)), *known]
    return table_lines(("figure", *(shorten(file.name, 30) for file in files)), rows, left=(0,))


def _details(file: PredictionFileSummary, *, alone: bool) -> Iterator[str]:
    """Clips, classes and worst samples, each where there is anything to see."""
    of = "" if alone else f", {shorten(file.name, 60)}"
    if clips := clip_table([("test", file.summary)]):
        yield from ("", f"The loss depends on the smallest probability that a library takes the logarithm of{of}")
        yield from table_lines((*clips.heads[:2], "Log loss"), clips.rows, left=(0,))
    if (classes := class_table(file.summary, "test")) and file.summary.n_classes > 1:
        shown = classes.rows[:_MAX_CLASSES]
        which = f"the {len(shown)} of {file.summary.n_classes:,} that" if len(shown) < len(classes.rows) else "those"
        yield from ("", f"Classes, {which} carry most of the loss first{of}")
        yield from table_lines(classes.heads, shown, left=(0,))
    worst = [w for w in worst_predictions(file.samples, _MAX_WORST) if not isnan(w.loss)]
    if worst:
        yield from ("", f"Samples with the largest loss{of}")
        heads = ("sample", "true class", "answer", "p of the true class", "confidence", "loss")
        rows = [
            (
                shorten(w.sample_id, 30),
                shorten(one_line(w.y_true), 30),
                shorten(one_line(w.y_pred), 30),
                number(w.p_true),
                percent(w.confidence),
                number(w.loss),
            )
            for w in worst
        ]
        yield from table_lines(heads, rows, left=(0, 1, 2))
