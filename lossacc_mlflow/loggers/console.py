"""What is said to the person at the terminal: warnings always, the rest where nobody has arranged logging."""

import logging
import sys

__all__ = ["speak", "tell"]

_log = logging.getLogger("lossacc_mlflow")


class _Console(logging.Handler):
    """Standard error, as long as the program has no handlers of its own."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            sys.stderr.write(self.format(record) + "\n")


_CONSOLE = _Console()


def speak(is_on: bool) -> None:
    """Show on standard error what is logged at level INFO, or stop it.

    By itself Python shows warnings only. Where the program has arranged logging, that decides.
    """
    if is_on and _log.level == logging.NOTSET:
        _log.addHandler(_CONSOLE)
        _log.setLevel(logging.INFO)
    elif not is_on and _CONSOLE in _log.handlers:
        _log.removeHandler(_CONSOLE)
        _log.setLevel(logging.NOTSET)


def tell(message: str, *args: object) -> None:
    """Log a line at level INFO that a person has to see, also where nothing else is shown at that level.

    As `_CONSOLE` does: where the program has arranged logging, that decides.
    """
    _log.info(message, *args)
    if not (_log.isEnabledFor(logging.INFO) or logging.getLogger().handlers):
        sys.stderr.write(message % args + "\n")
