"""All that is written to a diagnosed run, or to the run of a comparison; and their pages."""

from collections.abc import Mapping

from lossacc_mlflow import __version__
from lossacc_mlflow.keys import OWN_PREFIX
from lossacc_mlflow.outputs.metrics import headline_metrics
from lossacc_mlflow.outputs.pictures import draw_comparison, draw_diagnosis, judged_samples
from lossacc_mlflow.plots import fit_pngs, shrink_png
from lossacc_mlflow.records import Artifact, Comparison, Diagnosis, RunUpdate
from lossacc_mlflow.render import (
    PAGE_LIMIT,
    notebook_frame,
    render_comparison_csv,
    render_comparison_json,
    render_comparison_note,
    render_comparison_report,
    render_diagnostics_table,
    render_json,
    render_note,
    render_pairs_csv,
    render_report,
    render_suspected_labels_csv,
    render_worst_predictions_csv,
)

__all__ = [
    "KIND_COMPARISON",
    "comparison_html",
    "comparison_page",
    "comparison_update",
    "diagnosis_html",
    "run_update",
]

KIND_COMPARISON = "comparison"
"""Value of the tag ``lossacc.kind`` on an experiment's comparison run."""

_NOTE_WIDTH = 780
_CAPTION_ROOM = 1_200
"""Bytes of a page that the words around one picture take at most."""
_HEADLINES = ("curves", "loss_accuracy_plane", "predictions_by_step", "calibration", "reliability", "regression")
"""Pictures that MLflow's image grid shows; all are among the artifacts and in the report."""


def diagnosis_html(diagnosis: Diagnosis) -> str:
    """Render the report of one run for a notebook.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    str
        An HTML frame.
    """
    return notebook_frame(_report(diagnosis, draw_diagnosis(diagnosis)))


def run_update(diagnosis: Diagnosis) -> RunUpdate:
    """Collect all that is to be written to a diagnosed run.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    RunUpdate
        Only the tag ``lossacc.status`` where nothing was known about the run.
    """
    run = diagnosis.run
    if not (run.curves or run.predictions or run.by_step or run.regressions or run.search):
        seen = ", ".join(run.other_keys[:10]) or "none"
        return RunUpdate(tags={"lossacc.status": f"nothing to judge: no known metric (keys seen: {seen})"[:500]})
    pictures = draw_diagnosis(diagnosis)
    files = {
        "report.html": _report(diagnosis, pictures),
        "findings.json": render_json(diagnosis),
        "diagnostics.json": render_diagnostics_table(diagnosis),
    }
    judged = judged_samples(diagnosis)
    if judged is not None:
        files["worst_predictions.csv"] = render_worst_predictions_csv(judged[0])
        if judged[0].label_issue is not None and judged[0].label_issue.any():
            files["suspected_labels.csv"] = render_suspected_labels_csv(judged[0])
    note_picture = _note_picture(pictures, "curves.png", "calibration.png", "regression.png", "predictions_by_step.png")
    return RunUpdate(
        metrics=headline_metrics(diagnosis),
        tags={
            "lossacc.verdict": diagnosis.verdict,
            "lossacc.discrepancy": diagnosis.discrepancy,
            "lossacc.findings": ",".join(f.code for f in diagnosis.flagged),
            "lossacc.status": "ok",
            "lossacc.version": __version__,
            "lossacc.fingerprint": run.fingerprint,
        },
        note=render_note(diagnosis, picture=note_picture[0].path if note_picture else None),
        artifacts=(*_artifacts(files, pictures), *note_picture),
        tables=(f"{OWN_PREFIX}diagnostics.json",),
        images=_grid(pictures),
    )


def comparison_html(comparison: Comparison) -> str:
    """Render the comparison for a notebook.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
        An HTML frame.
    """
    return notebook_frame(comparison_page(comparison))


def comparison_page(comparison: Comparison) -> str:
    """Render the comparison as one self-contained page.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
    """
    return _comparison_report(comparison, draw_comparison(comparison))


def comparison_update(comparison: Comparison, run_id: str) -> RunUpdate:
    """Collect all that is to be written to an experiment's comparison run.

    Parameters
    ----------
    comparison : Comparison
    run_id : str
        The comparison run.

    Returns
    -------
    RunUpdate
    """
    pictures = draw_comparison(comparison)
    files = {
        "comparison.html": _comparison_report(comparison, pictures),
        "comparison.json": render_comparison_json(comparison),
        "comparison.csv": render_comparison_csv(comparison),
        "pairs.csv": render_pairs_csv(comparison),
    }
    note_picture = _note_picture(pictures, "loss_accuracy_plane.png", "curves_overlay.png")
    return RunUpdate(
        tags={"lossacc.kind": KIND_COMPARISON, "lossacc.status": "ok", "lossacc.version": __version__},
        note=render_comparison_note(comparison, run_id=run_id, picture=note_picture[0].path if note_picture else None),
        artifacts=(*_artifacts(files, pictures), *note_picture),
        images=_grid(pictures),
    )


def _report(diagnosis: Diagnosis, pictures: Mapping[str, bytes]) -> str:
    """The page about a run, its pictures in as few colours as they need to fit all."""
    words = render_report(diagnosis, {}, version=__version__)
    return render_report(diagnosis, _fitting(pictures, words), version=__version__)


def _comparison_report(comparison: Comparison, pictures: Mapping[str, bytes]) -> str:
    """The page about several runs, likewise."""
    words = render_comparison_report(comparison, {}, version=__version__)
    return render_comparison_report(comparison, _fitting(pictures, words), version=__version__)


def _fitting(pictures: Mapping[str, bytes], words: str) -> dict[str, bytes]:
    """Pictures that fit into a page beside its words; base64 makes four bytes of three."""
    room = PAGE_LIMIT - len(words.encode()) - _CAPTION_ROOM * len(pictures)
    return fit_pngs(pictures, max(0, room) * 3 // 4)


def _artifacts(files: Mapping[str, str], pictures: Mapping[str, bytes]) -> tuple[Artifact, ...]:
    texts = [Artifact(OWN_PREFIX + name, text.encode()) for name, text in files.items()]
    return (*texts, *(Artifact(OWN_PREFIX + name, body) for name, body in pictures.items()))


def _grid(pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    """The headline pictures for MLflow's image grid; its keys must not hold a slash."""
    names = {name: name.removesuffix(".png") for name in pictures}
    return {f"lossacc_{names[name]}": body for name, body in pictures.items() if names[name] in _HEADLINES}


def _note_picture(pictures: Mapping[str, bytes], *names: str) -> tuple[Artifact, ...]:
    """A copy of the first of these pictures, small enough for MLflow's notes, which cut wide pictures off."""
    found = next((pictures[name] for name in names if name in pictures), None)
    return () if found is None else (Artifact(f"{OWN_PREFIX}note.png", shrink_png(found, _NOTE_WIDTH)),)
