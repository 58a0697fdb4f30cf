"""Records -> pictures. It draws what was computed and computes nothing itself; pyplot's global state is not used."""

from lossacc_mlflow.plots.attribution import plot_attribution
from lossacc_mlflow.plots.concentration import plot_loss_concentration
from lossacc_mlflow.plots.confusion import plot_confusion
from lossacc_mlflow.plots.curves import plot_curves
from lossacc_mlflow.plots.overlay import plot_curves_overlay
from lossacc_mlflow.plots.plane import plot_loss_accuracy_plane
from lossacc_mlflow.plots.png import shrink_png, to_png
from lossacc_mlflow.plots.reliability import plot_reliability

__all__ = [
    "plot_attribution",
    "plot_confusion",
    "plot_curves",
    "plot_curves_overlay",
    "plot_loss_accuracy_plane",
    "plot_loss_concentration",
    "plot_reliability",
    "shrink_png",
    "to_png",
]
