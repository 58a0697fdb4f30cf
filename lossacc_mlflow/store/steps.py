"""Summaries over the steps of a training, as CSV and back."""

import csv
from math import isnan, nan
from types import MappingProxyType
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import PredictionSteps, PredictionSummary, Split, StepUnit
from lossacc_mlflow.store.summaries import one_line

__all__ = ["FIGURES", "decode_steps", "encode_steps", "with_step"]

_NUMBERS = (int, float, bool, int | None, float | None)

FIGURES = tuple(name for name, kind in get_type_hints(PredictionSummary).items() if kind in _NUMBERS)
"""Fields of a summary that are one number each."""


def with_step(steps: PredictionSteps | None, step: int, split: Split, summary: PredictionSummary) -> PredictionSteps:
    """Add the summary of one step, in the place of an earlier one of the same step.

    Parameters
    ----------
    steps : PredictionSteps or None
        What is known so far.
    step : int
    split : {"train", "validation", "test"}
    summary : PredictionSummary

    Returns
    -------
    PredictionSteps
    """
    known = steps or PredictionSteps(split, np.empty(0, np.int64), {})
    unknown = np.full(len(known), nan)
    place = int(np.searchsorted(known.step, step))
    behind = place + int(place < len(known) and known.step[place] == step)

    def placed(before: NDArray[Any], value: float) -> NDArray[Any]:
        return np.concatenate([before[:place], np.array([value], before.dtype), before[behind:]])

    numbers = {name: getattr(summary, name) for name in FIGURES}
    figures = {
        name: placed(known.figures.get(name, unknown), nan if number is None else float(number))
        for name, number in numbers.items()
    }
    return PredictionSteps(split, placed(known.step, step), figures, known.step_unit)


def encode_steps(steps: PredictionSteps) -> bytes:
    """Write figures over steps as CSV, one row a step.

    Parameters
    ----------
    steps : PredictionSteps

    Returns
    -------
    bytes
        ASCII; a header, ``step`` first; numbers in the fewest digits that give them back, and an empty cell where a
        step does not have the figure.
    """
    columns = [[_cell(value) for value in figure.tolist()] for figure in steps.figures.values()]
    rows = zip(map(str, steps.step.tolist()), *columns, strict=True)
    return "".join(",".join(row) + "\n" for row in [("step", *steps.figures), *rows]).encode()


def decode_steps(body: bytes, split: Split, step_unit: StepUnit = "epoch") -> PredictionSteps:
    """Read what `encode_steps` wrote; columns that are no figure of a summary are ignored.

    Parameters
    ----------
    body : bytes
    split : {"train", "validation", "test"}
    step_unit : str

    Returns
    -------
    PredictionSteps
        Sorted; of rows with the same step the last one.

    Raises
    ------
    PredictionsError
        If there is no column ``step``, or a step is no integer, or a figure no number.
    """
    try:
        header, *rows = csv.reader(body.decode().splitlines())
        columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())
        step = np.array([int(text) for text in columns["step"]], np.int64)
        values = {name: [float(text or "nan") for text in columns[name]] for name in FIGURES if name in columns}
    except (csv.Error, KeyError, ValueError, OverflowError) as error:
        raise PredictionsError(f"these are not the {split} predictions over steps: {one_line(error)}") from error
    order = np.argsort(step, kind="stable")
    order = order[np.append(np.diff(step[order]) != 0, True)] if len(order) else order
    figures = {name: np.array(column, np.float64)[order] for name, column in values.items()}
    return PredictionSteps(split, step[order], MappingProxyType(figures), step_unit)


def _cell(value: float) -> str:
    if isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
