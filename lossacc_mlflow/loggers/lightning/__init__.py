"""Lightning: a callback that logs what a module does not log itself, alone or through `lossacc_mlflow.autolog`."""

from lossacc_mlflow.errors import MissingExtraError

try:
    import lightning  # noqa: F401  (said here, in our words, before a module of ours fails)
except ImportError:
    try:
        import pytorch_lightning  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Lightning is not installed: pip install 'lossacc-mlflow[lightning]'") from error

from lossacc_mlflow.loggers.lightning.callback import LossaccCallback, install

__all__ = ["LossaccCallback", "install"]
