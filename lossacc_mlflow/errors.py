"""The errors that this package raises on purpose.

::

    LossaccError
    ├── InputError        what was given cannot be used           (exit code 2)
    │   ├── UnknownRunError       no such run or experiment
    │   ├── CurveFileError        a file that holds no usable curves
    │   ├── PredictionFileError   a file that holds no usable predictions
    │   ├── PredictionsError      labels and probabilities that do not fit together
    │   └── MissingExtraError     an optional library that is not installed
    └── StoreError        MLflow could not be reached, or refused (exit code 3)

Every message says what was wanted, what there is, and what to do.
"""

__all__ = [
    "CurveFileError",
    "InputError",
    "LossaccError",
    "MissingExtraError",
    "PredictionFileError",
    "PredictionsError",
    "StoreError",
    "UnknownRunError",
]


class LossaccError(Exception):
    """Base of all errors raised on purpose; its text is written for a person."""


class InputError(LossaccError, ValueError):
    """Arguments or input that cannot be used."""


class UnknownRunError(InputError):
    """A run or an experiment that the tracking store does not have."""


class CurveFileError(InputError):
    """A curve file that cannot be read, or in which no curve was recognised."""


class PredictionFileError(InputError):
    """A prediction file that cannot be read, or whose labels and probabilities do not fit together."""


class PredictionsError(InputError):
    """Labels and probabilities that do not fit together."""


class MissingExtraError(InputError, ImportError):
    """Something was asked for that takes an optional library, which is not installed."""


class StoreError(LossaccError):
    """The tracking or artifact store could not be reached, or refused a request."""
