"""XGBoost: loss and accuracy of training and validation data at every iteration, whatever ``eval_metric`` says."""

from lossacc_mlflow.errors import MissingExtraError

try:
    import xgboost as _xgboost
except ImportError as error:
    raise MissingExtraError("XGBoost is not installed: pip install 'lossacc-mlflow[xgboost]'") from error

from lossacc_mlflow.loggers.xgboost.boosters import curves_of_model
from lossacc_mlflow.loggers.xgboost.callback import LossaccCallback, install

__all__ = ["LossaccCallback", "curves_of_model", "install"]

del _xgboost
