"""What the pages of all benchmarks share: what they were made with, and where they go."""

import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import numpy as np
import scipy
from rich.console import Console
from rich.progress import track

import lossacc_mlflow

__all__ = ["machine", "publish", "shown", "versions"]

_Item = TypeVar("_Item")


def versions(*others: str) -> str:
    """Name what decides the figures, with its version; also other packages, by the names they are installed by."""
    also = "".join(f", {name} {_version(name)}" for name in others)
    return (
        f"lossacc-mlflow {lossacc_mlflow.__version__}, Python {platform.python_version()}, "
        f"numpy {np.__version__}, scipy {scipy.__version__}{also}"
    )


def machine() -> str:
    """Say what kind of machine this is: how many cores, of which processor."""
    cpus = Path("/proc/cpuinfo")
    found = (
        re.search(r"^model name\s*:\s*(.+)$", cpus.read_text(encoding="utf-8"), re.MULTILINE) if cpus.exists() else None
    )
    model = f" of {found.group(1).strip()}" if found else ""
    return f"{os.cpu_count()} cores{model} ({platform.machine()}, {platform.system()})"


def publish(text: str, output: Path | None) -> None:
    """Write a page to a file, or print it where there is none."""
    if output is None:
        print(text)
    else:
        output.write_text(text, encoding="utf-8")


def shown(items: Iterable[_Item], total: int, what: str) -> Iterable[_Item]:
    """Pass items on, with a progress bar where a person is watching."""
    console = Console(stderr=True)
    return track(items, description=what, total=total, console=console, disable=not console.is_terminal)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
