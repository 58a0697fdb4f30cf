"""The stages in order, and the one place where they meet: read, judge, draw, write."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite

from lossacc_mlflow import store, views
from lossacc_mlflow.bounds import loss_bounds
from lossacc_mlflow.comparison import COMPARISON_RULES, ComparisonRule, compare_diagnoses
from lossacc_mlflow.curves import LOSS_METRICS, loss_curve, quality_curve, summarize_curve
from lossacc_mlflow.errors import InputError, StoreError
from lossacc_mlflow.keys import ParsedKey
from lossacc_mlflow.outputs import comparison_html, comparison_update, diagnosis_html, run_update
from lossacc_mlflow.records import Comparison, Diagnosis, LossBounds, RunData, Split
from lossacc_mlflow.rules import RULES, Rule, apply_rules, decide_discrepancy, decide_verdict, headline
from lossacc_mlflow.rules.plane import declared_clip

__all__ = ["compare", "diagnose", "diagnose_runs", "judge", "write_views"]

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def judge(run: RunData, rules: Sequence[Rule] = RULES, *, codes: Collection[str] | None = None) -> Diagnosis:
    """Judge one run; pure arithmetic, nothing is read or written.

    Parameters
    ----------
    run : RunData
    rules : sequence of Rule
        With thresholds of your own: see :func:`load_rules`.
    codes : collection of str, optional
        Codes of the findings to list; all by default. The verdict and the discrepancy come from all of them.

    Returns
    -------
    Diagnosis
    """
    findings = apply_rules(run, tuple(rules))
    verdict, discrepancy = decide_verdict(run, findings), decide_discrepancy(run, findings)
    diagnosis = Diagnosis(
        run=run,
        verdict=verdict,
        discrepancy=discrepancy,
        headline=headline(verdict, findings, discrepancy),
        findings=findings,
        curves=tuple(summarize_curve(curve) for curve in run.curves),
        bounds=_bounds(run),
        html=diagnosis_html,
    )
    return diagnosis if codes is None else _list_only(diagnosis, codes)


def diagnose(
    run: str | RunData,
    *,
    write: bool = False,
    tracking_uri: str | None = None,
    n_classes: int | None = None,
    loss: str | None = None,
    overrides: Mapping[str, ParsedKey] | None = None,
    rules: Sequence[Rule] = RULES,
    codes: Collection[str] | None = None,
) -> Diagnosis:
    """Diagnose one run: is it learning, is it overfitting, why do its loss and its accuracy disagree?

    Parameters
    ----------
    run : str or RunData
        The id of a run in MLflow, or what :func:`read_run` returned.
    write : bool
        Whether to attach verdict, pictures and tables to the run. Writing twice leaves one of everything.
    tracking_uri : str, optional
        MLflow's own by default.
    n_classes : int, optional
        Number of classes, where the run does not tell.
    loss : str, optional
        What the run's ``loss`` is, such as ``log_loss``, where the run does not tell.
    overrides : mapping of str to ParsedKey, optional
        Meaning of metric keys that are not known (see ``keys.parse_override``).
    rules, codes
        As in :func:`judge`. What is not listed is not written either.

    Returns
    -------
    Diagnosis

    Raises
    ------
    UnknownRunError
        If there is no such run.
    StoreError
        If MLflow cannot be reached or refuses.
    """
    if isinstance(run, RunData):
        unread = run.predictions.keys() - run.samples.keys() or run.regressions.keys() - run.regression_samples.keys()
        if write and unread:
            # Without its samples a run has fewer pictures, and writing takes away what is no longer wanted.
            read = store.read_run(run.run_id, tracking_uri=tracking_uri, with_samples=True)
            run = replace(run, samples=read.samples, regression_samples=read.regression_samples)
        diagnosis = judge(run, rules, codes=codes)
        if write:
            store.write_update(run, run_update(diagnosis), tracking_uri=tracking_uri)
        return diagnosis
    return next(
        diagnose_runs(
            [run],
            write=write,
            tracking_uri=tracking_uri,
            n_classes=n_classes,
            loss=loss,
            overrides=overrides,
            rules=rules,
            codes=codes,
            with_samples=True,
        )
    )


def diagnose_runs(
    run_ids: Iterable[str],
    *,
    write: bool = False,
    tracking_uri: str | None = None,
    n_classes: int | None = None,
    loss: str | None = None,
    overrides: Mapping[str, ParsedKey] | None = None,
    rules: Sequence[Rule] = RULES,
    codes: Collection[str] | None = None,
    with_samples: bool = False,
) -> Iterator[Diagnosis]:
    """Diagnose runs one after another, as they are read.

    Parameters
    ----------
    run_ids : iterable of str
    write, tracking_uri, n_classes, loss, overrides, rules, codes
        As in :func:`diagnose`.
    with_samples : bool
        Whether to read the predictions of every sample; writing always does, because the pictures need them.

    Yields
    ------
    Diagnosis
        In the order of the ids.

    Raises
    ------
    UnknownRunError
        If there is no such run.
    StoreError
        If MLflow cannot be reached or refuses.
    """
    runs = store.read_runs(
        list(run_ids),
        tracking_uri=tracking_uri,
        overrides=overrides or {},
        n_classes=n_classes,
        loss=loss,
        with_samples=with_samples or write,
    )
    for run in runs:
        yield diagnose(run, write=write, tracking_uri=tracking_uri, rules=rules, codes=codes)


def compare(
    runs: Iterable[str | Diagnosis] | None = None,
    *,
    experiment: str | None = None,
    write: bool = False,
    tracking_uri: str | None = None,
    rules: Sequence[Rule] = RULES,
    comparison_rules: Sequence[ComparisonRule] = COMPARISON_RULES,
    codes: Collection[str] | None = None,
) -> Comparison:
    """Compare models across runs: which to take, and where the differences in their losses come from.

    Parameters
    ----------
    runs : iterable of str or Diagnosis, optional
        Run ids, or diagnoses with their samples; all runs of the experiment by default.
    experiment : str, optional
        Name or id.
    write : bool
        Whether to write the experiment's comparison run and its saved views.
    tracking_uri : str, optional
        MLflow's own by default.
    rules : sequence of Rule
        For runs that are given by id.
    comparison_rules : sequence of ComparisonRule
        The rules across runs.
    codes : collection of str, optional
        Codes of the findings to list, of the runs and of the comparison; all by default.

    Returns
    -------
    Comparison
        Runs in which nothing was known are left out.

    Raises
    ------
    InputError
        If neither runs nor an experiment is given, or nothing is left to compare.
    UnknownRunError
        If a run or the experiment does not exist.
    StoreError
        If MLflow cannot be reached or refuses.
    """
    if runs is None and experiment is None:
        raise InputError("nothing to compare: give run ids, or an experiment.")
    given = list(runs) if runs is not None else list(store.find_run_ids(experiment, tracking_uri=tracking_uri))
    ids = [run for run in given if isinstance(run, str)]
    judged = diagnose_runs(ids, tracking_uri=tracking_uri, rules=rules, with_samples=True) if ids else ()
    read = {d.run_id: d for d in judged}
    known = [
        diagnosis
        for diagnosis in (read[run] if isinstance(run, str) else run for run in given)
        if diagnosis.run.curves or diagnosis.run.predictions or diagnosis.run.regressions
    ]
    if not known:
        raise InputError(
            f"nothing to compare: none of {len(given)} runs has a loss, an accuracy or predictions that are known."
        )
    experiment_id = known[0].run.experiment_id
    name = store.experiment_name(experiment_id, tracking_uri=tracking_uri) if experiment_id else ""
    asked = [rule for rule in comparison_rules if codes is None or rule.code in codes]
    comparison = compare_diagnoses(known, name=name, experiment_id=experiment_id, rules=asked)
    comparison = replace(comparison, html=comparison_html)
    if codes is not None:
        comparison = _list_only_in_comparison(comparison, codes)
    if write:
        _write_comparison(comparison, tracking_uri)
    return comparison


def write_views(experiment: str, *, tracking_uri: str | None = None) -> Mapping[str, str]:
    """Write the saved views of an experiment: train and validation on one chart, verdicts beside the runs.

    Parameters
    ----------
    experiment : str
        Name or id.
    tracking_uri : str, optional
        MLflow's own by default.

    Returns
    -------
    mapping of str to str
        Link by name of the view. They show the runs that were diagnosed and written to.

    Raises
    ------
    InputError
        If the experiment has no runs.
    UnknownRunError
        If there is no such experiment.
    StoreError
        If MLflow cannot be reached or refuses.
    """
    runs = list(store.read_runs(store.find_run_ids(experiment, tracking_uri=tracking_uri), tracking_uri=tracking_uri))
    if not runs:
        raise InputError(f"experiment {experiment!r} has no runs to show.")
    return _write_views(runs[0].experiment_id, runs, tracking_uri)


def _list_only(diagnosis: Diagnosis, codes: Collection[str]) -> Diagnosis:
    """Leave findings out of a diagnosis; what was concluded from them stays."""
    listed = tuple(f for f in diagnosis.findings if f.code in codes)
    return replace(diagnosis, findings=listed, headline=headline(diagnosis.verdict, listed, diagnosis.discrepancy))


def _list_only_in_comparison(comparison: Comparison, codes: Collection[str]) -> Comparison:
    return replace(
        comparison,
        rows=tuple(replace(row, findings=tuple(c for c in row.findings if c in codes)) for row in comparison.rows),
        diagnoses=tuple(_list_only(d, codes) for d in comparison.diagnoses),
    )


def _write_comparison(comparison: Comparison, tracking_uri: str | None) -> None:
    """Update the experiment's comparison run in place, and its saved views."""
    run_id = store.comparison_run_id(comparison.experiment_id, create=True, tracking_uri=tracking_uri)
    if run_id is None:
        raise StoreError(f"experiment {comparison.experiment_id} has no place for its comparison run.")
    run = store.read_run(run_id, tracking_uri=tracking_uri)
    store.write_update(run, comparison_update(comparison, run_id), tracking_uri=tracking_uri)
    _write_views(comparison.experiment_id, [d.run for d in comparison.diagnoses], tracking_uri)


def _write_views(experiment_id: str, runs: Sequence[RunData], tracking_uri: str | None) -> Mapping[str, str]:
    curves = [curve for run in runs for curve in run.curves]
    not_positive = {curve.key for curve in curves if not (curve.value > 0).all()}
    losses = {curve.key for curve in curves if curve.metric.name in LOSS_METRICS}
    return views.write_views(
        experiment_id,
        metric_keys={curve.key for curve in curves},
        log_scale_keys=losses - not_positive,
        tracking_uri=tracking_uri,
    )


def _bounds(run: RunData) -> dict[Split, LossBounds]:
    """What the final accuracy and loss of each split prove about each other, taking the loss for a mean log loss."""
    if run.n_classes is None or run.n_classes < 2:
        return {}
    clip = declared_clip(run) or 0.0
    bounds: dict[Split, LossBounds] = {}
    for split in _SPLITS:
        accuracy, loss = _final_figures(run, split)
        if accuracy is not None and loss is not None and 0 <= accuracy <= 1 and isfinite(loss) and loss >= 0:
            bounds[split] = loss_bounds(accuracy, loss, run.n_classes, clip=clip)
    return bounds


def _final_figures(run: RunData, split: Split) -> tuple[float | None, float | None]:
    """Accuracy and loss of one split: of its predictions where they are known, else the last ones logged."""
    summary = run.predictions.get(split)
    if summary is not None:
        return summary.accuracy, summary.log_loss
    quality, loss = quality_curve(run, split), loss_curve(run, split)
    if quality is None or loss is None or not len(quality) or not len(loss):
        return None, None
    if quality.metric.name != "accuracy" or loss.metric.name not in ("log_loss", "loss"):
        return None, None
    return float(quality.value[-1]), float(loss.value[-1])
