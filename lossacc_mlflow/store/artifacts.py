"""Files of a run: listed, read, and written only where they differ."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from textwrap import shorten
from uuid import NAMESPACE_URL, uuid5

from mlflow.entities import Run
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri
from PIL import Image

from lossacc_mlflow.errors import InputError, LossaccError, StoreError
from lossacc_mlflow.store.connection import Connection

__all__ = ["FOLDER", "MANIFEST", "RunArtifacts", "grid_images", "open_artifacts"]

FOLDER = "lossacc"
"""Where our artifacts lie."""

MANIFEST = f"{FOLDER}/manifest.json"
"""Digest of every file that diagnoses wrote, so that comparing downloads none of them."""

_IMAGES = "images"
_IMAGE_KEY = re.compile(r"[A-Za-z0-9_. -]+")
_IMAGE_IDS = uuid5(NAMESPACE_URL, "lossacc_mlflow/images")
_PREVIEW_PIXELS = 800


@dataclass(frozen=True, slots=True)
class RunArtifacts:
    """The artifact folder of one run.

    Parameters
    ----------
    run_id : str
    location : str
        For messages.
    repository : mlflow.store.artifact.artifact_repo.ArtifactRepository
    """

    run_id: str
    location: str
    repository: ArtifactRepository

    def sizes(self, folder: str = FOLDER) -> dict[str, int | None]:
        """List a folder and what is below it.

        Parameters
        ----------
        folder : str

        Returns
        -------
        dict of str to int or None
            Path to bytes, None where the store does not tell; empty if there is no such folder.

        Raises
        ------
        StoreError
            If the artifact store cannot be reached.
        """
        with self._translated(f"listing {folder}/"):
            found: dict[str, int | None] = {}
            for entry in self.repository.list_artifacts(folder):
                found |= self.sizes(entry.path) if entry.is_dir else {entry.path: entry.file_size}
            return found

    def read(self, path: str) -> bytes:
        """Return the content of one file.

        Raises
        ------
        StoreError
            If it is not there, or the artifact store cannot be reached.
        """
        with self._translated(f"reading {path}"), TemporaryDirectory() as folder:
            copy = Path(folder, "artifact")
            # The public call lists the folder, starts a thread pool and shows a progress bar, all for one file.
            self.repository._download_file(path, str(copy))  # noqa: SLF001  (every artifact store implements it)
            return copy.read_bytes()

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files, over those of the same path.

        Parameters
        ----------
        files : mapping of str to bytes

        Raises
        ------
        InputError
            If a path leads out of the run's folder.
        StoreError
            If the artifact store refuses.
        """
        with TemporaryDirectory() as folder:
            for path, body in files.items():
                parts = PurePosixPath(path)
                if parts.is_absolute() or ".." in parts.parts or not parts.name:
                    raise InputError(f"{path!r} is no path below the artifacts of a run")
                copy = Path(folder, parts.name)
                copy.write_bytes(body)
                parent = parts.parent.as_posix()
                with self._translated(f"writing {path}"):
                    self.repository.log_artifact(str(copy), None if parent == "." else parent)

    def delete(self, path: str) -> None:
        """Delete a file, or a folder and all that is in it.

        Raises
        ------
        StoreError
            If the artifact store cannot delete.
        """
        with self._translated(f"deleting {path}"):
            self.repository.delete_artifacts(path)
            parent = PurePosixPath(path).parent.as_posix()
            left = self.repository.list_artifacts(None if parent == "." else parent)
        if any(entry.path == path for entry in left):  # some stores inherit a deletion that does nothing
            raise StoreError(
                f"the artifact store of run {self.run_id!r} does not delete {path!r}: delete it in {self.location}."
            )

    def replace_own(self, files: Mapping[str, bytes]) -> bool:
        """Make these the files that diagnoses have written, and no others.

        Parameters
        ----------
        files : mapping of str to bytes

        Returns
        -------
        bool
            Whether anything had to be written.

        Raises
        ------
        StoreError
            If the artifact store cannot be reached, or refuses.
        """
        present = self.sizes()
        known = self._manifest() if MANIFEST in present else {}
        if any(path.startswith(f"{_IMAGES}/") for path in (*files, *known)):
            present |= self.sizes(_IMAGES)
        wanted = {path: sha256(body).hexdigest() for path, body in files.items()}
        changed = {
            path: body
            for path, body in files.items()
            if known.get(path) != wanted[path] or present.get(path, -1) not in {len(body), None}
        }
        stale = {path for path in known if path not in wanted and path in present}
        self.write(changed)
        kept = {path: known[path] for path in stale if not self._is_deleted(path)}
        if changed or (wanted | kept) != known:
            self.write({MANIFEST: (json.dumps({"files": wanted | kept}, indent=1, sort_keys=True) + "\n").encode()})
            return True
        return False

    def delete_own(self) -> tuple[bool, bool]:
        """Delete our folder and our images.

        Returns
        -------
        found : bool
            Whether there was anything to delete.
        images_left : bool
            Whether images of others remain.

        Raises
        ------
        StoreError
            If the artifact store cannot be reached, or cannot delete.
        """
        images = self.sizes(_IMAGES)
        ours = [path for path in images if _is_own_image(path)]
        images_left = len(ours) < len(images)
        targets = ours if images_left else [_IMAGES] if ours else []
        targets += [FOLDER] if self.sizes() else []
        for path in targets:
            self.delete(path)
        return bool(targets), images_left

    def _manifest(self) -> dict[str, str]:
        """Digests by path; none where the file was damaged: then everything is written anew."""
        try:
            files = json.loads(self.read(MANIFEST))["files"]
            return {str(path): str(digest) for path, digest in files.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _is_deleted(self, path: str) -> bool:
        with suppress(StoreError):
            self.delete(path)
            return True
        return False

    @contextmanager
    def _translated(self, wanted: str) -> Iterator[None]:
        try:
            yield
        except LossaccError:
            raise
        except Exception as error:  # each artifact store has exceptions of its own
            text = shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")
            raise StoreError(f"artifacts of run {self.run_id!r} in {self.location}: {wanted} failed. {text}") from error


def open_artifacts(connection: Connection, run: Run) -> RunArtifacts:
    """Open the artifact folder of a run.

    Parameters
    ----------
    connection : Connection
    run : mlflow.entities.Run

    Returns
    -------
    RunArtifacts

    Raises
    ------
    StoreError
        If there is no way to it from here.
    """
    location = add_databricks_profile_info_to_artifact_uri(run.info.artifact_uri, connection.uri)
    try:
        repository = get_artifact_repository(location, tracking_uri=connection.uri)
    except Exception as error:
        text = shorten(str(error), 300, placeholder=" ...")
        raise StoreError(
            f"artifacts of run {run.info.run_id!r} are in {location}, which cannot be reached through "
            f"{connection.shown}: {text}"
        ) from error
    return RunArtifacts(run.info.run_id, location, repository)


def grid_images(images: Mapping[str, bytes], timestamp: int) -> dict[str, bytes]:
    """Name pictures as MLflow's image grid expects them, each with its preview, always the same for the same key.

    Parameters
    ----------
    images : mapping of str to bytes
        PNG by key.
    timestamp : int
        Milliseconds; for the name only.

    Returns
    -------
    dict of str to bytes
        By path.

    Raises
    ------
    InputError
        If a key has characters that the grid does not take.
    """
    files: dict[str, bytes] = {}
    for key, body in images.items():
        if not _IMAGE_KEY.fullmatch(key):
            raise InputError(f"image key {key!r}: only letters, digits, '_', '.', '-' and spaces are possible")
        name = f"{_IMAGES}/{key}+step+0+timestamp+{timestamp}+{uuid5(_IMAGE_IDS, key)}"
        files |= {f"{name}.png": body, f"{name}+compressed.webp": _preview(body)}
    return files


def _preview(png: bytes) -> bytes:
    """What the grid shows first; larger than MLflow's 256 pixels, at which the text of a chart cannot be read."""
    sink = BytesIO()
    with Image.open(BytesIO(png)) as picture:
        preview = picture.convert("RGB")
    preview.thumbnail((_PREVIEW_PIXELS, _PREVIEW_PIXELS))
    preview.save(sink, "WEBP", method=2)  # two fifths of the time of the default, and 3 % larger
    return sink.getvalue()


def _is_own_image(path: str) -> bool:
    parts = PurePosixPath(path).stem.removesuffix("+compressed").split("+")
    return len(parts) == 6 and parts[-1] == str(uuid5(_IMAGE_IDS, parts[0]))
