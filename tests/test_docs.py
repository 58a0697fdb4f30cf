"""The docs say what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

from lossacc_mlflow.comparison import COMPARISON_RULES
from lossacc_mlflow.render import render_manual
from lossacc_mlflow.rules import RULES, Question

_ROOT = Path(__file__).parents[1]
_ALL = (*RULES, *COMPARISON_RULES)


@pytest.mark.parametrize("rule", _ALL, ids=lambda rule: rule.code)
def test_page_of_a_rule_is_its_manual(rule: Question) -> None:
    page = (_ROOT / "docs" / "rules" / f"{rule.code}.md").read_text(encoding="utf-8")
    assert page == render_manual(rule) + "\n", "write it anew: lossacc explain CODE > docs/rules/CODE.md"


def test_no_page_outlives_its_rule() -> None:
    assert {path.stem for path in (_ROOT / "docs" / "rules").iterdir()} == {rule.code for rule in _ALL}


def test_readme_lists_every_rule_with_its_title() -> None:
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| \[(\w{3}\d{3})\]\(docs/rules/\1\.md\) \| (.*?) \|$", readme, flags=re.MULTILINE))
    assert listed == {rule.code: rule.title for rule in _ALL}


def test_every_picture_of_the_readme_is_there() -> None:
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"\]\((docs/[^)]+)\)", readme):
        assert (_ROOT / path).is_file(), path


def test_conda_environment_has_the_dependencies_of_the_package() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    conda = (_ROOT / "conda.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^      - (\S+)$", conda, flags=re.MULTILINE) == project["dependencies"]


def test_readme_shows_the_commands_that_ci_runs() -> None:
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"<!-- command: (\w+) -->\n```bash\n(.+)\n```\n", readme)
    assert [name for name, _ in commands] == ["main", "tests"]
