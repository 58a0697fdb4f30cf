"""Keras 3: a callback, and what puts it into every `fit`."""

from lossacc_mlflow.errors import MissingExtraError

try:
    import keras as _keras
except ImportError as error:
    if error.name != "keras":
        raise  # the backend is missing, and Keras says which
    raise MissingExtraError("Keras is not installed: pip install 'lossacc-mlflow[keras]'") from error

from lossacc_mlflow.loggers.keras.callback import LossaccCallback, install

__all__ = ["LossaccCallback", "install"]

del _keras
