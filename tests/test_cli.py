"""The command: its exit codes, its formats, and one clear line for every bad input."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner, Result

from lossacc_mlflow.cli import EXIT_ERROR_OF_OURS, EXIT_FINDINGS, EXIT_INPUT, EXIT_STORE, main
from lossacc_mlflow.comparison import COMPARISON_RULES
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
        (["compare"], EXIT_INPUT, "--experiment"),
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
    assert result.stdout == ""


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


@pytest.mark.parametrize("code", [rule.code for rule in (*RULES, *COMPARISON_RULES)])
def test_every_rule_has_a_manual(code: str) -> None:
    result = _lossacc("explain", code.lower())
    assert result.exit_code == 0
    assert code in result.output
    assert "What to do" in result.output


def test_all_manuals_and_help() -> None:
    everything = _lossacc("explain", "--all").output
    assert all(rule.code in everything for rule in (*RULES, *COMPARISON_RULES))
    for command in ("diagnose", "compare", "explain", "views", "clean"):
        assert (_lossacc(command, "--help").stdout.splitlines()[2:] or [""])[0].strip()


def test_an_error_of_ours_says_so(monkeypatch: pytest.MonkeyPatch, overfitting_csv: Path) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("lossacc_mlflow.cli.read_curve_file", broken)
    result = _lossacc("diagnose", "--file", overfitting_csv)
    assert result.exit_code == EXIT_ERROR_OF_OURS
    assert "an error of ours" in result.stderr
    assert "by zero" in result.stderr
