"""The page of scikit-learn says which curve every estimator gets."""

from pathlib import Path

from sklearn.linear_model import LogisticRegression

from lossacc_mlflow.loggers.sklearn.table import recipe_table, with_recipe_table
from tests.loggers.sklearn.every import EVERY

_PAGE = Path(__file__).parents[3] / "docs" / "frameworks" / "sklearn.md"


def test_page_has_the_recipe_of_every_estimator() -> None:
    written = _PAGE.read_text(encoding="utf-8")
    lines = recipe_table().splitlines()
    assert all(any(line.startswith(f"| `{case.name}`") for line in lines) for case in EVERY)
    # Of other versions of scikit-learn than the page is of, a few lines differ.
    lines = [
        line for line in lines if hasattr(LogisticRegression, "set_callbacks") or "`LogisticRegression`" not in line
    ]
    missing = set(lines) - set(written.splitlines())
    assert not missing, (
        "write it anew: python -c 'import pathlib; from lossacc_mlflow.loggers.sklearn.table import with_recipe_table; "
        'p = pathlib.Path("docs/frameworks/sklearn.md"); p.write_text(with_recipe_table(p.read_text()))\''
    )


def test_table_is_replaced_between_its_marks() -> None:
    page = with_recipe_table("before\n<!-- table -->\nold\n<!-- /table -->\nafter\n")
    assert page == f"before\n<!-- table -->\n{recipe_table()}<!-- /table -->\nafter\n"
