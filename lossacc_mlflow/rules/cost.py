"""What a fault has cost: the loss and the accuracy given up since the best step, and the steps that went by."""

from lossacc_mlflow.curves import Rise
from lossacc_mlflow.records import Evidence
from lossacc_mlflow.rules.observation import Observation
from lossacc_mlflow.wording import number, percent

__all__ = ["cost_since_best", "say_rise", "steps_since"]


def cost_since_best(seen: Observation) -> list[Evidence]:
    """Price the end of a run against its best step.

    Parameters
    ----------
    seen : Observation

    Returns
    -------
    list of Evidence
        Loss given up, accuracy given up, and the steps since the best validation loss (since the best accuracy where
        no loss is known), each where it is known.
    """
    costs = []
    validation, rise, quality = seen.validation_loss, seen.rise, seen.validation_quality
    if rise is not None:
        costs.append(Evidence("loss_given_up", rise.absolute, None, seen.loss_unit))
    if seen.accuracy_drop is not None:
        costs.append(Evidence(f"{seen.quality_name}_given_up", seen.accuracy_drop, None, "fraction"))
    judged = validation if validation is not None else quality
    if judged is not None:
        costs.append(steps_since(judged.best_step, int(judged.step[-1]), seen))
    return costs


def steps_since(step: int, last: int, seen: Observation) -> Evidence:
    """Count the steps that went by since a step, in the unit of the run.

    Parameters
    ----------
    step, last : int
    seen : Observation

    Returns
    -------
    Evidence
    """
    return Evidence("steps_since_best", last - step, None, seen.step_unit)


def say_rise(rise: Rise) -> str:
    """Put the size of a rise into words.

    Parameters
    ----------
    rise : Rise

    Returns
    -------
    str
        As ``"12 %"``; as ``"12 % of its fall"`` where the best value is not positive; as ``"a factor of 45"``.
    """
    if rise.of_fall:
        return f"{percent(rise.relative, 0)} of its fall"
    return percent(rise.relative, 0) if rise.relative < 9 else f"a factor of {number(1 + rise.relative)}"
