"""The plane of losses other than log loss: its axis names the loss, and a band is drawn only where there is one."""

import pytest

from lossacc_mlflow import plots
from lossacc_mlflow.bounds import loss_bounds
from tests.plots.layout import by_gid, check_layout, texts


@pytest.mark.parametrize(
    ("loss_name", "n_classes", "axis", "has_band"),
    [
        ("log_loss", 10, "log loss (nats)", True),
        ("brier", 10, "Brier score, summed over the classes", True),
        ("brier:binary", None, "Brier score of one probability", True),
        ("hinge", None, "hinge loss", False),
        ("focal:2:0.25", 10, "focal loss (nats)", False),
    ],
)
def test_the_plane_of_a_loss(loss_name: str, n_classes: int | None, axis: str, has_band: bool) -> None:
    figures = {"a": (0.9, 0.2), "b": (0.95, 0.28)}
    points = {name: loss_bounds(*pair, n_classes, loss_name=loss_name) for name, pair in figures.items()}
    figure = plots.plot_loss_accuracy_plane(points)
    check_layout(figure)
    assert figure.axes[0].get_ylabel() == axis
    assert ("a calibrated model can be here" in texts(figure)) is has_band
    assert len(by_gid(figure, "arrow")) == {"brier": 1, "brier:binary": 2}.get(loss_name, 0)
