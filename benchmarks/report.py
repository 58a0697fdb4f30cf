"""The tables of a benchmark of the rules, as one page of markdown."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.judging import VARIANTS
from benchmarks.results import OURS, Question, Results
from benchmarks.stopping import Stop, render_stopping
from benchmarks.tables import interval, plain, share, table
from benchmarks.tasks import MIN_OF_EACH, TASKS

__all__ = ["render_report"]

_AS_LOGGED = "as logged"
_ALARMS = ("overfitting", "loss_overfitting", "diverged")


def render_report(results: Results, stops: Sequence[Stop] | None, used: str) -> str:
    """Write every table.

    Parameters
    ----------
    results : Results
    stops : sequence of Stop or None
        None leaves the stopping question out.
    used : str
        What was used, with its versions.

    Returns
    -------
    str
        Markdown.
    """
    parts = [
        "# Scores on labelled training curves",
        f"Written by `python -m benchmarks.curves` with {used}. How to read it: [benchmarks.md](benchmarks.md).",
        *_runs(results),
        *_our_scores(results),
        *_against_peers(results),
        *_all_variants(results),
        *_who_is_better(results),
        *_nonfinite(results),
        *_onsets(results),
        *_false_alarms(results),
        *_verdicts(results),
        *([] if stops is None else render_stopping(results.runs, stops)),
    ]
    return "\n\n".join(parts) + "\n"


def _runs(results: Results) -> Iterator[str]:
    yield "## Runs"
    counts = Counter((one.label, one.data_set) for one in results.runs)
    labels = sorted({label for label, _ in counts})
    rows = [[label, *(str(counts[label, name] or "-") for name in results.sets)] for label in labels]
    total = Counter(one.data_set for one in results.runs)
    yield table(["label", *results.sets], [*rows, ["all", *(str(total[name]) for name in results.sets)]])


def _our_scores(results: Results) -> Iterator[str]:
    yield "## Our macro-F1, in every variant"
    yield (
        f"With noise: mean over the seeds. Sets with fewer than {MIN_OF_EACH} runs of a class are shown, not counted."
    )
    yield _our_table(results, abstaining_is_no=False)
    yield "The same, where abstaining (`not_enough_information`) is taken as no instead of as wrong:"
    yield _our_table(results, abstaining_is_no=True)


def _our_table(results: Results, *, abstaining_is_no: bool) -> str:
    rows = []
    for task in TASKS:
        for question in results.questions(task):
            score = results.score_plainly if abstaining_is_no else results.score
            scores = [score(question, variant).macro_f1 for variant in results.variants]
            size = f"{question.n_positive} / {question.n_negative}"
            rows.append([task.title, question.data_set, size, *map(plain, scores)])
    return table(["question", "set", "yes / no", *results.variants], rows)


def _against_peers(results: Results) -> Iterator[str]:
    yield "## Every judge, as logged"
    for task in TASKS:
        for question in results.questions(task):
            if not question.counts:
                continue
            yield f"### {task.title}: {question.data_set} ({question.n_positive} / {question.n_negative})"
            yield _judges_table(results, question)


def _judges_table(results: Results, question: Question) -> str:
    rows = []
    for judge in results.judges(question.task):
        score = results.score(question, _AS_LOGGED, judge)
        row = [
            OURS if judge is None else judge.name,
            plain(score.precision),
            plain(score.recall),
            plain(score.f1),
            interval(score.macro_f1, score.interval),
            f"{100 * score.false_alarm_rate:.1f} %",
            f"{score.abstained:g}",
        ]
        if judge is None:
            row += ["", "", ""]
        else:
            pair = results.compare(question, _AS_LOGGED, judge)
            row += [interval(pair.difference, pair.interval), f"{pair.wins} : {pair.losses}", f"{pair.mcnemar_p:.2g}"]
        rows.append(row)
    header = ["judge", "precision", "recall", "F1", "macro-F1 [95 %]", "false alarms", "no answer"]
    return table([*header, "ours - theirs [95 %]", "only we / only they right", "McNemar p"], rows)


def _all_variants(results: Results) -> Iterator[str]:
    yield "## Every judge, in every variant: mean macro-F1 over the sets that count"
    for task in TASKS:
        counted = [question for question in results.questions(task) if question.counts]
        if not counted or len(results.judges(task)) == 1:
            continue
        yield f"### {task.title} ({', '.join(question.data_set for question in counted)})"
        rows = []
        for judge in results.judges(task):
            cells = [
                plain(float(np.mean([results.score(question, variant, judge).macro_f1 for question in counted])))
                if results.can_answer(judge, variant)
                else "-"
                for variant in results.variants
            ]
            rows.append([OURS if judge is None else judge.name, *cells])
        yield table(["judge", *results.variants], rows)


def _who_is_better(results: Results) -> Iterator[str]:
    yield "## Is any peer significantly better?"
    yield (
        "By the 95 % interval of the difference in macro-F1 (resampled runs), or by McNemar's test at 5 %; "
        "neither corrected for the number of comparisons. The first points of a run are left out: most labels tell of "
        "what comes later."
    )
    n_compared, behind = 0, []
    for task in TASKS:
        for question in (one for one in results.questions(task) if one.counts):
            n, found = _behind(results, question)
            n_compared += n
            behind += found
    yield f"{len(behind)} of {n_compared} comparisons." if behind else f"None, in {n_compared} comparisons."
    if behind:
        header = [
            "peer",
            "question",
            "set",
            "variant",
            "ours - theirs [95 %]",
            "only we / only they right",
            "McNemar p",
        ]
        yield table(header, behind)


def _behind(results: Results, question: Question) -> tuple[int, list[list[str]]]:
    n_compared, behind = 0, []
    for peer in results.judges(question.task):
        for variant in (one.name for one in VARIANTS if one.keeps_labels and one.name in results.variants):
            if peer is None or not results.can_answer(peer, variant):
                continue
            pair = results.compare(question, variant, peer)
            n_compared += 1
            if pair.is_behind:
                numbers = [interval(pair.difference, pair.interval), f"{pair.wins} : {pair.losses}"]
                numbers.append(f"{pair.mcnemar_p:.2g}")
                behind.append([peer.name, question.task.title, question.data_set, variant, *numbers])
    return n_compared, behind


def _nonfinite(results: Results) -> Iterator[str]:
    broken = [i for i, one in enumerate(results.runs) if one.label == "diverged_nonfinite"]
    sound = [i for i, one in enumerate(results.runs) if one.first_nonfinite_step is None]
    if not broken:
        return
    yield "## Values that are not finite"
    (opinions,) = results.opinions(_AS_LOGGED, np.arange(len(results.runs)))
    found = [opinions[i].steps.get("TRN001") for i in broken]
    truth = [results.runs[i].first_nonfinite_step for i in broken]
    keras = [results.runs[i].history.first_nan_of_train for i in broken]
    rows = []
    for name, steps in ((OURS + " TRN001", found), ("Keras TerminateOnNaN", keras)):
        exact = sum(step is not None and step == wanted for step, wanted in zip(steps, truth, strict=True))
        rows.append([name, share(sum(step is not None for step in steps), len(broken)), share(exact, len(broken))])
    yield table(["judge", "found", "at the exact step"], rows)
    diverged = sum(opinions[i].verdict == "diverged" for i in broken)
    false = sum("TRN001" in opinions[i].steps for i in sound)
    yield f"Verdict diverged: {share(diverged, len(broken))}. Found in runs without one: {share(false, len(sound))}."


def _onsets(results: Results) -> Iterator[str]:
    stated = [i for i, one in enumerate(results.runs) if one.onset_step is not None]
    if not stated:
        return
    yield "## Onset"
    (opinions,) = results.opinions(_AS_LOGGED, np.array(stated))
    rows, errors = [], []
    for i, opinion in zip(stated, opinions, strict=True):
        onset = results.runs[i].onset_step
        codes = [code for code in ("FIT001", "FIT002", "DIS001") if opinion.steps.get(code) is not None]
        ours = opinion.steps[codes[0]] if codes else None
        error = None if ours is None or onset is None else abs(ours - onset)
        errors.append(np.inf if error is None else error)
        shown = ["-" if ours is None else f"{ours} ({codes[0]})", "-" if error is None else str(error)]
        rows.append([f"`{results.runs[i].run.run_id}`", str(onset), *shown])
    yield table(["run", "stated", "ours", "error"], rows)
    yield f"Median error: {np.median(errors):g} steps; a run in which we see no onset counts as infinitely wrong."


def _false_alarms(results: Results) -> Iterator[str]:
    yield "## False alarms on healthy runs"
    yield f"Share of healthy runs with one of the verdicts {', '.join(_ALARMS)}; with noise, mean over the seeds."
    rows = []
    for name in results.sets:
        index = np.array([i for i, o in enumerate(results.runs) if (o.data_set, o.label) == (name, "healthy")], np.intp)
        if not len(index):
            continue
        cells = []
        for variant in results.variants:
            rounds = results.opinions(variant, index)
            alarms = [sum(opinion.verdict in _ALARMS for opinion in opinions) for opinions in rounds]
            cells.append(f"{100 * np.mean(alarms) / len(index):.1f} %")
        rows.append([name, str(len(index)), *cells])
    yield table(["set", "healthy", *results.variants], rows)


def _verdicts(results: Results) -> Iterator[str]:
    yield "## Verdicts by label, as logged"
    yield _verdict_table(results, _AS_LOGGED)
    noisy = next((v.name for v in VARIANTS if v.name == "10 % noise" and v.name in results.variants), None)
    if noisy is not None:
        yield f"## Verdicts by label, {noisy}, first seed"
        yield _verdict_table(results, noisy)


def _verdict_table(results: Results, variant: str) -> str:
    opinions = results.opinions(variant, np.arange(len(results.runs)))[0]
    counts = Counter((o.data_set, o.label, opinion.verdict) for o, opinion in zip(results.runs, opinions, strict=True))
    kinds = sorted({verdict for _, _, verdict in counts})
    groups = sorted({(name, label) for name, label, _ in counts})
    rows = [[name, label, *(str(counts[name, label, kind] or "-") for kind in kinds)] for name, label in groups]
    return table(["set", "label", *kinds], rows)
