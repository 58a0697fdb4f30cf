"""Results that are remembered for as long as the record lives from which they were computed."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

__all__ = ["remembered"]

_Record = TypeVar("_Record")
_Result = TypeVar("_Result")


def remembered(function: Callable[[_Record], _Result]) -> Callable[[_Record], _Result]:
    """Compute once for each record, and forget the result together with the record.

    A cache of fixed size would keep the curves of long runs alive that nobody looks at any more.

    Parameters
    ----------
    function : callable
        Of one record that is compared by identity and can be weakly referenced; its result must not refer to it.

    Returns
    -------
    callable

    Examples
    --------
    >>> class Record:
    ...     pass
    >>> seen = []
    >>> look = remembered(seen.append)
    >>> record = Record()
    >>> look(record), look(record), len(seen)
    (None, None, 1)
    """
    results: WeakKeyDictionary[_Record, _Result] = WeakKeyDictionary()

    @wraps(function)
    def recall(record: _Record) -> _Result:
        try:
            return results[record]
        except KeyError:
            result = results[record] = function(record)
            return result

    return recall
