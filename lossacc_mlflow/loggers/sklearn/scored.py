"""Scores of a model after some of its steps, on their way to curves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossacc_mlflow.loggers.sklearn.data import Part
from lossacc_mlflow.loggers.sklearn.kinds import Recipe
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves

__all__ = ["ScoredSteps"]


@dataclass(slots=True, eq=False)
class ScoredSteps:
    """Scores, step by step."""

    parts: list[Part]
    steps: list[int] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)

    def add(self, step: int, answer_to: Callable[[Part], Any]) -> None:
        """Score what the model answers to the samples of each split."""
        with np.errstate(all="ignore"):  # a diverged model overflows, which is what the curve is to show
            self.rows.append({k: v for part in self.parts for k, v in part.scores(answer_to(part)).items()})
        self.steps.append(step)

    def curves(self, recipe: Recipe, *notes: str, suffix: str = "", kept_step: int | None = None) -> TrainingCurves:
        """Return them as curves, with what is to be known about them."""
        keys = list(dict.fromkeys(key for row in self.rows for key in row))
        values = {f"{key}{suffix}": np.array([row.get(key, np.nan) for row in self.rows]) for key in keys}
        said = [note for note in (*notes, *(part.note for part in self.parts)) if note]
        unit = recipe.step_unit or "iteration"
        return TrainingCurves(values, np.array(self.steps), unit, recipe.loss, " ".join(said), kept_step)
