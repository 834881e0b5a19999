"""The README and the operations page say what is so: commands exist, code runs, settings and metrics are all there."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import typer
from msgspec.structs import replace
from typer.core import TyperGroup
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from orchestrator import data_layout
from orchestrator import settings as s
from orchestrator.cli import app as cli
from orchestrator.client.wire import SUBPROTOCOL, pack, unpack
from orchestrator.settings.file import parse
from protocol.commands import Reply
from protocol.entities import ConversationSummary, ConversationView, Status
from protocol.events import MessageReceived
from protocol.frames import (
    AgentFrame,
    CommandFrame,
    Hello,
    Inbox,
    Limits,
    Result,
    Snapshot,
    ToAgent,
    Watch,
    Welcome,
)

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()

PREFIXES: dict[type, str] = {
    s.Settings: "",
    s.Http: "http.",
    s.Limits: "limits.",
    s.PolicySettings: "policy.",
    s.EmailAccount: "email.",
    s.TwilioAccount: "twilio.",
    s.GatewayAccount: "gateway.",
    s.WebhookEndpoint: "webhooks.",
}
"""How a table of the operations page names the fields of each part of the settings."""


def fenced(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shell_commands(text: str) -> list[str]:
    """The command lines of the shell blocks, without remarks."""
    lines = (line.partition("  #")[0].strip() for block in fenced(text, "sh") for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def parts(kind: object = s.Settings) -> Iterator[type]:
    """The structs the settings are made of."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        for hint in typing.get_type_hints(kind).values():
            yield from parts(hint)
    elif isinstance(kind, types.UnionType) or typing.get_args(kind):
        for argument in typing.get_args(kind):
            yield from parts(argument)


@pytest.mark.parametrize("command", shell_commands(README))
def test_each_command_of_the_readme_exists(command: str) -> None:
    """`make` knows the target, or `throughline` the command."""
    program, *arguments = command.split()
    if program == "make":
        assert arguments[0] in re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    else:
        assert program == ".venv/bin/throughline"
        commands = typer.main.get_command(cli.app)
        assert isinstance(commands, TyperGroup)
        assert arguments[0] in commands.commands


def test_make_help_names_every_target() -> None:
    """`make help` is whole, and make reads the file."""
    make = shutil.which("make")
    assert make is not None
    shown = subprocess.run([make, "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    assert all(f"make {target} " in shown for target in targets[1].split())


@pytest.mark.parametrize("text", [README, OPERATIONS], ids=["README", "operations"])
def test_links_lead_to_files(text: str) -> None:
    """No link inside the project is dead."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text)
    folder = ROOT if text is README else ROOT / "docs"
    assert not [link for link in links if not (folder / link).exists()]


async def test_the_readmes_client_answers_what_it_hears() -> None:
    """The SDK example runs as it stands, but for the address: it replies to what a customer wrote since its start, also
    where that begins the conversation, and to nothing older."""
    (code,) = fenced(README, "python")
    replied: asyncio.Future[tuple[str, Reply]] = asyncio.get_running_loop().create_future()

    async def desk(socket: ServerConnection) -> None:
        async for message in socket:
            for frame in unpack(message, AgentFrame):
                for answer in _answers(frame):
                    await socket.send(pack(answer))
                if isinstance(frame, CommandFrame) and isinstance(frame.command, Reply):
                    replied.set_result((frame.conversation, frame.command))

    async with serve(desk, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code.replace("http://127.0.0.1:7100", url),
            env={**os.environ, "THROUGHLINE_TOKEN": "tl_agent"},
            stdout=asyncio.subprocess.PIPE,
        )
        assert program.stdout is not None
        try:
            async with asyncio.timeout(30):
                assert await replied == ("cu2-1", Reply(text="Thank you, we are on it."))
                assert b"conversation='cu2-1'" in await program.stdout.readline()
        finally:
            program.kill()
            await program.communicate()


def _answers(frame: AgentFrame) -> list[ToAgent]:
    """What a server with an old message and a new one answers an agent."""
    match frame:
        case Hello():
            limits = Limits(message_bytes=1 << 20, frames=100, watches=10, credits=0)
            return [Welcome(session="s", name="ann", generation="g", heartbeat_ms=30_000, limits=limits)]
        case Watch(inbox="queue:default"):
            rows = [ConversationSummary(conversation=f"cu{n}-1", customer=f"cu{n}", head=1) for n in (1, 2)]
            return [Inbox(inbox="queue:default", entries=rows, full=True)]
        case Watch(conversation=conversation) if conversation:
            customer = conversation.removesuffix("-1")
            view = ConversationView(conversation=conversation, customer=customer, status=Status.OPEN)
            said = _HELLO if customer == "cu1" else replace(_HELLO, at_ms=_LATER_MS)
            return [Snapshot(conversation=conversation, generation="g", seq=1, view=view, recent=[said])]
        case CommandFrame():
            return [Result(id=frame.id, conversation=frame.conversation, seq=2)]
        case _:
            return []


_LATER_MS = 4_102_444_800_000
"""The year 2100: after the program's start, whenever that is."""
_HELLO = MessageReceived(
    at_ms=1,
    interaction=1,
    channel="sms",
    identity="tel:+447700900123",
    source="s",
    id="1",
    provider_ms=1,
    text="Hello?",
)


def test_every_setting_is_documented_with_its_default() -> None:
    """A row for each field of the settings, with the default where it has a plain one."""
    missing = []
    for part in dict.fromkeys(parts()):
        for field in msgspec.structs.fields(part):
            row = re.search(rf"^\| `{re.escape(PREFIXES[part] + field.name)}` \| (.*?) \|", OPERATIONS, re.MULTILINE)
            if row is None or not _shows_default(row[1], field.default):
                missing.append(PREFIXES[part] + field.name)
    assert not missing


def test_no_setting_is_documented_that_is_not_there() -> None:
    """Rows of settings that were removed are removed."""
    known = {PREFIXES[part] + field.name for part in parts() for field in msgspec.structs.fields(part)}
    rows = set(
        re.findall(r"^\| `((?:http|limits|policy|email|twilio|gateway|webhooks)\.[a-z_]+)`", OPERATIONS, re.MULTILINE)
    )
    assert rows <= known


def test_the_example_settings_are_accepted() -> None:
    """The operations page's file is read as it stands."""
    blocks = fenced(OPERATIONS, "toml")
    assert blocks
    for block in blocks:
        assert parse(tomllib.loads(block)).accounts


def test_the_operations_page_lists_what_lies_in_the_data_folder() -> None:
    """Each name that the code has for a file or folder there."""
    names = [name for key, name in vars(data_layout).items() if key.isupper()]
    listed = [cells.split("|")[1] for cells in re.findall(r"^\|.*$", OPERATIONS, re.MULTILINE)]
    assert names
    assert [name for name in names if not any(f"`{name}`" in cell or f"`{name}/`" in cell for cell in listed)] == []


def test_every_metric_is_documented() -> None:
    """Each name that the sources give a metric stands in the operations page."""
    sources = [*(ROOT / "orchestrator").rglob("*.py"), *(ROOT / "actors").rglob("*.py")]
    names = {name for file in sources for name in re.findall(r'"(throughline_[a-z_]+)"', file.read_text())}
    assert names
    assert not [name for name in sorted(names) if name not in OPERATIONS]


def _shows_default(cell: str, default: object) -> bool:
    if default is msgspec.NODEFAULT or isinstance(default, (msgspec.Struct, list, tuple, dict)):
        return True
    written = msgspec.json.encode(default).decode()
    return f"`{written.removesuffix('.0')}`" in cell
