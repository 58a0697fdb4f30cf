"""Lightning: a callback that logs what a module does not log itself, alone or through `lossacc_mlflow.autolog`."""

from importlib.util import find_spec

from lossacc_mlflow.errors import MissingExtraError

# Asked for, not imported: where one package has just been imported, and `autolog` waits for both, the import of the
# other would have it import this package once more, half-way.
if not (find_spec("lightning") or find_spec("pytorch_lightning")):
    raise MissingExtraError("Lightning is not installed: pip install 'lossacc-mlflow[lightning]'")

from lossacc_mlflow.loggers.lightning.callback import LossaccCallback, install

__all__ = ["LossaccCallback", "install"]
