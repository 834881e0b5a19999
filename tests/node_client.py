"""The stranger's client of `docs/protocol.md`, taken out of the page and run under Node."""

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path

from tests.live_server import until
from tests.peers import require_node_ws, require_peer

PAGE = Path(__file__).resolve().parent.parent / "docs" / "protocol.md"
LINES_MAX = 60
WAIT_S = 30.0


def source() -> str:
    """The page's one block of JavaScript."""
    (block,) = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def node() -> tuple[list[str], dict[str, str]]:
    """A command that runs JavaScript with WebSocket, and its environment."""
    path = require_peer("node")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    major = int(version.lstrip("v").partition(".")[0])
    if major >= 22:
        return [path], dict(os.environ)
    if major >= 20:
        return [path, "--experimental-websocket"], dict(os.environ)
    path, environ = require_node_ws()
    return [path], environ


class NodeClient:
    """One run of the client. `folder` keeps its source and positions from run to run."""

    def __init__(self, folder: Path, url: str, token: str, inbox: str) -> None:
        self.positions = folder / "positions.json"
        self._script = folder / "follow.cjs"
        self._script.write_text(source())
        self._arguments = [url, token, inbox, str(self.positions)]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Runs it."""
        command, environ = node()
        self._process = await asyncio.create_subprocess_exec(
            *command, str(self._script), *self._arguments, env=environ, stdout=asyncio.subprocess.PIPE
        )

    async def line(self) -> list[str]:
        """The next line it prints: conversation, seq, type, text."""
        assert self._process
        assert self._process.stdout
        async with asyncio.timeout(WAIT_S):
            line = await self._process.stdout.readline()
        assert line, "the client ended"
        return line.decode().rstrip("\n").split(" ", 3)

    async def saved(self, conversation: str, seq: int) -> None:
        """Returns when the file has the conversation's position: it is written just after the event is printed. Others'
        positions may be the same: a server is shared by tests."""
        await until(lambda: json.loads(self.positions.read_bytes())["positions"].get(conversation, 0) >= seq)

    async def kill(self) -> None:
        """Ends it without a word."""
        assert self._process
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    async def ended(self) -> int:
        """Waits for it to end by itself; returns its exit code."""
        assert self._process
        async with asyncio.timeout(WAIT_S):
            return await self._process.wait()
