"""Curves and predictions of Hugging Face's `Trainer`: as a callback of its own, and through `autolog`."""

from lossacc_mlflow.errors import MissingExtraError

try:
    import accelerate  # type: ignore[import-untyped]  # noqa: F401  (which Trainer needs)
    import torch  # noqa: F401
    import transformers  # noqa: F401
except ImportError as error:
    raise MissingExtraError(
        "logging trainings of transformers needs transformers and accelerate: "
        "pip install 'lossacc-mlflow[transformers]'."
    ) from error

from lossacc_mlflow.loggers.transformers.callback import LossaccCallback, install

__all__ = ["LossaccCallback", "install"]
