"""What the pages of all benchmarks share: what they were made with, and where they go."""

import platform
from pathlib import Path

import numpy as np
import scipy

import lossacc_mlflow

__all__ = ["publish", "versions"]


def versions() -> str:
    """Name what decides the figures, with its version."""
    return (
        f"lossacc-mlflow {lossacc_mlflow.__version__}, Python {platform.python_version()}, "
        f"numpy {np.__version__}, scipy {scipy.__version__}"
    )


def publish(text: str, output: Path | None) -> None:
    """Write a page to a file, or print it where there is none."""
    if output is None:
        print(text)
    else:
        output.write_text(text, encoding="utf-8")
