"""Learning rates of two runs, as far as their params tell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

__all__ = ["LearningRates", "compare_learning_rates"]

_NAME = re.compile(
    r"(?:^|[./_:-])(?:(?:base|max|initial|init|start|peak|opt|optimizer)_?)?(?:lr|learning_?rate|eta)(?:_?init|_?0)?$",
    re.IGNORECASE,
)

_OPTIMIZER = re.compile(r"(?:^|[./_:-])(?:optim(?:i[sz]er)?|opt|solver)(?:_?(?:name|class|type))?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LearningRates:
    """The same parameter of two runs.

    Parameters
    ----------
    name : str
        Of the parameter.
    mine, other : str
        Its values as they were logged.
    ratio : float
        Mine over the other's; never 1.
    """

    name: str
    mine: str
    other: str
    ratio: float


def compare_learning_rates(mine: Mapping[str, str], other: Mapping[str, str]) -> LearningRates | None:
    """Find a parameter that is named like a learning rate and differs between two runs.

    Parameters
    ----------
    mine, other : mapping of str to str
        Params of the two runs.

    Returns
    -------
    LearningRates or None
        The one with the shortest name; None where none is known of both, or none differs, or the optimisers differ.

    Examples
    --------
    >>> found = compare_learning_rates({"optimizer.lr": "1e-5", "lrelu_slope": "0.1"}, {"optimizer.lr": "0.001"})
    >>> found.name, round(found.ratio, 6)
    ('optimizer.lr', 0.01)
    """
    if any(_OPTIMIZER.search(name) and other.get(name, value) != value for name, value in mine.items()):
        # The same learning rate means another step with another optimiser.
        return None
    for name in sorted(mine.keys() & other.keys(), key=lambda name: (len(name), name)):
        a, b = _positive(mine[name]), _positive(other[name])
        if _NAME.search(name) and a is not None and b is not None and a != b:
            return LearningRates(name, mine[name], other[name], a / b)
    return None


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) and value > 0 else None
