"""The ``lossacc`` command."""

from lossacc_mlflow.cli.commands import EXIT_ERROR_OF_OURS, EXIT_FINDINGS, EXIT_INPUT, EXIT_STORE, main

__all__ = ["EXIT_ERROR_OF_OURS", "EXIT_FINDINGS", "EXIT_INPUT", "EXIT_STORE", "main"]
