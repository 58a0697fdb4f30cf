"""``lossacc figures``: what accuracies and losses prove by themselves."""

from pathlib import Path

import click

from lossacc_mlflow.bounds import judge_figures, read_figures
from lossacc_mlflow.clips import CLIPS
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.plots import plot_loss_accuracy_plane, to_png
from lossacc_mlflow.records import FiguresReport
from lossacc_mlflow.render import render_figures_json, render_figures_text
from lossacc_mlflow.render.figure_sentences import focus
from lossacc_mlflow.wording import did_you_mean

__all__ = ["figures"]


@click.command()
@click.argument("figures_", metavar="[NAME=]ACCURACY/LOSS...", nargs=-1)
@click.option("--classes", metavar="K", help="Number of classes; without it, what holds for every number.")
@click.option("--loss", default="log_loss", show_default=True, metavar="LOSS", help="See below.")
@click.option(
    "--clip",
    metavar="EPS|LIBRARY",
    help=f"Smallest probability that a logarithm was taken of: a number, or {', '.join(CLIPS)}. Without it, none.",
)
@click.option("--n", metavar="N", help="Number of independent samples: adds tests of the models.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="PLANE.png", help="Draw the picture there."
)
def figures(
    figures_: tuple[str, ...],
    classes: str | None,
    loss: str,
    clip: str | None,
    n: str | None,
    format_: str,
    output: Path | None,
) -> None:
    """Tell what accuracies and mean losses prove, such as 98.1%/0.1882 98.5%/0.0997 99.1%/0.2544.

    An accuracy is in percent with its sign or a fraction without; figures are taken as rounded to the decimals that are
    written.

    LOSS is log_loss, brier (summed over the classes), brier:binary (of one probability), hinge, focal:GAMMA[:ALPHA]
    (Keras' categorical one is focal:2:0.25), smoothed:ALPHA, or squared_error:TAU with the share of errors up to TAU as
    accuracy.
    """
    report = judge_figures(
        read_figures(figures_),
        n_classes=_count("--classes", classes, least=2),
        loss_name=loss,
        clip=_clip(clip),
        n=_count("--n", n, least=1),
    )
    if output is not None:
        _draw(report, output)
    click.echo(render_figures_json(report) if format_ == "json" else render_figures_text(report))


def _draw(report: FiguresReport, output: Path) -> None:
    """Draw the plane for the given number of classes, without one for the one that the sentences speak of."""
    judged = focus(report)[1]
    named = {f.reported.name: f.bounds for f in judged}
    try:
        output.write_bytes(to_png(plot_loss_accuracy_plane(named)))
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}.") from error


def _count(option: str, text: str | None, *, least: int) -> int | None:
    """A whole number, also with separators, such as 10,000."""
    if text is None:
        return None
    try:
        count = int(text.replace(",", "").replace("_", ""))
    except ValueError:
        raise InputError(f"{option} is a whole number, got {text!r}.") from None
    if count < least:
        raise InputError(f"{option} is at least {least}, got {count}.")
    return count


def _clip(text: str | None) -> float | None:
    if text is None:
        return None
    name = text.strip().lower()
    if name in CLIPS:
        return CLIPS[name]
    try:
        clip = float(name)
    except ValueError:
        meant = did_you_mean(name, CLIPS)
        raise InputError(f"--clip is a probability such as 1e-7, or {', '.join(CLIPS)}; got {text!r}.{meant}") from None
    if not 0 <= clip < 1:
        raise InputError(f"--clip is a probability from 0 (none) to below 1, got {text}.")
    return clip
