"""LightGBM: loss and accuracy of training and validation data at every iteration, whatever ``metric`` says."""

from lossacc_mlflow.errors import MissingExtraError

try:
    import lightgbm as _lightgbm
except ImportError as error:
    raise MissingExtraError("LightGBM is not installed: pip install 'lossacc-mlflow[lightgbm]'") from error

from lossacc_mlflow.loggers.lightgbm.boosters import curves_of_model
from lossacc_mlflow.loggers.lightgbm.callback import LossaccCallback, install

__all__ = ["LossaccCallback", "curves_of_model", "install"]

del _lightgbm
