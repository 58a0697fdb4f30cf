"""The command of a benchmark that measures parts, and holds them against goals on a page."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from benchmarks.goals import Part, render_parts
from benchmarks.page import machine, publish, versions

__all__ = ["TimedPage"]

_Plan = TypeVar("_Plan")


@dataclass(frozen=True)
class TimedPage(Generic[_Plan]):
    """What is measured, and how the page about it begins.

    Parameters
    ----------
    module : str
        As it is run, such as ``benchmarks.predictions``.
    title : str
    parts : mapping of str to callable
        By the name that ``--only`` takes; each is called with a plan.
    full, quick
        Plans: what the goals are about, and a look at a twentieth of it.
    packages : tuple of str
        Whose versions decide the figures.
    explained : str
        Heading of docs/benchmarks.md that says how it is measured.
    """

    module: str
    title: str
    parts: Mapping[str, Callable[[_Plan], Part]]
    full: _Plan
    quick: _Plan
    packages: tuple[str, ...]
    explained: str

    def make(self, arguments: Sequence[str] | None = None) -> int:
        """Measure what the arguments ask for, and print or write the page.

        Parameters
        ----------
        arguments : sequence of str, optional
            Default: of the command line.

        Returns
        -------
        int
            Exit code, always 0: a slow machine is no failure.
        """
        names = list(self.parts)
        parser = argparse.ArgumentParser(prog=f"python -m {self.module}", description=f"{self.title}, measured.")
        parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
        parser.add_argument("--quick", action="store_true", help="a twentieth of it, once: says nothing about goals")
        parser.add_argument("--output", type=Path, metavar="FILE", help="markdown file to write; default: print it")
        options = parser.parse_args(arguments)
        load = os.getloadavg()[0]
        parts = [self.parts[name](self.quick if options.quick else self.full) for name in options.only]
        introduction = (
            f"Written by `python -m {self.module}` with {versions(*self.packages)}, on {machine()}; load before it "
            f"began: {load:.1f}, when it ended: {os.getloadavg()[0]:.1f} (its own is 1 to 2). How it is measured: "
            f"[benchmarks.md](benchmarks.md#{self.explained})."
        )
        remark = "**A twentieth of it, once: this says nothing about the goals.**" if options.quick else None
        publish(render_parts(self.title, introduction, parts, remark), options.output)
        return 0
