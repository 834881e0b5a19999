"""The run folder: what one run of the server needs on disk and nobody after it.

<tmp>/tl-<mark>-<random>/    mode 700, gone at the end
    settings.json            the settings, with their secrets; what each process of the server reads
    *.sock                   the pipes' sockets
    figures.json             what each process counts, see `orchestrator.cluster.figures`
    ray-token, r/            Ray's token and its session
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.settings import Settings
from protocol.errors import ThroughlineError

_FOLDER_BYTES_MAX = 36
"""A Unix socket's path has at most 104 bytes on macOS, 108 on Linux, and Ray's longest one below a run folder
(`/r/session_<date>_<time>_<microseconds>_<pid>/sockets/plasma_store`) takes 66 of them with a pid of seven digits."""


class Unwritable(ThroughlineError):
    """What a run needs on disk cannot be written, mostly for want of room; the message says where."""


@contextlib.contextmanager
def run_folder(mark: str) -> Iterator[Path]:
    """A fresh run folder, without whatever a former life of the same data folder left behind. Raises `Unwritable`."""
    try:
        parent = _short_folder()
        for left in parent.glob(f"{run_prefix(mark)}*"):
            shutil.rmtree(left, ignore_errors=True)
        path = Path(tempfile.mkdtemp(prefix=run_prefix(mark), dir=parent))
    except OSError as exc:
        mend = "make room there, or name another folder with TMPDIR"
        raise Unwritable(f"no folder for temporary files can be written to: {exc.strerror}; {mend}") from exc
    handle = os.open(path, os.O_RDONLY)
    try:
        # systemd-tmpfiles ages /tmp, but leaves alone what someone holds a lock on.
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield path
    finally:
        os.close(handle)
        shutil.rmtree(path, ignore_errors=True)


def run_prefix(mark: str) -> str:
    """How the names of this mark's run folders begin."""
    return f"tl-{mark[:10]}-"


def _short_folder() -> Path:
    """The folder for temporary files; /tmp where that one's path is too long, as macOS's is."""
    usual = Path(tempfile.gettempdir()).resolve()
    longest = len(str(usual)) + 1 + len(run_prefix("0" * 32)) + 8
    return usual if longest <= _FOLDER_BYTES_MAX else Path("/tmp").resolve()  # noqa: S108 - mkdtemp follows


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner may read, and never a moment otherwise. Raises `Unwritable`."""
    try:
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
    except OSError as exc:
        raise Unwritable(f"{path} cannot be written: {exc.strerror}") from exc


def write_settings(run: Path, settings: Settings) -> None:
    """Leaves the settings for the processes of this run: in a file, since they have secrets, and arguments are seen."""
    write_private(run / _SETTINGS, msgspec.json.encode(settings))


def read_settings(run: Path) -> Settings:
    """The settings of this run."""
    return msgspec.json.decode((run / _SETTINGS).read_bytes(), type=Settings)


Figures = dict[str, dict[str, Any]]
"""What each process's part counts, by the process's name (see `orchestrator.cluster.part.Part.status`)."""


def write_figures(run: Path, figures: Figures) -> None:
    """Leaves them for `read_figures`; renamed into place, so that a reader sees one round of them or the next."""
    fresh = run / f"{_FIGURES}.new"
    fresh.write_bytes(msgspec.json.encode(figures))
    fresh.rename(run / _FIGURES)


def read_figures(run: Path) -> Figures:
    """The newest; none before the first round, or where nobody gathers any."""
    try:
        return msgspec.json.decode((run / _FIGURES).read_bytes(), type=Figures)
    except FileNotFoundError:
        return {}


_SETTINGS = "settings.json"
_FIGURES = "figures.json"
