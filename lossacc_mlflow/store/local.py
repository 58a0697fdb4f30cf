"""The local file of one training, while it goes on: what waits there is sent when the store is back."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from lossacc_mlflow.store.unsent import END_STATUSES, Entry, Header, RunEnd, Unreadable, append_entries, read_entries

__all__ = ["LocalFile"]


class LocalFile:
    """What one training could not write.

    Parameters
    ----------
    folder : Path
        Made when it is needed; where it cannot be written to, the temporary folder of the machine is taken.
    header : Header
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self._folders = (folder, Path(tempfile.gettempdir(), folder.name))
        self._header, self._offset, self._keeps_some = header, 0, False
        self._lock = Lock()
        self.path: Path | None = None

    @property
    def planned_path(self) -> Path:
        """Where the file is, or will be if it can."""
        return self.path or _unused(self._folders[0], self._header.run_id)

    def keep(self, entries: Sequence[Entry]) -> None:
        """Append entries.

        Raises
        ------
        OSError
            If there is no folder to write to.
        """
        if not entries:
            return
        with self._lock:
            if self.path is not None:
                append_entries(self.path, self._header, entries)
                return
            for folder in self._folders:
                path = _unused(folder, self._header.run_id)
                try:
                    append_entries(path, self._header, entries)
                except OSError:
                    if folder == self._folders[-1]:
                        raise
                else:
                    self.path = path
                    return

    def end(self, status: str) -> None:
        """Append how the run ended, and that it was now."""
        self.keep([RunEnd(status if status in END_STATUSES else "FINISHED", time.time_ns() // 1_000_000)])

    def send(self, write: Callable[[Entry], bool]) -> None:
        """Write every entry that was not written, and delete the file when none is left.

        Parameters
        ----------
        write : callable
            Takes an entry; returns False where it stays here, and raises StoreError where the others would, too.

        Raises
        ------
        StoreError
            What `write` raised; the file stays.
        """
        while self.path is not None:
            try:
                for end, entry in read_entries(self.path, self._offset):
                    is_sent = isinstance(entry, RunEnd) or (not isinstance(entry, Unreadable) and write(entry))
                    self._keeps_some |= not is_sent
                    self._offset = end
            except FileNotFoundError:  # somebody sent it from outside
                self.path, self._offset = None, 0
                return
            if self._is_read():
                return

    def _is_read(self) -> bool:
        """Whether the end is reached; then the file goes, unless something in it could not be written."""
        with self._lock:
            if self.path is None or self.path.stat().st_size > self._offset:
                return False
            if not self._keeps_some:
                self.path.unlink()
                with suppress(OSError):
                    self.path.parent.rmdir()  # if it is empty
                self.path, self._offset = None, 0
            return True


def _unused(folder: Path, run_id: str) -> Path:
    """A name that no file has: that of an earlier training of the run is not ours to send."""
    number, path = 1, folder / f"{run_id}.jsonl"
    while path.exists():
        number += 1
        path = folder / f"{run_id}-{number}.jsonl"
    return path
