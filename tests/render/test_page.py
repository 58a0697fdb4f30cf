from dataclasses import replace
from html.parser import HTMLParser
from math import inf, nan

import numpy as np
import pytest

from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.records import Comparison, RunData
from lossacc_mlflow.render import notebook_frame, render_comparison_report, render_report
from tests.builders import make_curve
from tests.render.examples import (
    HOSTILE,
    broken_comparison,
    broken_diagnosis,
    comparison,
    hostile_diagnosis,
    overfitted_run,
)

PNG = b"\x89PNG\r\n\x1a\n"


class Reader(HTMLParser):
    """What a browser would see of a page: elements, attributes, text, and whether elements are closed in order."""

    VOID = frozenset({"meta", "img", "br", "circle", "path"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def assert_self_contained(page: Reader) -> None:
    assert {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "base", "a", "form"} == set()
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        source = attributes.get("src") or ""
        assert not source or source.startswith("data:image/")


def test_report_says_the_verdict_first_and_everything_after_it() -> None:
    html = render_report(judge(overfitted_run()), {"lossacc/curves.png": PNG + b"x", "reliability": PNG})
    page = Reader(html)
    assert_self_contained(page)
    order = ["Overfitting in the loss only", "FIT001", "What to do", "Figure 1.", "Predictions", "alone prove"]
    order += ["Worst predictions", "All rules and their outcome", "How this was computed"]
    positions = [page.text.index(part, page.text.index("Verdict")) for part in order]
    assert positions == sorted(positions)
    assert page.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("img")) == 2
    assert {header.get("scope") for header in page.all("th")} <= {"col", "row", "rowgroup"}


def test_the_best_value_is_never_worse_than_the_last() -> None:
    value = 0.06 + np.exp(-np.arange(60) / 6) + 0.002 * np.cos(np.pi * np.arange(60))
    curve = make_curve("val_log_loss", value)
    page = Reader(render_report(judge(RunData("r", "r", curves=(curve,))), {}))
    best = int(value.argmin())
    assert f"Best validation log loss{value[best]:.4f}at epoch {best}; {value[-1]:.4f} at the end" in page.text


def test_names_from_a_run_never_become_markup() -> None:
    for html in (
        render_report(hostile_diagnosis(), {HOSTILE: PNG}),
        render_comparison_report(comparison(HOSTILE, "b"), {HOSTILE: PNG}),
    ):
        page = Reader(html)
        assert_self_contained(page)
        assert "<script>alert('x')</script>" in page.text
        assert "\x1b" not in html
        assert "\u202e" not in html
        assert "\ud800" not in html


def test_suspected_labels_are_listed_with_their_share_of_the_loss() -> None:
    run = overfitted_run()
    assert "<h2>Suspected label errors" not in render_report(judge(run), {})
    samples, summary = run.samples["validation"], run.predictions["validation"]
    wrong = samples.y_pred != samples.y_true
    marked = replace(samples, label_issue=wrong)
    summary = replace(summary, n_label_issues=int(wrong.sum()), loss_share_label_issues=summary.loss_share_incorrect)
    html = render_report(judge(replace(run, samples={"validation": marked}, predictions={"validation": summary})), {})
    page = Reader(html)
    assert_self_contained(page)
    section = page.text[page.text.index("Worst predictions") :]
    assert f"Of 200 validation samples, {wrong.sum()} have" in section
    assert f"{100 * summary.loss_share_incorrect:.1f} % of the loss" in section
    assert samples.sample_id[int(np.flatnonzero(wrong)[samples.p_true[wrong].argmin()])] in section
    assert "cat (suspected)" in page.text


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_pages_stand_numbers_that_are_not_finite(value: float) -> None:
    assert_self_contained(Reader(render_report(broken_diagnosis(value), {})))
    assert_self_contained(Reader(render_comparison_report(broken_comparison(value), {})))


def test_last_pictures_give_way_to_a_message_where_the_page_would_be_too_large() -> None:
    pictures = {"curves": PNG + bytes(200_000), "confusion": PNG + bytes(200_000), "reliability": PNG}
    html = render_report(judge(overfitted_run()), pictures)
    assert len(html.encode()) <= 500_000
    page = Reader(html)
    assert len(page.all("img")) == 1
    assert "see lossacc/confusion.png" in page.text


def test_a_comparison_of_a_thousand_models_stays_small_and_says_what_it_leaves_out() -> None:
    made = comparison("a", "b")
    rows = tuple(replace(made.rows[0], name=f"{i} {HOSTILE}") for i in range(1000))
    html = render_comparison_report(replace(made, rows=rows, pairs=made.pairs * 50), {})
    assert len(html.encode()) <= 500_000
    assert "900 more in comparison.csv" in html
    assert f"{50 * len(made.pairs) - 20} more in pairs.csv" in html


def test_comparison_marks_the_best_and_shows_four_groups_a_pair() -> None:
    made = comparison("calm", "sharp", "sharper")
    page = Reader(render_comparison_report(replace(made, recommendation=("Take calm.",)), {}))
    assert page.text.index("Take calm.") < page.text.index("Models")
    assert page.text.count("only A right") == len(made.pairs) > 0
    assert sum("best" in (cell.get("class") or "") for cell in page.all("td")) >= 2


def test_all_pairs_stand_in_one_table_with_what_is_left_of_their_p_values() -> None:
    made = comparison("calm", "sharp", "sharper")
    pairs = tuple(replace(p, n_pairs=3, mcnemar_p_holm=0.5, loss_p_holm=0.0004, at_clip=False) for p in made.pairs)
    page = Reader(render_comparison_report(replace(made, pairs=pairs), {}))
    table = page.text[page.text.index("All pairs") : page.text.index("Where the differences come from")]
    assert "Of 3 pairs some differ by chance" in table
    assert table.count("0.5") >= len(pairs)
    assert table.count("< 0.001") >= len(pairs)
    assert "All pairs" not in Reader(render_comparison_report(comparison("calm", "sharp"), {})).text


def test_further_pictures_of_a_kind_have_its_title() -> None:
    html = render_comparison_report(comparison("calm", "sharp"), {"attribution.png": PNG, "attribution_2.png": PNG})
    assert Reader(html).text.count("Which samples make the difference.") == 2


def test_what_the_comparison_found_about_one_run_stands_below_its_row() -> None:
    made = comparison("calm", "sharp")
    page = Reader(render_comparison_report(made, {}))
    remark = page.text.index("'sharp' is 'calm' once more")
    assert page.text.index("Best step") < remark < page.text.index("Where the differences come from")
    spans = [cell["colspan"] for cell in page.all("td") if "colspan" in cell]
    assert spans == ["6"] * sum(len(row.remarks) for row in made.rows)


def test_a_run_without_anything_says_what_was_seen_and_what_to_log() -> None:
    run = RunData("r", "", curves=(make_curve("train_accuracy", [0.9]),), other_keys=("my_metric",))
    text = Reader(render_report(judge(run), {})).text
    for part in ("Not enough information", "my_metric", "train_accuracy", "--key", "unnamed run"):
        assert part in text
    assert "Healthy" not in text


def test_an_empty_comparison_is_a_page_too() -> None:
    empty = Comparison(name="", experiment_id="", rows=(), pairs=(), findings=(), recommendation=())
    assert "no model to compare" in Reader(render_comparison_report(empty, {})).text


def test_notebook_frame_keeps_the_page_to_itself() -> None:
    html = render_report(hostile_diagnosis(), {})
    parsed = Reader(notebook_frame(html))
    [frame] = parsed.all("iframe")
    assert frame["srcdoc"] == html
    assert "sandbox" in frame
    assert "allow-scripts" not in (frame["sandbox"] or "")
