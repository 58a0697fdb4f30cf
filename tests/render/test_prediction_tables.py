from dataclasses import replace
from math import inf, nan

import numpy as np

from lossacc_mlflow.records import ClippedLoss, RunData
from lossacc_mlflow.render.prediction_tables import (
    class_table,
    clip_table,
    prediction_tables,
    regression_table,
    step_table,
)
from tests.plots.examples import judged, numbers, steps, with_classes


def test_classes_come_by_their_share_of_the_loss_and_the_rest_is_summed() -> None:
    table = class_table(with_classes([0.01] * 30 + [0.7]), "test")
    assert table is not None
    assert table.title == "Classes (test)"
    assert table.rows[0] == ("class 30", "100", "90", "80.0 %", "80.0 %", "80.0 %", "1.40", "70.0 %")
    assert len(table.rows) == 20
    assert table.foot == "11 more classes carry 11.0 % of the loss."


def test_a_class_that_is_never_answered_is_named_as_such() -> None:
    table = class_table(with_classes([1.0, 0.0]), "validation")
    assert table is not None
    assert table.foot == "1 of 2 classes are never answered."
    assert class_table(replace(judged()[0], classes=()), "validation") is None


def test_the_loss_by_clip_is_a_table_only_where_the_clip_matters() -> None:
    summary, _ = judged()
    clips = (ClippedLoss("keras", 1e-7, 0.557), ClippedLoss("torch", 0.0, inf))
    table = clip_table([("train", summary), ("validation", replace(summary, loss_by_clip=clips, n_zero_probability=3))])
    assert table is not None
    assert table.heads == ("Clip of", "Smallest probability", "validation")
    assert table.rows == (("keras", "1.0e-7", "0.557"), ("torch", "none", "inf"))
    assert "probability 0: 3 validation." in table.lead
    same = (ClippedLoss("keras", 1e-7, 0.557), ClippedLoss("torch", 0.0, 0.5571))
    assert clip_table([("validation", replace(summary, loss_by_clip=same))]) is None
    assert clip_table([]) is None


def test_steps_that_matter_are_rows_once_each() -> None:
    table = step_table(steps())
    assert table is not None
    firsts = [row[0] for row in table.rows]
    assert firsts[0] == "epoch 0: first"
    assert firsts[1].endswith(": lowest loss")
    assert firsts[2] == "epoch 59: last, best after recalibration"
    assert table.heads[:4] == ("Step", "Accuracy", "Log loss", "Refinement")
    assert table.rows[2][table.heads.index("Calibration")] == "+0.390"
    alone = step_table(steps(n=1, log_loss=[nan], refinement_loss=[nan]))
    assert alone is not None
    assert [row[0] for row in alone.rows] == ["epoch 0: first, last"]
    assert step_table(steps(n=0)) is None


def test_predicted_numbers_are_held_against_the_target() -> None:
    _, summary = numbers([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0])
    table = regression_table([("validation", replace(summary, notes=("two rows were left out",)))])
    assert table is not None
    rows = {row[0]: row[1] for row in table.rows}
    assert rows["Share of the MSE: constant error (bias\u00b2)"] == "100 %"
    assert rows["Mean error, prediction minus target"] == "+1"
    assert rows["RMSE relative to the standard deviation of the target"] == "89.4 %"
    assert table.foot == "two rows were left out"


def test_a_run_has_the_tables_of_what_it_knows() -> None:
    samples, summary = numbers(np.arange(9.0), np.arange(9.0))
    run = RunData(
        "r",
        "r",
        predictions={"validation": with_classes([0.5, 0.5])},
        by_step={"train": steps("train"), "validation": steps()},
        regressions={"validation": summary},
        regression_samples={"validation": samples},
    )
    assert [t.title for t in prediction_tables(run)] == [
        "Predictions over steps (validation)",
        "Classes (validation)",
        "Predicted numbers",
    ]
    assert prediction_tables(RunData("r", "r")) == []
