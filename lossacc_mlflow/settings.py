"""The settings file: thresholds of the rules, and which of them are listed."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from lossacc_mlflow.comparison import COMPARISON_RULES, ComparisonRule
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import Level
from lossacc_mlflow.rules import RULES, Rule
from lossacc_mlflow.rules.configuration import configure, select_codes, thresholds_of
from lossacc_mlflow.wording import did_you_mean, quote

__all__ = ["ALL_CODES", "FAIL_ON", "FailOn", "Settings", "levels_at", "load_rules", "read_settings"]

FailOn = Level | Literal["never"]
_LEVELS: tuple[Level, ...] = get_args(Level)
FAIL_ON: tuple[FailOn, ...] = ("never", *reversed(_LEVELS))
"""What ``fail_on`` may be, the most patient first."""

ALL_CODES = tuple(rule.code for rule in (*RULES, *COMPARISON_RULES))

_OWN_FILE, _PROJECT_FILE = "lossacc.toml", "pyproject.toml"
_KEYS = ("select", "ignore", "fail_on", "rules")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a settings file says; without one, what holds by default.

    Parameters
    ----------
    select : tuple of str, optional
        First letters of the codes to list; all by default.
    ignore : tuple of str
        First letters of the codes not to list.
    fail_on : {"never", "note", "warning", "error"}, optional
        Level of a finding with which the command exits with 1.
    thresholds : mapping of str to mapping of str to number
        By code of the rule, by name.
    source : Path, optional
        The file; None where there is none.
    """

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    fail_on: FailOn | None = None
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    source: Path | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of one run, with these thresholds."""
        return configure(RULES, self.thresholds)

    @property
    def comparison_rules(self) -> tuple[ComparisonRule, ...]:
        """Every rule across runs, with these thresholds."""
        return configure(COMPARISON_RULES, self.thresholds)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the rules whose findings are listed."""
        return tuple(select_codes(ALL_CODES, self.select, self.ignore))

    def override(
        self, *, select: Sequence[str] | None = None, ignore: Sequence[str] = (), fail_on: FailOn | None = None
    ) -> "Settings":
        """Return these settings under what a command was told.

        Parameters
        ----------
        select : sequence of str, optional
            First letters of codes, in place of both ``select`` and ``ignore``.
        ignore : sequence of str
            First letters of codes to leave out as well.
        fail_on : {"never", "note", "warning", "error"}, optional
            In place of the one here.

        Returns
        -------
        Settings

        Raises
        ------
        InputError
            If no code begins so.
        """
        taken = None if select is None else _codes("--select", list(select))
        left_out = _codes("--ignore", list(ignore))
        codes = select_codes(self.codes if select is None else ALL_CODES, taken, left_out)
        return replace(self, select=tuple(codes), ignore=(), fail_on=fail_on or self.fail_on)


def read_settings(path: Path | str | None = None) -> Settings:
    """Read a settings file.

    Parameters
    ----------
    path : Path or str, optional
        A pyproject.toml, whose table ``[tool.lossacc]`` is read, or a file of any other name, which is read whole. By
        default the nearest lossacc.toml, or pyproject.toml with that table, in the working directory or above it.

    Returns
    -------
    Settings
        The defaults where there is no file.

    Raises
    ------
    InputError
        If the file cannot be read or says what cannot be meant: one line with file, key and what there is.
    """
    if path is None:
        found = next((item for item in _candidates() if item[1] is not None), None)
        return Settings() if found is None else _parse(*found)
    table = _read_table(Path(path))
    if table is None:
        raise InputError(f"{path} has no table [tool.lossacc]: there are no settings in it.")
    return _parse(Path(path), table)


def load_rules(path: Path | str | None = None) -> tuple[Rule, ...]:
    """Return every rule with the thresholds of a settings file, for ``diagnose(run, rules=load_rules())``.

    Parameters
    ----------
    path : Path or str, optional
        As in :func:`read_settings`.

    Returns
    -------
    tuple of Rule

    Raises
    ------
    InputError
        As in :func:`read_settings`.
    """
    return read_settings(path).rules


def levels_at(fail_on: FailOn) -> tuple[Level, ...]:
    """Return the levels of findings that are at or above one, the gravest first.

    Examples
    --------
    >>> levels_at("warning"), levels_at("never")
    (('error', 'warning'), ())
    """
    return () if fail_on == "never" else _LEVELS[: _LEVELS.index(fail_on) + 1]


def _candidates() -> Iterator[tuple[Path, object]]:
    """Files of our names from here upwards, each with its table or None."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        # The working directory was removed: nothing lies in it.
        return
    for folder in (here, *here.parents):
        for path in (folder / _OWN_FILE, folder / _PROJECT_FILE):
            if _is_file(path):
                yield path, _read_table(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # A folder above that may not be looked into.
        return False


def _read_table(path: Path) -> object:
    """Return the part of a TOML file that is ours; None where nothing is."""
    is_project = path.name == _PROJECT_FILE
    try:
        content = path.read_bytes()
        if is_project and b"lossacc" not in content:
            # Not ours: whether it is valid TOML is for others to say.
            return None
        document = tomllib.loads(content.decode())
    except OSError as error:
        raise InputError(f"settings file {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"settings file {path} is no valid TOML: {' '.join(str(error).split())[:200]}.") from error
    if not is_project:
        return document
    tool = document.get("tool")
    return tool.get("lossacc") if isinstance(tool, dict) else None


def _parse(path: Path, table: object) -> Settings:
    try:
        content = _known_keys(_table("tool.lossacc", table))
        return Settings(
            select=_codes("select", content["select"]) if "select" in content else None,
            ignore=_codes("ignore", content.get("ignore", [])),
            fail_on=_fail_on(content["fail_on"]) if "fail_on" in content else None,
            thresholds=_thresholds(_table("rules", content.get("rules", {}))),
            source=path,
        )
    except InputError as error:
        raise InputError(f"settings file {path}: {error}") from error


def _known_keys(content: dict[str, Any]) -> dict[str, Any]:
    unknown = next((key for key in content if key not in _KEYS), None)
    if unknown is None:
        return content
    hint = did_you_mean(unknown, _KEYS)
    if unknown == "tool":
        hint = f" Only in {_PROJECT_FILE} do they stand below [tool.lossacc]."
    elif unknown.upper() in ALL_CODES:
        hint = f" Thresholds stand below [rules.{unknown.upper()}]."
    raise InputError(f"there is no setting {quote(unknown)}; there is {', '.join(_KEYS)}.{hint}")


def _table(where: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} is {quote(value)}; wanted is a table.")
    return value


def _codes(where: str, value: object) -> tuple[str, ...]:
    """Check first letters of codes."""
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise InputError(f'{where} is {quote(value)}; wanted is a list of codes, such as ["FIT", "TRN001"].')
    return tuple(_known_code(where, part) for part in value)


def _known_code(where: str, part: str) -> str:
    code = part.strip().upper()
    if not code or not (code == "ALL" or any(known.startswith(code) for known in ALL_CODES)):
        raise InputError(f"{where}: there is no rule {part!r}. There is {', '.join(ALL_CODES)}.")
    return code


def _fail_on(value: object) -> FailOn:
    level = next((level for level in FAIL_ON if level == value), None)
    if level is None:
        raise InputError(f"fail_on is {quote(value)}; wanted is one of {', '.join(FAIL_ON)}.")
    return level


def _thresholds(tables: Mapping[str, object]) -> dict[str, dict[str, float]]:
    unknown = next((code for code in tables if code not in ALL_CODES), None)
    if unknown is not None:
        hint = did_you_mean(unknown, ALL_CODES)
        raise InputError(f"rules: there is no rule {quote(unknown)}; there is {', '.join(ALL_CODES)}.{hint}")
    wanted = {code: _table(f"rules.{code}", table) for code, table in tables.items()}
    configured = {rule.code: thresholds_of(rule) for rule in configure((*RULES, *COMPARISON_RULES), wanted)}
    return {code: {name: configured[code][name] for name in table} for code, table in wanted.items()}
