"""The settings file: where it is found, what it sets, and one clear line for whatever cannot be meant."""

import re
from dataclasses import MISSING, fields, replace
from pathlib import Path

import pytest

import lossacc_mlflow
from lossacc_mlflow.comparison import COMPARISON_RULES
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.rules import RULES, Question
from lossacc_mlflow.rules.configuration import configure, select_codes, thresholds_of
from lossacc_mlflow.settings import ALL_CODES, Settings, load_rules, read_settings
from tests.builders import falling, make_run

ALL = (*RULES, *COMPARISON_RULES)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project" / "deep" / "down"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_without_a_file_the_defaults_hold(here: Path) -> None:
    settings = read_settings()
    assert here.is_dir()
    assert settings == Settings()
    assert settings.source is None
    assert settings.rules == RULES
    assert settings.comparison_rules == COMPARISON_RULES
    assert settings.codes == ALL_CODES


def test_all_that_can_be_set(here: Path) -> None:
    path = _write(
        here / "lossacc.toml",
        'select = ["FIT", "trn001"]\nignore = ["FIT002"]\nfail_on = "error"\n'
        "[rules.FIT001]\nmax_rise = 1\nmin_points_since = 4\n[rules.CMP001]\nmax_reversed = 2\n",
    )
    settings = read_settings()
    assert (settings.source, settings.fail_on) == (path, "error")
    assert [c for c in settings.codes if not c.startswith("FIT")] == ["TRN001"]
    assert "FIT001" in settings.codes
    assert "FIT002" not in settings.codes
    configured = {rule.code: thresholds_of(rule) for rule in (*settings.rules, *settings.comparison_rules)}
    default = {rule.code: thresholds_of(rule) for rule in ALL}
    assert configured["FIT001"] == default["FIT001"] | {"max_rise": 1.0, "min_points_since": 4}
    assert isinstance(configured["FIT001"]["max_rise"], float)
    assert configured["CMP001"]["max_reversed"] == 2
    assert {code for code in configured if configured[code] != default[code]} == {"FIT001", "CMP001"}
    assert load_rules() == settings.rules == load_rules(path) == load_rules(str(path))


def test_the_nearest_file_counts_and_a_project_only_with_its_table(here: Path) -> None:
    project = here.parents[1]
    _write(project.parent / "lossacc.toml", 'ignore = ["FIT"]')
    assert read_settings().source == project.parent / "lossacc.toml"
    _write(
        project / "pyproject.toml", '[tool.lossacc]\nignore = ["TRN"]\n[tool.lossacc.rules.FIT001]\nmax_rise = 0.5\n'
    )
    assert read_settings().source == project / "pyproject.toml"
    assert read_settings().thresholds == {"FIT001": {"max_rise": 0.5}}
    _write(here.parent / "pyproject.toml", "[tool.other]\nline-length = 1\n")
    _write(here / "pyproject.toml", "this is = not TOML, and not ours")
    assert read_settings().source == project / "pyproject.toml"
    _write(project / "lossacc.toml", "")
    assert read_settings() == Settings(source=project / "lossacc.toml")


def test_a_folder_of_that_name_and_a_removed_working_directory_are_passed_over(here: Path) -> None:
    (here / "lossacc.toml").mkdir()
    assert read_settings() == Settings()
    (here / "lossacc.toml").rmdir()
    here.rmdir()
    assert read_settings() == Settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("select = [,]", "no valid TOML.*line 1"),
        ("a = 1\nb 2\n", "no valid TOML.*line 2"),
        ("n = " + "9" * 5000, "no valid TOML"),
        ("a = " + "[" * 5000, "no valid TOML"),
        ('selct = ["FIT"]', r"no setting 'selct'; there is select, ignore, fail_on, rules\. Did you mean 'select'\?"),
        ("fail-on = 'error'", "Did you mean 'fail_on'"),
        ("[tool.lossacc]\nignore = []", r"no setting 'tool'.*Only in pyproject\.toml"),
        ("[FIT001]\nmax_rise = 1", r"no setting 'FIT001'.*below \[rules\.FIT001\]"),
        ('select = "FIT"', r"select is 'FIT'; wanted is a list of codes, such as \[\"FIT\", \"TRN001\"\]"),
        ("[select]\nFIT = true", r"select is \{'FIT': True\}; wanted is a list"),
        ("ignore = [1]", r"ignore is \[1\]; wanted is a list"),
        ('ignore = ["FIT", "FTI001"]', "ignore: there is no rule 'FTI001'. There is .*FIT001"),
        ('select = [""]', "select: there is no rule ''"),
        ('fail_on = "errors"', "fail_on is 'errors'; wanted is one of never, note, warning, error"),
        ("fail_on = true", "fail_on is True"),
        ("rules = 3", "rules is 3; wanted is a table"),
        ("rules.FIT001 = 0.1", r"rules\.FIT001 is 0\.1; wanted is a table"),
        ("[rules.FIT999]\nmax_rise = 1", r"rules: there is no rule 'FIT999'; there is .*FIT001"),
        ("[rules.fit001]\nmax_rise = 1", "Did you mean 'FIT001'"),
        ('[rules."a\\nb"]\nx = 1', r"no rule 'a\\nb'"),
        (
            "[rules.FIT001]\nmax_raise = 1",
            r"rules\.FIT001: there is no threshold 'max_raise'; there is max_rise, .*Did you mean 'max_rise'",
        ),
        ("[rules.FIT001]\nnot_learning = 1", "no threshold 'not_learning'"),
        ("[rules.FIT001]\ncode = 1", "no threshold 'code'"),
        ('[rules.FIT001]\nmax_rise = "0.1"', r"rules\.FIT001\.max_rise is '0\.1'; wanted is a number of at least 0"),
        ("[rules.FIT001]\nmax_rise = true", r"rules\.FIT001\.max_rise is True; wanted is a number"),
        ("[rules.FIT001]\nmax_rise = nan", "max_rise is nan; wanted is a number"),
        ("[rules.FIT001]\nmax_rise = inf", "max_rise is inf; wanted is a number"),
        ("[rules.FIT001]\nmax_rise = -0.1", "max_rise is -0.1; wanted is a number of at least 0"),
        ("[rules.FIT001]\nmax_rise = [0.1]", r"max_rise is \[0\.1\]; wanted is a number"),
        ("[rules.FIT001]\nmax_rise = " + "9" * 400, r"max_rise is 9+\.\.\.9; wanted is a number"),
        ("[rules.FIT001]\nmin_points_since = 2.5", "min_points_since is 2.5; wanted is an integer of at least 0"),
        ("[rules.FIT001]\nmin_points_since = 2.0", "min_points_since is 2.0; wanted is an integer"),
        ("[rules.FIT001]\nmin_points_since = " + "9" * 400, "min_points_since is 9.*wanted is an integer"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = _write(tmp_path / "lossacc.toml", text)
    with pytest.raises(InputError, match=told) as caught:
        read_settings(path)
    assert f"settings file {path}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("absent.toml", None, "cannot be read: No such file"),
        ("pyproject.toml", b"[tool.other]\na = 1", r"has no table \[tool\.lossacc\]"),
        ("pyproject.toml", b"[tool]\nlossacc = 3", r"tool\.lossacc is 3; wanted is a table"),
        ("pyproject.toml", b"# lossacc\ntool = 1", r"has no table \[tool\.lossacc\]"),
        ("pyproject.toml", b"[tool.lossacc]\nselect = ", "no valid TOML"),
        ("lossacc.toml", b"\xff\xfe", "no valid TOML"),
    ],
)
def test_a_file_that_was_named_must_be_usable(tmp_path: Path, name: str, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_settings(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_settings(tmp_path)


def test_flags_stand_above_the_file() -> None:
    settings = Settings(select=("FIT", "TRN"), ignore=("FIT002",), fail_on="note")
    assert settings.override().codes == settings.codes
    assert settings.override(fail_on="never").fail_on == "never"
    assert settings.override().fail_on == "note"
    replaced = settings.override(select=["FIT002", "dis001"])
    assert replaced.codes == ("FIT002", "DIS001")
    without = set(settings.codes) - set(settings.override(ignore=["FIT001", "TRN001"]).codes)
    assert without == {"FIT001", "TRN001"}
    assert settings.override(ignore=["ALL"]).codes == ()
    assert settings.override(select=["ALL"]).codes == ALL_CODES
    with pytest.raises(InputError, match="--ignore: there is no rule 'NO1'"):
        settings.override(ignore=["NO1"])


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        (None, (), ["AB1", "AB2", "CD1"]),
        ((), (), []),
        (("ALL",), ("A",), ["CD1"]),
        (("AB1",), ("AB",), ["AB1"]),
        (("AB",), ("AB",), []),
        (("A", "CD"), ("ALL",), ["AB1", "AB2", "CD1"]),
    ],
)
def test_the_longer_code_decides(select: tuple[str, ...] | None, ignore: tuple[str, ...], expected: list[str]) -> None:
    assert select_codes(["AB1", "AB2", "CD1"], select, ignore) == expected


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.code)
def test_every_threshold_can_be_set_and_is_set_wherever_the_rule_is_asked(rule: Question) -> None:
    assert all(f.default is not MISSING for f in fields(rule))
    assert {f.type for f in fields(rule) if f.name in thresholds_of(rule)} <= {int, float}
    wanted = {name: value + 1 for name, value in thresholds_of(rule).items()}
    asked = [q for top in configure(ALL, {rule.code: wanted}) for q in _with_asked(top) if type(q) is type(rule)]
    assert asked
    assert all(thresholds_of(q) == wanted for q in asked)


def test_rules_that_were_replaced_are_the_ones_that_others_ask() -> None:
    strict = tuple(
        configure([rule], {"TRN003": {"min_gain": 0.5}})[0] if rule.code == "TRN003" else rule for rule in RULES
    )
    configured = configure(strict, {"TRN003": {"z": 9}})
    asked = [q for rule in configured for q in _with_asked(rule) if q.code == "TRN003"]
    assert len(asked) > 3
    assert {(thresholds_of(q)["min_gain"], thresholds_of(q)["z"]) for q in asked} == {(0.5, 9.0)}


def _with_asked(rule: Question) -> list[Question]:
    held = [getattr(rule, f.name) for f in fields(rule)]
    return [rule, *(q for inner in held if isinstance(inner, Question) for q in _with_asked(inner))]


_OVERFITTING = {
    "train_loss": falling(40, 2.0, 0.02),
    "val_loss": [*falling(15, 2.0, 0.3), *(0.3 + 0.0125 * i for i in range(1, 26))],
}


def test_a_threshold_of_one_rule_changes_what_another_says() -> None:
    run = make_run({**_OVERFITTING, "val_accuracy": [*falling(15, 0.1, 0.6), *([0.6] * 25)]}, n_classes=10)
    assert judge(run).finding("FIT001").status == "flagged"
    unlearned = judge(run, configure(RULES, {"TRN003": {"min_gain": 0.8}}))
    assert unlearned.finding("TRN003").status == "flagged"
    assert unlearned.finding("FIT001").status == "clear"
    assert unlearned.verdict == "not_learning"


def test_what_is_not_listed_is_not_shown_and_still_decides() -> None:
    run = make_run(_OVERFITTING)
    everything, few = judge(run), judge(run, codes=["TRN001", "LOG001"])
    assert [f.code for f in few.findings] == ["LOG001", "TRN001"]
    assert few.verdict == everything.verdict == "overfitting"
    assert everything.finding("FIT001").message in everything.headline
    assert few.headline == "The model overfits."


def test_in_python_a_file_is_read_only_when_asked(here: Path) -> None:
    _write(here / "lossacc.toml", "[rules.FIT001]\nmax_rise = 100\n")
    run = make_run(_OVERFITTING)
    assert lossacc_mlflow.diagnose(run).verdict == "overfitting"
    assert lossacc_mlflow.diagnose(run, rules=lossacc_mlflow.load_rules()).verdict != "overfitting"
    settings = lossacc_mlflow.read_settings()
    assert lossacc_mlflow.diagnose(run, rules=settings.rules, codes=settings.codes).findings


def test_the_manual_shows_files_that_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")
    own, project = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    settings = read_settings(_write(tmp_path / "lossacc.toml", own))
    assert settings.thresholds == {"FIT001": {"max_rise": 0.2, "min_points_since": 4}}
    assert replace(read_settings(_write(tmp_path / "pyproject.toml", project)), source=settings.source) == settings
