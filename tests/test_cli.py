"""The command: its exit codes, its formats, and one clear line for every bad input."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner, Result

from lossacc_mlflow.cli import EXIT_ERROR_OF_OURS, EXIT_FINDINGS, EXIT_INPUT, EXIT_STORE, main
from lossacc_mlflow.comparison import COMPARISON_RULES
from lossacc_mlflow.render import render_manual
from lossacc_mlflow.rules import RULES
from tests.builders import falling
from tests.conftest import Tracking


def _lossacc(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert "Traceback" not in result.output
    return result


def _write_csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def overfitting_csv(tmp_path: Path) -> Path:
    validation = falling(15, 2.0, 0.3) + list(np.linspace(0.31, 0.6, 25))
    rows = (f"{e},{t},{v}" for e, (t, v) in enumerate(zip(falling(40, 2.0, 0.02), validation, strict=True)))
    return _write_csv(tmp_path / "net.csv", "epoch,loss,val_loss\n" + "\n".join(rows))


def test_a_curve_file(overfitting_csv: Path) -> None:
    result = _lossacc("diagnose", "--file", overfitting_csv)
    assert result.exit_code == 0
    assert "FIT001" in result.output
    assert "overfitting" in result.output.lower()


def test_json_is_an_object_for_one_run_and_jsonl_a_line(overfitting_csv: Path) -> None:
    one = json.loads(_lossacc("diagnose", "--file", overfitting_csv, "--format", "json").stdout)
    line = _lossacc("diagnose", "--file", overfitting_csv, "--format", "jsonl").stdout
    assert one["verdict"] == json.loads(line)["verdict"] == "overfitting"
    assert line.count("\n") == 1
    assert [f["code"] for f in one["findings"]] == [rule.code for rule in RULES]


def test_groups_come_in_order(tmp_path: Path) -> None:
    path = _write_csv(tmp_path / "g.csv", "id,epoch,loss\nb,0,1\nb,1,0.5\na,0,2\na,1,1\n")
    lines = _lossacc("diagnose", "--file", path, "--group-by", "id", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["run_id"] for line in lines] == ["b", "a"]
    many = _lossacc("diagnose", "--file", path, "--group-by", "id", "--format", "json").stdout
    assert [run["run_id"] for run in json.loads(many)] == ["b", "a"]


@pytest.mark.parametrize(
    ("fail_on", "code"), [("never", 0), ("error", 0), ("warning", EXIT_FINDINGS), ("note", EXIT_FINDINGS)]
)
def test_fail_on(overfitting_csv: Path, fail_on: str, code: int) -> None:
    assert _lossacc("diagnose", "--file", overfitting_csv, "--fail-on", fail_on).exit_code == code


def test_selection_lists_fewer_findings_and_keeps_the_verdict(overfitting_csv: Path) -> None:
    arguments = ("diagnose", "--file", overfitting_csv, "--format", "json", "--select", "LOG,TRN", "--ignore", "LOG005")
    found = json.loads(_lossacc(*arguments).stdout)
    assert {f["code"][:3] for f in found["findings"]} == {"LOG", "TRN"}
    assert "LOG005" not in {f["code"] for f in found["findings"]}
    assert found["verdict"] == "overfitting"


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file in the working directory, which no rise is too large for and which hides DIS rules."""
    monkeypatch.chdir(tmp_path)
    text = 'ignore = ["DIS"]\nfail_on = "note"\n[rules.FIT001]\nmax_rise = 99\n[rules.CMP001]\nmax_reversed = 7\n'
    return _write_csv(tmp_path / "lossacc.toml", text)


def test_settings_of_a_file_and_flags_above_them(overfitting_csv: Path, settings_file: Path) -> None:
    def codes(*flags: object) -> set[str]:
        result = _lossacc("diagnose", "--file", overfitting_csv, "--format", "json", *flags)
        assert result.stderr == ""
        return {f["code"] for f in json.loads(result.stdout)["findings"]}

    found = json.loads(_lossacc("diagnose", "--file", overfitting_csv, "--format", "jsonl").stdout)
    assert found["verdict"] != "overfitting"
    assert codes() == {rule.code for rule in RULES if not rule.code.startswith("DIS")}
    assert codes("--ignore", "LOG,TRN,FIT002") == {c for c in codes() if c.startswith("FIT")} - {"FIT002"}
    assert codes("--select", "DIS001,FIT") == {"DIS001", *(c for c in codes() if c.startswith("FIT"))}
    told = _lossacc("diagnose", "--file", overfitting_csv)
    assert str(settings_file) in told.stderr
    assert told.exit_code == EXIT_FINDINGS
    assert _lossacc("diagnose", "--file", overfitting_csv, "--fail-on", "never").exit_code == 0
    other = _write_csv(settings_file.parent / "other.toml", "[rules.FIT001]\nmax_rise = 0.1\n")
    line = _lossacc("diagnose", "--file", overfitting_csv, "--format", "jsonl", "--config", other)
    assert json.loads(line.stdout)["verdict"] == "overfitting"


def test_what_is_not_selected_does_not_fail(overfitting_csv: Path) -> None:
    assert _lossacc("diagnose", "--file", overfitting_csv, "--fail-on", "note", "--select", "LOG001").exit_code == 0


def test_explain_shows_what_is_set_and_where(settings_file: Path) -> None:
    default = _lossacc("explain", "FIT001", "--config", _write_csv(settings_file.parent / "empty.toml", "")).output
    explained = _lossacc("explain", "FIT001").output
    assert default == render_manual(next(rule for rule in RULES if rule.code == "FIT001")) + "\n"
    assert "default |" not in default
    assert str(settings_file) in explained
    row = next(line for line in explained.splitlines() if line.startswith("| max_rise"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["max_rise", "99", "0.1"]
    assert str(settings_file) not in _lossacc("explain", "TRN001").output


def test_a_settings_file_that_cannot_be_meant(overfitting_csv: Path, settings_file: Path) -> None:
    settings_file.write_text("[rules.FIT001]\nmax_raise = 1\n")
    for arguments in (("diagnose", "--file", overfitting_csv), ("compare", "x"), ("explain", "FIT001")):
        result = _lossacc(*arguments)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (EXIT_INPUT, "", 1)
        assert f"{settings_file}: rules.FIT001: there is no threshold 'max_raise'" in result.stderr


def test_junit(overfitting_csv: Path, tmp_path: Path) -> None:
    def failures(*flags: object) -> int:
        out = tmp_path / "junit.xml"
        result = _lossacc("diagnose", "--file", overfitting_csv, "--format", "junit", "--output", out, *flags)
        root = ET.parse(out).getroot()  # noqa: S314  (what was just written)
        assert len(root.findall("testsuite/testcase")) == len(RULES)
        assert (result.exit_code == EXIT_FINDINGS) == bool(flags and int(root.get("failures", "")))
        return int(root.get("failures", ""))

    assert 0 < failures() == failures("--fail-on", "warning") <= failures("--fail-on", "note")
    assert failures("--fail-on", "error") == failures("--fail-on", "never") == 0


def test_output_goes_to_a_file(overfitting_csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = _lossacc("diagnose", "--file", overfitting_csv, "--format", "json", "--output", out)
    assert result.stdout == ""
    assert json.loads(out.read_text())["verdict"] == "overfitting"


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("", EXIT_INPUT, "empty"),
        ("epoch,loss\n", EXIT_INPUT, "epoch"),
        ("a,b\n1,2\n", EXIT_INPUT, "--key"),
        ("epoch,val_accuracy\n" + "\n".join(f"{i},{0.5 + i / 100}" for i in range(20)), 0, "not enough"),
        ("epoch,loss,val_loss\n0,1,1\n", 0, "not enough"),
        ("epoch,loss,val_loss\n" + "\n".join(f"{i},{1 / (i + 1)},nan" for i in range(9)), 0, "TRN001"),
        ("epoch,loss,val_loss\n3,1,1\n1,2,2\n1,3,3\n0,4,4\n", 0, "LOG004"),
        ("epoch,val_accuracy\n0,50\n1,98.1\n", 0, "percent"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, code: int, told: str) -> None:
    result = _lossacc("diagnose", "--file", _write_csv(tmp_path / "bad.csv", text))
    assert result.exit_code == code
    assert told.lower() in result.output.lower()
    assert "healthy" not in result.output.lower()
    if code:
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["diagnose"], EXIT_INPUT, "--experiment"),
        (["diagnose", "x", "--experiment", "y"], EXIT_INPUT, "one of the three"),
        (["diagnose", "--file", "nowhere.csv"], EXIT_INPUT, "nowhere.csv"),
        (["diagnose", "x", "--group-by", "id"], EXIT_INPUT, "--file"),
        (["diagnose", "--file", "a.csv", "--write"], EXIT_INPUT, "--write"),
        (["diagnose", "x", "--filter", "a"], EXIT_INPUT, "--experiment"),
        (["diagnose", "x", "--key", "nonsense"], EXIT_INPUT, "nonsense"),
        (["diagnose", "x", "--loss", "nonsense"], EXIT_INPUT, "log_loss"),
        (["diagnose", "x", "--format", "yaml"], EXIT_INPUT, "yaml"),
        (["diagnose", "x", "--select", "NO1"], EXIT_INPUT, "NO1"),
        (["diagnose", "x", "--config", "nowhere.toml"], EXIT_INPUT, "nowhere.toml"),
        (["compare"], EXIT_INPUT, "--experiment"),
        (["figures"], EXIT_INPUT, "98.1%/0.1882"),
        (["figures", "98.1/0.1882"], EXIT_INPUT, "98.1%"),
        (["figures", "0.9/0.1", "--classes", "1"], EXIT_INPUT, "at least 2"),
        (["figures", "0.9/0.1", "--classes", "ten"], EXIT_INPUT, "whole number"),
        (["figures", "0.9/0.1", "--n", "0"], EXIT_INPUT, "at least 1"),
        (["figures", "0.9/0.1", "--clip", "kerras"], EXIT_INPUT, "Did you mean 'keras'"),
        (["figures", "0.9/0.1", "--clip", "2"], EXIT_INPUT, "below 1"),
        (["figures", "0.9/0.1", "--loss", "focal"], EXIT_INPUT, "focal:2"),
        (["figures", "0.9/0.1", "--format", "yaml"], EXIT_INPUT, "yaml"),
        (["figures", "-0.9/0.1"], EXIT_INPUT, "-0"),
        (["clean"], EXIT_INPUT, "--experiment"),
        (["explain"], EXIT_INPUT, "FIT001"),
        (["explain", "NO1"], EXIT_INPUT, "FIT001"),
        (["diagnose", "x", "--tracking-uri", "http://127.0.0.1:9"], EXIT_STORE, "127.0.0.1:9"),
        (["diagnose", "x", "--tracking-uri", "sqlite:////nowhere/mlflow.db"], EXIT_STORE, "/nowhere/mlflow.db"),
    ],
)
def test_bad_arguments(arguments: list[str], code: int, told: str) -> None:
    result = _lossacc(*arguments)
    assert result.exit_code == code
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_figures(tmp_path: Path) -> None:
    question = ("figures", "98.1%/0.1882", "98.5%/0.0997", "99.1%/0.2544")
    answer = _lossacc(*question, "--classes", 10, "--n", "10,000")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert "F(0.991, 10)" in answer.stdout
    payload = json.loads(_lossacc(*question, "--format", "json", "--clip", "keras", "--loss", "log_loss").stdout)
    assert (payload["clip"], payload["n_classes"], payload["n"]) == (1e-7, None, None)
    assert json.loads(_lossacc(*question, "--format", "json", "--clip", "none").stdout)["clip"] == 0
    assert _lossacc(*question, "--output", tmp_path / "plane.png").exit_code == 0
    assert (tmp_path / "plane.png").read_bytes().startswith(b"\x89PNG")
    nowhere = _lossacc(*question, "--output", tmp_path / "no" / "plane.png")
    assert (nowhere.exit_code, nowhere.stdout, nowhere.stderr.count("\n")) == (EXIT_INPUT, "", 1)


def test_runs_in_a_store(sqlite_store: Tracking) -> None:
    store = ("--tracking-uri", sqlite_store.uri)
    unknown = _lossacc("diagnose", "nosuchrun", *store)
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (EXIT_INPUT, 1)
    empty = _lossacc("diagnose", "--experiment", "digits", *store)
    assert empty.exit_code == EXIT_INPUT
    assert "no runs" in empty.stderr
    elsewhere = _lossacc("diagnose", "--experiment", "nowhere", *store)
    assert elsewhere.exit_code == EXIT_INPUT
    assert "digits" in elsewhere.stderr

    run_id = sqlite_store.new_run()
    bare = _lossacc("diagnose", run_id, *store)
    assert bare.exit_code == 0
    assert "not enough" in bare.output.lower()
    for i, value in enumerate(falling(20)):
        mlflow.MlflowClient(sqlite_store.uri).log_metric(run_id, "val_loss", value, step=i)
    only_read = _lossacc("diagnose", run_id, *store)
    assert "--write" in only_read.stderr
    assert not sqlite_store.files(run_id)
    written = _lossacc("diagnose", "--experiment", "digits", "--write", *store)
    assert written.exit_code == 0
    assert sqlite_store.files(run_id)
    links = _lossacc("views", "--experiment", "digits", *store).stdout.splitlines()
    assert len(links) == 3
    assert all(link.startswith("lossacc: ") and "/#/experiments/" in link for link in links)
    compared = _lossacc("compare", "--experiment", "digits", "--write", *store)
    assert compared.exit_code == 0
    page = _lossacc("compare", run_id, "--format", "html", *store)
    assert page.stdout.lstrip().startswith("<!doctype html>")
    assert json.loads(_lossacc("compare", run_id, "--format", "json", *store).stdout)["schema_version"]
    assert _lossacc("clean", "--experiment", "digits", *store).exit_code == 0
    assert not sqlite_store.files(run_id)


def test_what_is_switched_off_is_not_written_and_comparison_rules_are_configured(
    sqlite_store: Tracking, settings_file: Path
) -> None:
    settings_file.write_text('ignore = ["FIT001"]\n[rules.CMP001]\nmax_reversed = 7\n')
    store = ("--tracking-uri", sqlite_store.uri)
    run_id = sqlite_store.new_run()
    rising = falling(15, 2.0, 0.3) + list(np.linspace(0.31, 0.6, 25))
    for i, (train, validation) in enumerate(zip(falling(40, 2.0, 0.02), rising, strict=True)):
        sqlite_store.client.log_metric(run_id, "loss", train, step=i)
        sqlite_store.client.log_metric(run_id, "val_loss", validation, step=i)
    assert _lossacc("diagnose", run_id, "--write", *store).exit_code == 0
    tags = sqlite_store.client.get_run(run_id).data.tags
    assert tags["lossacc.verdict"] == "overfitting"
    assert "FIT001" not in tags["lossacc.findings"]
    files = sqlite_store.files(run_id)
    assert "FIT001" not in {f["code"] for f in json.loads(files["lossacc/findings.json"])["findings"]}
    assert b">FIT001<" not in files["lossacc/report.html"]
    assert "FIT001" not in tags["mlflow.note.content"]
    assert _lossacc("diagnose", run_id, "--write", "--select", "ALL", *store).exit_code == 0
    assert "FIT001" in sqlite_store.client.get_run(run_id).data.tags["lossacc.findings"]
    assert b">FIT001<" in sqlite_store.files(run_id)["lossacc/report.html"]

    other = sqlite_store.new_run("other")
    for accuracy, loss, run in ((0.9, 0.5, run_id), (0.8, 0.1, other)):
        sqlite_store.client.log_metric(run, "val_accuracy", accuracy, step=39)
        sqlite_store.client.log_metric(run, "val_loss", loss, step=39)
    compared = json.loads(_lossacc("compare", run_id, other, "--format", "json", *store).stdout)
    order = next(f for f in compared["findings"] if f["code"] == "CMP001")
    assert (order["status"], order["evidence"][0]["threshold"]) == ("clear", 7)
    assert not any("FIT001" in row["findings"] for row in compared["rows"])
    default = json.loads(_lossacc("compare", run_id, other, "--format", "json", "--select", "FIT", *store).stdout)
    assert default["findings"] == []
    assert any("FIT001" in row["findings"] for row in default["rows"])


@pytest.mark.parametrize("code", [rule.code for rule in (*RULES, *COMPARISON_RULES)])
def test_every_rule_has_a_manual(code: str) -> None:
    result = _lossacc("explain", code.lower())
    assert result.exit_code == 0
    assert code in result.output
    assert "What to do" in result.output


def test_all_manuals_and_help() -> None:
    everything = _lossacc("explain", "--all").output
    assert all(rule.code in everything for rule in (*RULES, *COMPARISON_RULES))
    for command in main.commands:
        assert (_lossacc(command, "--help").stdout.splitlines()[2:] or [""])[0].strip()


def test_an_error_of_ours_says_so(monkeypatch: pytest.MonkeyPatch, overfitting_csv: Path) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("lossacc_mlflow.cli.commands.read_curve_file", broken)
    result = _lossacc("diagnose", "--file", overfitting_csv)
    assert result.exit_code == EXIT_ERROR_OF_OURS
    assert "an error of ours" in result.stderr
    assert "by zero" in result.stderr
