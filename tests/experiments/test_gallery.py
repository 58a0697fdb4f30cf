"""The gallery shows every experiment, as it must come out."""

import re
from importlib import import_module
from inspect import getdoc
from pathlib import Path

import pytest

from docs.make_gallery import EXPERIMENTS

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "gallery.md").read_text(encoding="utf-8")
_AGAIN = "make it anew: python -m docs.make_gallery TRACKING_URI"


def _section(experiment: str) -> str:
    return _PAGE.split(f"\n## {experiment}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_gallery_shows_what_the_experiment_declares(experiment: str) -> None:
    module = import_module(f"experiments.{experiment}")
    section = _section(experiment)
    question = (getdoc(module) or "").partition("\n")[0]
    assert f"**{question}**" in section, _AGAIN
    runs = dict(re.findall(r"^### (.+): `(\w+)`$", section, flags=re.MULTILINE))
    assert runs == {name: expected.verdict for name, expected in module.EXPECTED.items()}, _AGAIN
    for name, expected in module.EXPECTED.items():
        shown = re.findall(r"^- \[(\w+)\]", section.split(f"### {name}:")[1].split("\n### ")[0], flags=re.MULTILINE)
        assert sorted(set(shown) - set(expected.undecided)) == sorted(expected.codes), _AGAIN
    if hasattr(module, "COMPARISON"):
        shown = re.findall(r"^- \[(\w+)\]", section.split("### Compared\n")[1], flags=re.MULTILINE)
        assert sorted(shown) == sorted(module.COMPARISON), _AGAIN


def test_gallery_has_every_experiment() -> None:
    entries = re.findall(r'"python -m experiments\.(\w+)"', (_DOCS.parent / "MLproject").read_text(encoding="utf-8"))
    assert sorted(EXPERIMENTS) == sorted(set(entries) - {"digits", "three_models", "autolog"})


def test_gallery_links_to_what_is_there() -> None:
    targets = re.findall(r"\]\(([^#)]+)\)", _PAGE)
    assert targets
    for target in targets:
        assert (_DOCS / target).is_file(), target


def test_no_picture_outlives_its_run() -> None:
    shown = set(re.findall(r"images/gallery/[\w.]+", _PAGE))
    assert {f"images/gallery/{path.name}" for path in (_DOCS / "images" / "gallery").iterdir()} == shown
