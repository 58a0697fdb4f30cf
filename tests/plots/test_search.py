from itertools import product

import numpy as np
import pytest
from matplotlib.figure import Figure

from lossacc_mlflow.plots import plot_search, to_png
from lossacc_mlflow.records import SearchResults, SearchScore


def _results(*, train: bool = True, metric: str = "accuracy") -> SearchResults:
    """A grid of C and kernel; the best at each C are rbf's, and one fit failed."""
    grid = list(product([0.01, 1.0, 100.0], ["rbf", "linear"]))
    mean = np.array([0.6, 0.5, 0.9, 0.7, np.nan, 0.8])
    train_mean = mean + 0.05 if train else np.full(6, np.nan)
    return SearchResults(
        {"C": tuple(c for c, _ in grid), "kernel": tuple(k for _, k in grid), "tol": (0.1,) * 6},
        (SearchScore(metric, mean, np.full(6, 0.02), train_mean, train_mean * 0),),
        best=2,
        n_splits=5,
    )


def _lines(figure: Figure, panel: int, gid: str) -> np.ndarray:
    (line,) = (line for line in figure.axes[panel].lines if line.get_gid() == gid)
    return np.array(line.get_xydata())


def _texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def test_each_panel_shows_the_best_candidate_at_each_value() -> None:
    figure = plot_search(_results())
    assert len(figure.axes) == 2  # tol has one value
    np.testing.assert_array_equal(_lines(figure, 0, "validation"), [[-2, 0.6], [0, 0.9], [2, 0.8]])
    np.testing.assert_allclose(_lines(figure, 0, "train"), [[-2, 0.65], [0, 0.95], [2, 0.85]])
    np.testing.assert_array_equal(_lines(figure, 0, "other candidates"), [[-2, 0.5], [0, 0.7]])
    np.testing.assert_array_equal(_lines(figure, 1, "validation"), [[0, 0.9], [1, 0.8]])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0.01", "1", "100"]
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["rbf", "linear"]
    assert "chosen: C = 1, kernel = rbf, tol = 0.1 · validation 90.0 % ± 2.0 %, train 95.0 %" in _texts(figure)
    assert "6 candidates · mean ± standard deviation over 5 folds" in _texts(figure)
    to_png(figure)


def test_train_scores_that_were_not_asked_for_are_said_to_be_missing() -> None:
    figure = plot_search(_results(train=False, metric="neg_log_loss"))
    assert "train scores are not known: search with return_train_score=True" in _texts(figure)
    assert "What the search has tried: neg log loss" in _texts(figure)
    assert not np.isfinite(_lines(figure, 0, "train")[:, 1]).any()
    to_png(figure)


@pytest.mark.parametrize("value", [1e-300, 0.0, -5.0, 1e300])
def test_any_values_can_be_drawn(value: float) -> None:
    nothing = np.full(2, np.nan)
    score = SearchScore("r2", np.array([value, np.nan]), nothing, nothing, nothing)
    parameters = {f"{'$x_1$ ' * 30}{i}": (value, 1.0) for i in range(8)}
    figure = plot_search(SearchResults(parameters, (score,), best=None, n_splits=2))
    assert len(figure.axes) == 6
    assert "2 more parameters in search.csv" in _texts(figure)
    to_png(figure)


def test_a_search_of_one_candidate_is_said_to_have_nothing_to_draw() -> None:
    one = SearchScore("r2", np.ones(1), np.ones(1), np.ones(1), np.ones(1))
    figure = plot_search(SearchResults({"alpha": (1.0,)}, (one,), best=0, n_splits=2))
    assert "No parameter has more than one value." in _texts(figure)
    to_png(figure)
