"""`data/server.json`: where the running server is, and fresh tokens for whoever may read its owner's files.

Made when everything serves, removed at the end; its tokens live in the memory of this run's gateway, never in
`tokens.json`, so what a killed server leaves behind opens nothing.
"""

import os
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestrator.cluster.run_folder import Unwritable, write_private
from orchestrator.data_layout import SERVER_FILE
from orchestrator.settings import Settings
from orchestrator.tokens import Token, mint
from orchestrator.whole_files import write_whole

_TOKENS = "run-tokens.json"

SCOPES = {"operator": ["operator"], "agent": ["agent"], "gateway": ["gateway:*"]}
"""The tokens of a run, by their names in the file."""


class Running(Struct, kw_only=True, frozen=True):
    """What the file says; `operator`, `agent` and `gateway` are tokens."""

    url: str
    operator: str
    agent: str
    gateway: str
    pid: int
    run: str
    """The run folder, for whoever asks how the processes are when no gateway answers."""


class ServerFile:
    """The file of one run. Mints the run's tokens when made, and leaves what the gateway must know of them in `run`."""

    def __init__(self, data: Path, run: Path) -> None:
        self._path = data / SERVER_FILE
        self._path.unlink(missing_ok=True)
        self._run = run
        now_ms = time.time_ns() // 1_000_000
        minted = {name: mint(scopes, name, now_ms=now_ms) for name, scopes in SCOPES.items()}
        self._texts = {name: text for name, (text, _) in minted.items()}
        write_private(run / _TOKENS, msgspec.json.encode([token for _, token in minted.values()]))

    def write(self, settings: Settings, port: int) -> None:
        """The server serves on `port`."""
        running = Running(url=url_of(settings.http.host, port), pid=os.getpid(), run=str(self._run), **self._texts)
        try:
            write_whole(self._path, msgspec.json.encode(running))
        except OSError as exc:
            raise Unwritable(f"{self._path} cannot be written: {exc.strerror}") from exc

    def remove(self) -> None:
        """The server is gone."""
        self._path.unlink(missing_ok=True)


def run_tokens(run: Path) -> list[Token]:
    """What the gateway must know of the run's tokens; none where a server runs in one process and nobody minted any."""
    file = run / _TOKENS
    return msgspec.json.decode(file.read_bytes(), type=list[Token]) if file.exists() else []


def url_of(host: str, port: int) -> str:
    """Where a client of this machine reaches a server that listens on `host`."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - no bind
    return f"http://{reached}:{port}"
