"""An account of the settings that is another channel's at the next start: what waited for the old line's program."""

import asyncio
from pathlib import Path
from typing import TypeVar

import pytest

from adapters.stores.errors import StoreFailed
from orchestrator.data_layout import LINES_FILE
from orchestrator.policy.first import policy_of
from orchestrator.policy.former_lines import KEPT_MAX, note_lines, noted_lines
from orchestrator.settings import GatewayAccount, Http, Limits, Placement, Settings
from protocol.events import AnyEvent, DeliveryDead, DeliveryFailed
from tests.orchestrator.attended import Attended, attended
from tests.orchestrator.test_inprocess import arrival

DEADLINE_S = 10.0
E = TypeVar("E", bound=AnyEvent)


def settings(folder: Path, placement: Placement, channel: str) -> Settings:
    """A server whose one line is of that channel."""
    return Settings(
        data=str(folder),
        placement=placement,
        cells=1,
        limits=Limits(dedicated_max=2, dedicated_warm=2, drain_s=1.0),
        http=Http(port=0),
        accounts=[GatewayAccount(name="chat", channel=channel)],
    )


async def said(there: Attended, conversation: str, kind: type[E]) -> E:
    """The first event of that kind that the agent's desk sees."""
    while True:
        for _, event in there.desk.events.get(conversation, []):
            if isinstance(event, kind):
                return event
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_what_waited_is_not_sent_by_another_lines_program(tmp_path: Path, placement: Placement) -> None:
    """It is a dead letter that says why, as under a new version of the policy."""
    async with attended(settings(tmp_path, placement, "chat"), tmp_path, within_s=DEADLINE_S) as there:
        await there.gateway.send(arrival("hello", identity="chat:1"))
        conversation = await there.desk.conversation_with("hello")
        await there.agent.reply(conversation, "one")
        assert (await said(there, conversation, DeliveryFailed)).untaken
    async with attended(settings(tmp_path, placement, "sms"), tmp_path, within_s=DEADLINE_S) as there:
        there.agent.watch(conversation=conversation)
        async with there.come_back("chat"):
            dead = await said(there, conversation, DeliveryDead)
    assert (dead.code, dead.reason) == (
        "account_moved",
        "account chat was a line of chat, and is one of sms by now",
    )


async def test_a_line_that_is_what_it_was_again_sends_what_waited(tmp_path: Path) -> None:
    """Nobody was connected meanwhile, and so nothing was given up."""
    for channel in ("chat", "sms"):
        async with attended(settings(tmp_path, "pooled", channel), tmp_path, within_s=DEADLINE_S) as there:
            if channel == "chat":
                await there.gateway.send(arrival("hello", identity="chat:1"))
                conversation = await there.desk.conversation_with("hello")
                await there.agent.reply(conversation, "one")
                await said(there, conversation, DeliveryFailed)
    async with attended(settings(tmp_path, "pooled", "chat"), tmp_path, within_s=DEADLINE_S) as there:
        async with there.come_back("chat") as back:
            delivery = await anext(back.deliveries())
        assert (delivery.channel, delivery.text) == ("chat", "one")
    assert noted_lines(tmp_path) == [{"chat": "chat"}, {"chat": "sms"}, {"chat": "chat"}]


def test_as_many_changes_are_noted_as_of_the_policy(tmp_path: Path) -> None:
    """A start that changes none notes none."""
    for number in (*range(KEPT_MAX + 3), KEPT_MAX + 2):
        note_lines(tmp_path, {"line": f"c{number}"})
    noted = [lines["line"] for lines in noted_lines(tmp_path)]
    assert noted == [f"c{number}" for number in range(3, KEPT_MAX + 3)]
    first = policy_of(Settings(accounts=[GatewayAccount(name="line", channel="c5")]), noted_lines(tmp_path))
    assert first.former == {"line": frozenset(noted) - {"c5"}}
    gone = policy_of(Settings(), noted_lines(tmp_path))
    assert gone.former == {"line": frozenset(noted)}


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'[{"line": "sms"}'])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    """A server that begins anew would send what waits by the wrong line."""
    (tmp_path / LINES_FILE).write_bytes(content)
    with pytest.raises(StoreFailed, match=r"lines\.json is damaged; put a backup"):
        note_lines(tmp_path, {"line": "sms"})
    assert (tmp_path / LINES_FILE).read_bytes() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """And what was noted before is whole."""
    note_lines(tmp_path, {"line": "sms"})
    (tmp_path / "lines.json.new").mkdir()
    with pytest.raises(StoreFailed, match="cannot be written"):
        note_lines(tmp_path, {"line": "chat"})
    assert noted_lines(tmp_path) == [{"line": "sms"}]
