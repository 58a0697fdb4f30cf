"""What a search has tried: a table of its candidates, from which the diagnosis draws a picture."""

import re
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from lossacc_mlflow import store
from lossacc_mlflow.records import SearchResults, SearchScore

__all__ = ["log_search", "search_results"]

_LONGEST = 80


def log_search(search: Any, run_id: str) -> None:  # noqa: ANN401  (a fitted search)
    """Keep the scores of a search's candidates in its run.

    Parameters
    ----------
    search : fitted search
    run_id : str

    Raises
    ------
    StoreError
        If the store cannot be reached, or refuses.
    """
    store.keep_search(run_id, search_results(search))


def search_results(search: Any) -> SearchResults:  # noqa: ANN401
    """Read the scores of a search's candidates.

    Parameters
    ----------
    search : fitted search
        GridSearchCV and the like, with one metric or several. Of one that halves, every round of a candidate counts as
        a candidate, and its resource as a parameter.

    Returns
    -------
    SearchResults
    """
    results = search.cv_results_
    suffixes = [key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_")]
    decides = search.refit if isinstance(search.refit, str) else suffixes[0]
    suffixes.sort(key=lambda suffix: suffix != decides)
    scores = tuple(_score(results, suffix, _name(search, suffix)) for suffix in suffixes)
    parameters = {key.removeprefix("param_"): list(v) for key, v in results.items() if key.startswith("param_")}
    if "n_resources" in results:
        parameters[getattr(search, "resource", "n_resources")] = list(results["n_resources"])
    return SearchResults(
        parameters={name: _values(values) for name, values in parameters.items()},
        scores=scores,
        best=int(search.best_index_) if hasattr(search, "best_index_") else None,
        n_splits=int(search.n_splits_),
    )


def _score(results: Mapping[str, Any], suffix: str, name: str) -> SearchScore:
    unknown = np.full(len(results[f"mean_test_{suffix}"]), np.nan)
    return SearchScore(
        metric=name,
        validation_mean=results[f"mean_test_{suffix}"],
        validation_sd=results[f"std_test_{suffix}"],
        train_mean=results.get(f"mean_train_{suffix}", unknown),
        train_sd=results.get(f"std_train_{suffix}", unknown),
    )


def _name(search: Any, suffix: str) -> str:  # noqa: ANN401
    """What a score is: scikit-learn calls a single one ``score``, whatever it is."""
    if suffix != "score":
        return suffix
    if isinstance(search.scoring, str):
        return search.scoring
    if search.scoring is None:
        return "accuracy" if is_classifier(search) else "r2"
    return str(getattr(search.scoring, "__name__", suffix))


def _values(values: list[Any]) -> tuple[str, ...] | tuple[float, ...]:
    """Numbers where all are, else texts; a candidate of a grid without this parameter has none."""
    given = [value for value in values if value is not np.ma.masked]
    if given and all(isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in given):
        return tuple(np.nan if value is np.ma.masked else float(value) for value in values)
    return tuple("" if value is np.ma.masked else _text(value) for value in values)


def _text(value: object) -> str:
    text = value.__name__ if callable(value) and hasattr(value, "__name__") else str(value)
    text = re.sub(r"\s+", " ", text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
