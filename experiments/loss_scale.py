"""Two models, one with a loss of 0.0065 and one with a loss of 420. Which one is better?

Neither: they are the same model. Both predict the brightness of a pixel of a photograph from twelve of its neighbours,
above and to the left, by linear regression; for one brightness runs from 0 to 1, for the other from 0 to 255. Squared
errors grow with the square of the unit, here by 255 x 255 = 65,025, and nothing else changes: both explain 94.2 % of
the variance (R2), and both are off by 0.24 standard deviations of the target. A loss of 0.5 would be worse than always
saying the mean in the first unit, and next to perfect in the second.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.linear_model import SGDRegressor

from experiments.data import DataSet, split_data, standardised
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, regression_by_epoch

__all__ = ["COMPARISON", "EXPECTED", "RECIPES", "main"]

WHITE = 255
_NEIGHBOURS = ((0, -1), (0, -2), *((row, column) for row in (-1, -2) for column in (-2, -1, 0, 1, 2)))


def pixels(*, n_samples: int = 5_000, random_state: int = 0) -> DataSet:
    """Return pixels of a photograph that comes with scikit-learn, from 0 (black) to 1, and their neighbours."""
    image = load_sample_image("china.jpg").mean(axis=2) / WHITE
    rng = np.random.default_rng(random_state)
    row, column = (rng.integers(2, length - 2, n_samples) for length in image.shape)
    neighbours = np.column_stack([image[row + down, column + right] for down, right in _NEIGHBOURS])
    return standardised(split_data("pixels of a photograph", (), neighbours, image[row, column]))


def from_0_to_1(data: DataSet) -> TrainedModel:
    """Return a model whose target runs from 0 to 1."""
    model = SGDRegressor(penalty=None, learning_rate="constant", eta0=5e-4, random_state=0)
    return regression_by_epoch(model, data, n_epochs=30)


def from_0_to_255(data: DataSet) -> TrainedModel:
    """Return the same model for the same target in another unit."""
    parts = {split: replace(part, y=part.y * WHITE) for split, part in data.parts.items()}
    return from_0_to_1(replace(data, name=f"{data.name}, 0 to {WHITE}", parts=parts))


RECIPES: Mapping[str, Recipe] = {"0 to 1": from_0_to_1, "0 to 255": from_0_to_255}
EXPECTED: Mapping[str, Expected] = {"0 to 1": Expected("healthy"), "0 to 255": Expected("healthy")}
COMPARISON = ("CMP003",)


def main() -> None:
    """Run the job."""
    run_job("loss_scale", RECIPES, pixels(), EXPECTED, comparison=COMPARISON)


if __name__ == "__main__":
    main()
