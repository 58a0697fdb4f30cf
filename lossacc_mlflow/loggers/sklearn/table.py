"""The table of docs/frameworks/sklearn.md: which curve every classifier and regressor of scikit-learn gets."""

import re
import warnings
from inspect import Parameter, signature
from typing import Any

from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils import all_estimators

from lossacc_mlflow.loggers.sklearn.kinds import Recipe, recipe_for

__all__ = ["recipe_table", "with_recipe_table"]

_MARKS = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- /table -->)", flags=re.DOTALL)

_SCORES = {
    "log_loss": "log loss, accuracy",
    "hinge": "hinge loss, accuracy",
    "rmse": "rmse, r2",
    None: "accuracy",
}


_VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "LogisticRegression": ({"solver": "newton-cholesky"}, {"solver": "saga"}),
    "MLPClassifier": ({"solver": "lbfgs"},),
    "MLPRegressor": ({"solver": "lbfgs"},),
    "SGDClassifier": ({"loss": "log_loss"},),
}


def recipe_table() -> str:
    """Return the table in Markdown: of every class as it is made without arguments, and of some with other ones."""
    lines = ["| estimator | a step is | how | scores | why |", "|---|---|---|---|---|"]
    for kind_of in ("classifier", "regressor"):
        inner: Any = LogisticRegression() if kind_of == "classifier" else Ridge()
        for name, kind in all_estimators(type_filter=kind_of):
            for given in ({}, *_VARIANTS.get(name, ())):
                shown = f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})" if given else name
                lines.append(_line(shown, recipe_for(_made(kind, inner, given))))
    return "\n".join(lines) + "\n"


def with_recipe_table(page: str) -> str:
    """Return a page with the table as it is now, between the marks ``<!-- table -->`` and ``<!-- /table -->``."""
    table = recipe_table()
    return _MARKS.sub(lambda _: table, page)


def _made(kind: Any, inner: Any, given: dict[str, Any]) -> Any:  # noqa: ANN401
    """Make an estimator, of a class that needs another one with `inner`."""
    known = signature(kind).parameters
    needed = [name for name, parameter in known.items() if parameter.default is Parameter.empty]
    if kind.__name__ == "SelfTrainingClassifier":
        needed = ["estimator"]  # None is its default, and not allowed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # some are about to be dropped
        return kind(**{name: [("first", inner)] if name == "estimators" else inner for name in needed}, **given)


def _line(name: str, recipe: Recipe) -> str:
    if recipe.source == "none":
        return f"| `{name}` | | none | | {recipe.why} |"
    how = f"{recipe.source}, on request" if recipe.source == "by sample size" else recipe.source
    return f"| `{name}` | {recipe.step_unit} | {how} | {_SCORES[recipe.loss]} | {recipe.why} |"
