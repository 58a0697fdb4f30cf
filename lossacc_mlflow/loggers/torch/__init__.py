"""A training loop of one's own in PyTorch: two lines log its curves and its predictions."""

from lossacc_mlflow.errors import MissingExtraError

try:
    import torch  # noqa: F401  (said here, in our words, before a module of ours fails)
except ImportError as error:
    raise MissingExtraError("PyTorch is not installed: pip install 'lossacc-mlflow[torch]'") from error

from lossacc_mlflow.loggers.torch.loop import Track
from lossacc_mlflow.loggers.torch.tracking import track

__all__ = ["Track", "track"]
