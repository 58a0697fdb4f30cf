"""Records -> pictures. It draws what was computed and computes nothing itself; pyplot's global state is not used."""

from lossacc_mlflow.plots.attribution import plot_attribution
from lossacc_mlflow.plots.calibration import plot_calibration
from lossacc_mlflow.plots.class_loss import plot_class_loss
from lossacc_mlflow.plots.concentration import plot_loss_concentration
from lossacc_mlflow.plots.confidence import plot_confidence
from lossacc_mlflow.plots.confusion import plot_confusion
from lossacc_mlflow.plots.curves import plot_curves
from lossacc_mlflow.plots.overlay import plot_curves_overlay
from lossacc_mlflow.plots.plane import plot_loss_accuracy_plane
from lossacc_mlflow.plots.png import fit_pngs, shrink_png, to_png
from lossacc_mlflow.plots.prediction_steps import plot_predictions_by_step
from lossacc_mlflow.plots.regression import plot_regression
from lossacc_mlflow.plots.reliability import plot_reliability
from lossacc_mlflow.plots.search import plot_search

__all__ = [
    "fit_pngs",
    "plot_attribution",
    "plot_calibration",
    "plot_class_loss",
    "plot_confidence",
    "plot_confusion",
    "plot_curves",
    "plot_curves_overlay",
    "plot_loss_accuracy_plane",
    "plot_loss_concentration",
    "plot_predictions_by_step",
    "plot_regression",
    "plot_reliability",
    "plot_search",
    "shrink_png",
    "to_png",
]
