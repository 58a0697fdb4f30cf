"""Reaching a tracking store, and saying clearly why it cannot be reached."""

import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

import mlflow
import sqlalchemy
from alembic.script import ScriptDirectory
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.rest_utils import http_request
from mlflow.utils.uri import is_local_uri
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from lossacc_mlflow.errors import LossaccError, StoreError, UnknownRunError
from lossacc_mlflow.wording import without_password

__all__ = ["Connection", "check_server", "connect", "each", "open_engine", "portable_uri", "translated"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_THREADS = 4
_PROBE_SECONDS = 5.0
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_REFUSED = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})


@dataclass(frozen=True, slots=True)
class Connection:
    """A tracking store that answered.

    Parameters
    ----------
    uri : str
        As given, with any password: `shown` is for messages.
    kind : {"sql", "http", "other"}
        How metric histories are read from it.
    client : MlflowClient
    """

    uri: str
    kind: Literal["sql", "http", "other"]
    client: MlflowClient

    @property
    def shown(self) -> str:
        """The URI without its password."""
        return without_password(self.uri)


def connect(tracking_uri: str | None = None) -> Connection:
    """Reach a tracking store; nothing is created, upgraded or waited for.

    MLflow itself would create the database of a mistyped path, migrate an old one, and retry for minutes where
    nobody answers: so each is looked at first.

    Parameters
    ----------
    tracking_uri : str, optional
        MLflow's own by default.

    Returns
    -------
    Connection

    Raises
    ------
    StoreError
        If there is no such store, or it does not answer within a few seconds.
    """
    uri = str(tracking_uri or mlflow.get_tracking_uri())
    scheme = uri.partition(":")[0].partition("+")[0].lower()
    with translated(uri, "the tracking store cannot be opened"):
        if scheme in DATABASE_ENGINES:
            _check_database(uri)
            return Connection(uri, "sql", MlflowClient(uri))
        if scheme in {"http", "https"}:
            _check_server(uri)
            return Connection(uri, "http", MlflowClient(uri))
        if is_local_uri(uri):
            _check_folder(uri)
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
        return Connection(uri, "other", client)


def check_server(tracking_uri: str | None = None) -> None:
    """Ask a tracking server whether it is there; any other store is left alone, since MLflow makes what is missing.

    Parameters
    ----------
    tracking_uri : str, optional
        MLflow's own by default.

    Raises
    ------
    StoreError
        If the server does not answer within a few seconds.
    """
    uri = str(tracking_uri or mlflow.get_tracking_uri())
    if urlsplit(uri).scheme.lower() in {"http", "https"}:
        _check_server(uri)


def portable_uri(uri: str) -> str:
    """Return a URI without user and password, and with the whole path of a database: one to be kept in a file.

    Examples
    --------
    >>> portable_uri("https://me:secret@mlflow.example/team")
    'https://mlflow.example/team'
    """
    try:
        if uri.startswith("sqlite"):
            url = make_url(uri)
            is_file = url.database and url.database != ":memory:" and not url.database.startswith("file:")
            return str(url.set(database=str(Path(url.database).absolute()))) if is_file and url.database else uri
        parts = urlsplit(uri)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    except (ValueError, SQLAlchemyError):
        return uri.partition(":")[0]


def each(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Map a function that waits for the network over items, a few at a time."""
    items = list(items)
    if len(items) < 2:
        return [function(item) for item in items]
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(function, items))
    except RuntimeError:  # at the exit of the interpreter no thread can be started any more
        return [function(item) for item in items]


@contextmanager
def open_engine(connection: Connection) -> Iterator[Engine]:
    """Open the database of an SQL store, configured as MLflow does it, and close it again."""
    from mlflow.store.db.utils import create_sqlalchemy_engine  # noqa: PLC0415  (heavy, and of SQL stores only)

    engine = create_sqlalchemy_engine(connection.uri)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def translated(uri: str, wanted: str, *, unknown: str = "") -> Iterator[None]:
    """Turn whatever MLflow, the database or the network raises into one clear line.

    Parameters
    ----------
    uri : str
        Of the store, for the message.
    wanted : str
        What cannot be done, as in ``run 'x' cannot be read``.
    unknown : str, optional
        What to say where the store has no such thing.

    Raises
    ------
    UnknownRunError
        If the store has no such thing and `unknown` is given.
    StoreError
        For everything else.
    """
    try:
        yield
    except LossaccError:
        raise
    except MlflowException as error:
        shown = without_password(uri)
        if unknown and error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise UnknownRunError(f"{unknown} in {shown}; --tracking-uri names another store.") from error
        raise StoreError(f"{wanted} ({shown}): {_reason(error)}") from error
    except (SQLAlchemyError, OSError, ImportError, ValueError, NotImplementedError) as error:
        raise StoreError(f"{wanted} ({without_password(uri)}): {_reason(error)}") from error


def _check_server(uri: str) -> None:
    """Ask once, without MLflow's minutes of retries; any answer but a gateway's error will do."""
    try:
        host_creds = get_default_host_creds(uri.rstrip("/"))
        answer = http_request(
            host_creds, "/health", "GET", max_retries=0, timeout=_PROBE_SECONDS, raise_on_status=False
        )
    except (MlflowException, OSError, ValueError) as error:
        raise StoreError(
            f"no tracking server answers at {without_password(uri)} ({_cause(error)}). "
            "Start it with 'mlflow server', or name another store with --tracking-uri or MLFLOW_TRACKING_URI."
        ) from error
    if answer.status_code in {502, 503, 504}:
        raise StoreError(
            f"the tracking server at {without_password(uri)} answers {answer.status_code} {answer.reason}: "
            "it is not ready, or a gateway before it does not find it. Try again later."
        )


def _check_folder(uri: str) -> None:
    path = Path(local_file_uri_to_path(uri))
    if not path.is_dir():
        raise StoreError(
            f"tracking store {uri!r} cannot be read: there is no folder {str(path.absolute())!r}. Name the store with "
            "--tracking-uri or MLFLOW_TRACKING_URI, as in sqlite:///mlflow.db."
        )


def _check_database(uri: str) -> None:
    url = make_url(uri)
    if url.get_backend_name() == "sqlite":
        _check_sqlite_file(url)
    elif url.host and not url.host.startswith("/"):
        _check_host(url.host.rpartition("@")[2], url.port or _PORTS[url.get_backend_name()])
    _check_schema(uri)


def _check_host(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), _PROBE_SECONDS).close()
    except OSError as error:
        raise StoreError(
            f"no database answers at {host}:{port} ({_cause(error)}). Start it, or name another store with "
            "--tracking-uri or MLFLOW_TRACKING_URI."
        ) from error


def _check_sqlite_file(url: URL) -> None:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return
    path = Path(url.database)
    if not path.is_file():
        raise StoreError(
            f"tracking store '{url}' cannot be read: there is no file {str(path.absolute())!r}. Change to the folder "
            "where the runs were logged, or name the store with --tracking-uri or MLFLOW_TRACKING_URI."
        )


def _check_schema(uri: str) -> None:
    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        if not sqlalchemy.inspect(connection).has_table("alembic_version"):
            raise StoreError(f"{without_password(uri)} is a database, but not one of MLflow's: it has no runs.")
        found = connection.scalar(sqlalchemy.text("SELECT version_num FROM alembic_version"))
    expected = _schema_version()
    if found != expected:
        raise StoreError(
            f"the database {without_password(uri)} has schema version {found}, MLflow {mlflow.__version__} needs "
            f"{expected}. Use the MLflow that wrote it, or, after a backup, 'mlflow db upgrade'."
        )


@cache
def _schema_version() -> str | None:
    """Schema version that the installed MLflow writes."""
    package = find_spec("mlflow")
    folder = Path((package and package.origin) or "").parent / "store" / "db_migrations"
    return ScriptDirectory(str(folder)).get_current_head()


def _reason(error: Exception) -> str:
    text = shorten(str(error), 300, placeholder=" ...") or type(error).__name__
    if isinstance(error, MlflowException) and (error.error_code in _REFUSED or "error code 401" in text):
        return f"permission refused; check MLFLOW_TRACKING_USERNAME, _PASSWORD or _TOKEN. The store says: {text}"
    return text


def _cause(error: BaseException) -> str:
    """Name what is at the bottom of a chain of wrapped network errors."""
    text = str(error).lower()
    for sign, meaning in (
        ("refused", "connection refused"),
        ("timed out", f"no answer within {_PROBE_SECONDS:.0f} s"),
        ("timeout", f"no answer within {_PROBE_SECONDS:.0f} s"),
        ("resolve", "the host name is unknown"),
        ("name or service", "the host name is unknown"),
        ("certificate", "its certificate is not trusted"),
        ("aborted", "the connection broke off"),
    ):
        if sign in text:
            return meaning
    return shorten(str(error), 200, placeholder=" ...")
