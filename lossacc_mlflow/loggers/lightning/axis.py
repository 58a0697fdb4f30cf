"""Where a fit writes to, and what its steps are: those of whoever else writes to that run."""

from dataclasses import dataclass
from typing import Any

from lossacc_mlflow.records import StepUnit

__all__ = ["Target", "find_target"]


@dataclass(frozen=True, slots=True)
class Target:
    """The run of a fit.

    Parameters
    ----------
    run_id, tracking_uri : str or None
        None: the active run, in MLflow's own store.
    is_shared : bool
        Whether what the module logs itself is written to this run, too.
    by_epoch : bool
        Whether steps are epochs, and the last validation of an epoch counts.
    follows_logger : bool
        Whether steps are those of Lightning's own logger, which logs an ``epoch`` beside.
    is_often_validated : bool
        Whether there are several validations in an epoch.
    prefix : str
        What the logger puts before every name.
    """

    run_id: str | None = None
    tracking_uri: str | None = None
    is_shared: bool = False
    by_epoch: bool = True
    follows_logger: bool = False
    is_often_validated: bool = False
    prefix: str = ""

    @property
    def step_unit(self) -> StepUnit:
        """The unit, where nothing beside tells it."""
        return "epoch" if self.by_epoch else "global_step"


def find_target(trainer: Any) -> Target:  # noqa: ANN401  (of either package)
    """Look at the loggers and callbacks of a trainer that begins to train."""
    often = _is_often_validated(trainer)
    for logger in trainer.loggers:
        if type(logger).__name__ == "MLFlowLogger":
            prefix = getattr(logger, "_prefix", "") or ""
            return Target(
                run_id=str(logger.run_id),
                tracking_uri=getattr(logger, "_tracking_uri", None),
                is_shared=True,
                by_epoch=False,
                follows_logger=True,
                is_often_validated=often,
                prefix=f"{prefix}{getattr(logger, 'LOGGER_JOIN_CHAR', '-')}" if prefix else "",
            )
    # MLflow's autologging appends its callback before the training begins; its steps are epochs.
    is_autologged = any(type(callback).__name__ == "__MlflowPLCallback" for callback in trainer.callbacks)
    return Target(
        is_shared=is_autologged, by_epoch=is_autologged or not often, is_often_validated=often and not is_autologged
    )


def _is_often_validated(trainer: Any) -> bool:  # noqa: ANN401
    if not trainer.enable_validation:
        return False
    if getattr(trainer, "check_val_every_n_epoch", 1) is None:
        return True
    if getattr(trainer, "_val_check_time_interval", None) is not None:
        return True
    interval, n_batches = trainer.val_check_batch, trainer.num_training_batches
    return interval is not None and interval <= n_batches / 2
