import re
from dataclasses import replace

import pytest

from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.render import render_comparison_note, render_note, render_report, render_text
from tests.render.examples import HOSTILE, comparison, hostile_diagnosis, overfitted_run

LIVE_MARKUP = re.compile(r"<|(?<!\\)[`|]|(?<!\\)\[l|@octocat|(?<!\\)\]\(javascript")


def test_note_puts_verdict_and_reason_above_the_fold_and_then_the_picture() -> None:
    note = render_note(judge(overfitted_run()), picture="lossacc/curves.png")
    blocks = note.split("\n\n")
    assert blocks[0].startswith("**Overfitting in the loss only**")
    assert "\n" not in blocks[1]
    assert blocks[2] == "![Curves of loss and accuracy](get-artifact?path=lossacc%2Fcurves.png&run_uuid=id-mlp)"
    assert "- **FIT001** Loss overfitting (epoch 20" in blocks[3]
    assert (
        blocks[-1]
        == "[Full report](#/experiments/7/runs/id-mlp/artifacts/lossacc/report.html?workflowType=machine_learning)"
    )


def test_note_without_picture_or_experiment_has_no_dead_link() -> None:
    run = replace(overfitted_run(), experiment_id="")
    note = render_note(judge(run), picture=None)
    assert "](" not in note
    assert "lossacc/report.html" in note


def test_hostile_names_stay_text_in_markdown() -> None:
    note = render_note(hostile_diagnosis(), picture="lossacc/curves.png")
    assert "&lt;script&gt;" in note
    assert not LIVE_MARKUP.search(note)
    made = comparison(HOSTILE, "b")
    assert not LIVE_MARKUP.search(render_comparison_note(made, run_id="c1", picture=None).replace("`", ""))


def test_note_shrinks_to_its_limit_and_keeps_verdict_and_link() -> None:
    diagnosis = hostile_diagnosis()
    many = replace(diagnosis, findings=diagnosis.findings[:1] * 200)
    note = render_note(many, picture="lossacc/curves.png")
    assert len(note) <= 6000
    assert "more in the report" in note
    short = render_note(many, picture="lossacc/curves.png", limit=300)
    assert short.startswith("**Overfitting")
    assert "![" not in short
    assert short.endswith("report.html?workflowType=machine_learning)")


def test_comparison_note_recommends_first_and_lists_the_models() -> None:
    made = replace(comparison("calm", "sharp"), recommendation=("Take calm.", "It is calm."))
    note = render_comparison_note(made, run_id="c1", picture="lossacc/loss_accuracy_plane.png")
    assert note.startswith("**Take calm.**\n\nIt is calm.\n\n![")
    assert "run_uuid=c1" in note
    assert "- calm: accuracy " in note
    assert "#/experiments/7/runs/c1/artifacts/lossacc/comparison.html" in note


def test_a_stop_is_told_wherever_the_verdict_is() -> None:
    tags = {"lossacc.stopped": "loss_overfitting", "lossacc.stopped_step": "35", "lossacc.restored_step": "20"}
    diagnosis = judge(replace(overfitted_run(), tags=tags))
    wanted = "stopped at epoch 35, at the first lasting sign of: overfitting in the loss only"
    for text in (render_note(diagnosis, picture=None), render_text(diagnosis), render_report(diagnosis, {})):
        plain = " ".join(text.split())
        assert wanted in plain
        assert "it ends with the weights of epoch 20." in plain


@pytest.mark.parametrize(
    "tags",
    [
        {"lossacc.stopped": "<script>", "lossacc.stopped_step": "35"},
        {"lossacc.stopped": "overfitting", "lossacc.stopped_step": "<script>"},
        {"lossacc.stopped": "overfitting"},
    ],
)
def test_tags_that_tell_no_stop_are_left_out(tags: dict[str, str]) -> None:
    assert "stopped at" not in render_note(judge(replace(overfitted_run(), tags=tags)), picture=None)
