"""What reported figures prove, in sentences with numbers: about these samples, about the models, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, floor, isfinite, isnan, log

from lossacc_mlflow.bounds import find_loss
from lossacc_mlflow.clips import CLIPS
from lossacc_mlflow.records import FigureBounds, FigurePair, FiguresReport
from lossacc_mlflow.render.format import interval, one_line, shorten
from lossacc_mlflow.wording import number, p_value, percent

__all__ = ["FigureSentences", "figure_sentences", "focus", "model_name"]

_FOCUS = 10


@dataclass(frozen=True, slots=True)
class FigureSentences:
    """The answer first; then arithmetic about these samples, statements about the models, and what to take."""

    headline: tuple[str, ...]
    samples: tuple[str, ...]
    models: tuple[str, ...]
    advice: tuple[str, ...]


def figure_sentences(report: FiguresReport) -> FigureSentences:
    """Write what figures prove.

    Parameters
    ----------
    report : FiguresReport

    Returns
    -------
    FigureSentences
        Without n nothing is said to be proved about a model.
    """
    return FigureSentences(
        tuple(_headline(report)), tuple(_samples(report)), tuple(_models(report)), tuple(_advice(report))
    )


def model_name(figure: FigureBounds) -> str:
    """Name a model in a sentence.

    Examples
    --------
    >>> from lossacc_mlflow.bounds import judge_figures, read_figures
    >>> [model_name(f) for f in judge_figures(read_figures(["0.9/0.3", "net=0.9/0.3"])).figures]
    ['model 1', 'net']
    """
    return _named(figure.reported.name)


def _named(name: str) -> str:
    return f"model {name}" if name.isdigit() else shorten(name, 24)


def focus(report: FiguresReport) -> tuple[int | None, tuple[FigureBounds, ...]]:
    """The number of classes that sentences speak of, and the figures judged with it.

    Without a given one, ten; None where the loss does not depend on it.
    """
    return (_FOCUS, report.by_n_classes[_FOCUS]) if report.by_n_classes else (report.n_classes, report.figures)


def _headline(report: FiguresReport) -> Iterator[str]:
    k, figures = focus(report)
    for figure in figures:
        if not figure.is_possible:
            yield _impossible(figure, report)
    known = [f for f in figures if f.is_possible]
    if not known:
        return
    best, lowest = _best(known), _lowest(known)
    if len(known) == 1:
        yield _removable(best, report, k)
    elif best is lowest:
        second = min((f for f in known if f is not best), key=lambda f: f.reported.loss)
        if (best.reported.accuracy, best.reported.loss) == (second.reported.accuracy, second.reported.loss):
            yield f"{_capital(model_name(best))} and {model_name(second)} have the same figures."
        else:
            yield f"{_capital(model_name(best))} is ahead in both: highest accuracy and lowest loss."
        worst = max(known, key=lambda f: f.bounds.removable_loss if f.bounds.removable_loss > 0 else 0.0)
        yield _removable(worst, report, k)
    else:
        gap = best.reported.loss - lowest.reported.loss
        yield (
            f"{_capital(model_name(best))} is right most often ({best.reported.accuracy_text}); {model_name(lowest)} "
            f"has the lowest loss ({lowest.reported.loss_text}), {number(gap)} less.{_behind(report)}"
        )
        yield _removable(best, report, k)
        if best.constant < lowest.reported.loss:
            yield "That is below every loss given here."


def _behind(report: FiguresReport) -> str:
    """Name the models that another one is ahead of in both figures."""
    told = {p.b: p.a for p in report.pairs if p.accuracy_gap > 0 and p.loss_gap <= 0}
    return "".join(f" {_capital(_named(b))} is behind {_named(a)} in both." for b, a in list(told.items())[:3])


def _removable(figure: FigureBounds, report: FiguresReport, k: int | None) -> str:
    """What one constant confidence would do, and that it is about these samples."""
    bounds, name, reported = figure.bounds, model_name(figure), figure.reported
    if isnan(bounds.removable_loss):
        return (
            f"{_capital(find_loss(report.loss_name).words)} is no proper score: its value cannot show whether "
            "probabilities are right, only who carries how much of it."
        )
    among = f"Among {k:,} classes" if k is not None else "Here"
    if bounds.removable_loss > 0:
        least = figure.rounded.removable_loss / reported.loss_interval[0] if reported.loss_interval[0] > 0 else 0.0
        sure = f" ({percent(least, 0)} or more however they were rounded)" if figure.rounded.removable_loss > 0 else ""
        return (
            f"{among}, one constant confidence, {_confidence(figure, k)} in every answer of {name}, has the loss "
            f"F({reported.accuracy:g}, {k or 2}) = {number(figure.constant)} instead of {reported.loss_text}: "
            f"{percent(bounds.removable_loss / bounds.loss, 0)} of its loss{sure} is removable without changing a "
            "prediction on these samples."
        )
    if bounds.loss >= bounds.calibrated_low:
        return (
            f"{among}, the loss of {name} is one that a calibrated model of its accuracy can have "
            f"({interval(bounds.calibrated_low, bounds.calibrated_high)}): these figures show no fault of its "
            "probabilities."
        )
    return (
        f"{among}, the loss of {name} is below what a calibrated model of its accuracy expects "
        f"({number(bounds.calibrated_low)} or more): on these samples wrong answers got nearly as much probability for "
        "the true class as for the answer."
    )


def _confidence(figure: FigureBounds, k: int | None) -> str:
    below_chance = figure.reported.accuracy < 1 / (k or 2)
    return f"{percent(1 / (k or 2))} (chance)" if below_chance else figure.reported.accuracy_text


def _impossible(figure: FigureBounds, report: FiguresReport) -> str:
    reported, bounds = figure.reported, figure.rounded
    words = find_loss(report.loss_name).words
    start = (
        f"{_capital(model_name(figure))} is impossible: at an accuracy of {reported.accuracy_text} the mean {words} is"
    )
    if reported.loss < bounds.floor:
        return f"{start} at least {number(bounds.floor)}, not {reported.loss_text}. {_below(figure, report)}"
    clip = f" with a clip at {_clip(report.clip)}" if report.clip else ""
    classes = f" among {report.n_classes:,} classes" if report.n_classes else ""
    return (
        f"{start} at most {number(bounds.ceiling)}{classes}{clip}, not {reported.loss_text}. Something was added to it "
        "(an L2 penalty, an auxiliary loss, label smoothing), it is a sum and not a mean, or the number of classes"
        f"{' or the clip' if report.clip else ''} is another."
    )


def _below(figure: FigureBounds, report: FiguresReport) -> str:
    a, loss = figure.reported.accuracy, figure.reported.loss
    if a <= 0.01 and loss >= (1 - 100 * a) * 0.5:
        return f"If {a:g} is the accuracy as a fraction of 100 %, write {100 * a:g} without a percent sign."
    hints = {
        "log_loss": "a focal, weighted or binary-per-class loss, another base than e, a mean over classes or batches",
        "brier": "the mean over classes or of one probability (--loss brier:binary)",
        "focal": "a weight alpha (Keras' categorical one multiplies by 0.25: --loss focal:2:0.25)",
        "smoothed": "another alpha",
    }
    hint = hints.get(report.loss_name.partition(":")[0], "another loss, or a scaled one")
    if report.loss_name == "brier:binary":
        hint = "another loss, or a scaled one"
    return (
        f"The loss is of another kind ({hint}) or of other samples or another epoch than the accuracy; or the "
        "accuracy is a top-k or element-wise one."
    )


def _samples(report: FiguresReport) -> Iterator[str]:
    known = [f for f in focus(report)[1] if f.is_possible]
    for figure in known:
        yield from _worse_than_uniform(figure, report)
    yield from _clip_sentences(report)
    if len(known) < 2:
        return
    best, lowest = _best(known), _lowest(known)
    for pair in report.pairs:
        if pair.reverses and (pair.a, pair.b) == (best.reported.name, lowest.reported.name):
            yield _reversal(pair, report)
    others = [p for p in report.pairs if p.loss_correct_must_differ or p.loss_incorrect_must_differ]
    for pair in others[:2]:
        which = [
            text
            for differs, text in (
                (pair.loss_correct_must_differ, "right"),
                (pair.loss_incorrect_must_differ, "wrong"),
            )
            if differs
        ]
        yield (
            f"The {' and the '.join(which)} answers of {_named(pair.a)} and {_named(pair.b)} cannot cost the same: "
            "their intervals do not meet."
        )


def _worse_than_uniform(figure: FigureBounds, report: FiguresReport) -> Iterator[str]:
    loss = figure.reported.loss_interval[0]
    if report.loss_name != "log_loss" or loss <= log(report.n_classes or 2):
        return
    if report.n_classes:
        yield (
            f"The loss of {model_name(figure)} is worse than that of answering 1/{report.n_classes:,} for every class, "
            f"ln {report.n_classes:,} = {number(log(report.n_classes))}."
        )
    else:
        most = f"up to {floor(exp(loss)):,} classes" if loss < 30 else "any real number of classes"
        yield f"The loss of {model_name(figure)} is worse than answering 1/K for every class with {most} (ln K)."


def _clip_sentences(report: FiguresReport) -> Iterator[str]:
    """What the clip of a library would prove; one sentence for the most telling figure."""
    under = report.clipped.get("keras", ())
    pairs = [(f, u) for f, u in zip(report.figures, under, strict=False) if f.is_possible]
    for figure, clipped in pairs:
        if not clipped.is_possible:
            yield (
                f"Under Keras' clip ({_clip(CLIPS['keras'])}) the loss of {model_name(figure)} could not be above "
                f"{number(clipped.rounded.ceiling)}: something was added to it, or another clip was used."
            )
    telling = [(f, u) for f, u in pairs if u.is_possible and u.bounds.loss_share_incorrect[1] < 0.995]
    for figure, clipped in sorted(telling, key=lambda p: p[1].bounds.loss_share_incorrect[1])[:1]:
        wrong = figure.bounds.loss_incorrect[1]
        free = f"; with a clip below {number(exp(-wrong))} they could carry all of it" if wrong < 700 else ""
        yield (
            f"If the loss was clipped at {_clip(CLIPS['keras'])} (Keras), the errors of {model_name(figure)} cost at "
            f"most {number(clipped.bounds.loss_max)} each and carry at most "
            f"{percent(clipped.bounds.loss_share_incorrect[1])} of its loss: a few huge errors are not all of it{free}."
        )


def _reversal(pair: FigurePair, report: FiguresReport) -> str:
    """Why a more accurate model can have the higher loss: which means must differ, and by how much."""
    a, b = _named(pair.a), _named(pair.b)
    low, high = pair.loss_gap_of_accuracy
    text = (
        f"Accuracy alone makes no such gap: with the mean losses of {b}'s right and wrong answers, "
        f"{100 * pair.accuracy_gap:.2g} points more of it lower the loss by {interval(-high, -low)}; that of {a} is "
        f"{number(pair.loss_gap)} higher."
        if high <= 0
        else f"The loss of {a} is {number(pair.loss_gap)} above that of {b}, at the higher accuracy."
    )
    wrong, right = pair.loss_incorrect_needed, pair.loss_correct_needed
    if wrong is None or right is None or not isfinite(wrong):
        return text
    chance = f" (true class at {number(exp(-wrong))})" if report.loss_name == "log_loss" and 1 < wrong < 700 else ""
    return (
        f"{text} If its right answers cost no more than those of {b}, its wrong ones cost {number(wrong)} or more "
        f"each{chance}; if its wrong ones cost no more, its right ones cost {number(right)} or more."
    )


def _models(report: FiguresReport) -> Iterator[str]:
    k, figures = focus(report)
    known = [f for f in figures if f.is_possible]
    if report.n is None:
        yield from _from_n(known, report, k)
    else:
        yield from _at_n(figures, report, k)
    yield from _accuracy_tests(report)


def _from_n(known: list[FigureBounds], report: FiguresReport, k: int | None) -> Iterator[str]:
    if not find_loss(report.loss_name).proper or not known:
        return
    among = f" among {k:,} classes" if k is not None else ""
    told = []
    for figure in known:
        from_n = figure.miscalibration_rounded.proved_from_n
        if from_n is None:
            continue
        if from_n <= figure.possible_from_n:
            told.append(
                f"that of {model_name(figure)} at every n at which {figure.reported.accuracy_text} is possible "
                f"(n >= {figure.possible_from_n:,})"
            )
        else:
            told.append(f"that of {model_name(figure)} from n = {from_n:,} on")
    together = f", {len(report.figures)} figures together" if len(report.figures) > 1 else ""
    if told:
        yield (
            f"With n independent samples, miscalibration{among} is significant ({percent(report.alpha, 0)}"
            f"{together}): {'; '.join(told)}."
        )
    else:
        yield f"At no number of samples are these figures significant for miscalibration{among}."


def _at_n(figures: tuple[FigureBounds, ...], report: FiguresReport, k: int | None) -> Iterator[str]:
    n = report.n or 1
    among = f" among {k:,} classes" if k is not None else ""
    for figure in figures:
        name, test = model_name(figure), figure.miscalibration_rounded
        if figure.n_right is None:
            yield (
                f"{_capital(name)}: {figure.reported.accuracy_text} of {n:,} is no whole number of right answers; the "
                f"least n with this accuracy is {figure.possible_from_n:,}."
            )
        elif test.p is not None and test.proved:
            excess = figure.rounded.removable_loss
            more = excess - 1 / n
            yield (
                f"{_capital(name)} is miscalibrated{among}: a calibrated model has such figures on {n:,} independent "
                f"samples with {p_value(test.p)} at most. On new samples expect to remove about {number(more)}."
            )
        elif test.p is not None and test.proved_from_n is not None:
            yield (
                f"{_capital(name)}: miscalibration{among} is not proved by {n:,} samples ({p_value(test.p)}); it would "
                f"be from {test.proved_from_n:,} on."
            )
        elif test.p is not None:
            yield f"{_capital(name)}: its loss is no sign of miscalibration{among}, at any n."


def _accuracy_tests(report: FiguresReport) -> Iterator[str]:
    pairs = [p for p in report.pairs if p.accuracy_gap > 0]
    if not pairs:
        return
    needed = pairs[0].mcnemar_gap_needed
    holm = f", Holm over {len(report.pairs)} pairs" if len(report.pairs) > 1 else ""
    test = f"exact McNemar, same samples{holm}, {percent(report.alpha, 0)}"
    if report.n is None:
        least = [p for p in pairs if p.mcnemar_from_n is not None]
        told = "; ".join(f"{_short(p)} below n = {p.mcnemar_from_n:,}" for p in least[:3])
        yield (
            f"Accuracies less than {needed} right answers apart cannot differ significantly ({test}): {told}. "
            "Above, it depends on which samples they get wrong."
        )
        return
    alpha = report.alpha / max(1, len(report.pairs))
    told = "; ".join(f"{_short(p)} {_verdict(p.mcnemar_p, alpha)}" for p in pairs[:3] if p.mcnemar_p is not None)
    if told:
        yield f"Accuracy ({test}): {told}."


def _verdict(p: tuple[float, float], alpha: float) -> str:
    if p[0] > alpha:
        return f"cannot be told apart ({p_value(p[0])} at best)"
    if p[1] <= alpha:
        return f"differ whichever samples they get wrong ({p_value(p[1])} at worst)"
    return "may or may not differ: it depends on which samples they get wrong"


def _short(pair: FigurePair) -> str:
    a, b = _named(pair.a), _named(pair.b)
    return f"{a} against {b}" if not (pair.a.isdigit() and pair.b.isdigit()) else f"{pair.a} against {pair.b}"


def _advice(report: FiguresReport) -> Iterator[str]:
    known = [f for f in focus(report)[1] if f.is_possible]
    if len(known) < 2:
        return
    best, lowest = _best(known), _lowest(known)
    if best is lowest:
        yield f"Take {model_name(best)}: no other is ahead in either figure."
        return
    yield f"If only the answers count: {model_name(best)}."
    yield f"If the probabilities are used as they are: {model_name(lowest)}."
    if best.constant < lowest.reported.loss:
        k = focus(report)[0]
        among = f" (among {k:,} classes; check on held-out samples)" if k else " (check on held-out samples)"
        yield (
            f"If they may be recalibrated: {model_name(best)}, {number(best.constant)} or less is in reach without "
            f"changing an answer{among}."
        )
    elif not isnan(best.constant):
        yield (
            "If they may be recalibrated: these figures do not tell; 'lossacc predictions' of both files does, on the "
            "same samples."
        )


def _best(figures: list[FigureBounds]) -> FigureBounds:
    return min(figures, key=lambda f: (-f.reported.accuracy, f.reported.loss))


def _lowest(figures: list[FigureBounds]) -> FigureBounds:
    return min(figures, key=lambda f: (f.reported.loss, -f.reported.accuracy))


def _capital(text: str) -> str:
    return one_line(text[:1].upper() + text[1:])


def _clip(clip: float) -> str:
    """Write a smallest probability: 1e-7 and not 1.0e-7."""
    return number(clip).replace(".0e", "e")
