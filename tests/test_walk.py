"""The walk, whole: real server on Ray, real SMTP client, a vendor's signed webhook, a gateway client, one customer.

Mail, SMS and chat of one person become one conversation; the agent who watches sees each event once and in order; the
replies leave as a mail and as an SMS; and `kill -9` of everything in between changes none of that.
"""

import asyncio
import sqlite3
from contextlib import closing
from email.utils import formatdate
from uuid import uuid4

import pytest

from orchestrator.client import GatewayClient
from tests.live_server import LiveServer, until
from tests.people import Customer, desk_at, outside

pytestmark = pytest.mark.slow

WALK_S = 90.0
"""Until a walk counts as stuck: a client comes back to a dead server for ever, and its test must not."""


async def test_three_channels_one_conversation_two_replies_and_a_kill(server: LiveServer) -> None:
    """The main job on real input, and again after everything was killed."""
    ann = Customer()
    webhook = f"{server.url}/webhooks/sms"
    async with (
        asyncio.timeout(WALK_S),
        outside(server) as (mailbox, twilio),
        desk_at(server) as desk,
        GatewayClient(server.url, server.gateway_token, accounts=["chat"]) as gateway,
    ):
        assert await gateway.send(ann.chat(f"chat {ann.name}")) == "committed"
        conversation = await desk.conversation_with(f"chat {ann.name}")
        await asyncio.to_thread(ann.send_mail, server, "by mail")
        assert (await twilio.text(webhook, sender=ann.phone, body="by sms")).status_code == 200
        await desk.heard(conversation, f"chat {ann.name}", "by mail", "by sms")

        await desk.agent.reply(conversation, "answer by mail", channel="email")
        await desk.agent.reply(conversation, "answer by sms", channel="sms")
        [letter] = await mailbox.wait(1)
        assert letter.recipients == [ann.mail]
        assert letter.text.strip() == "answer by mail"
        assert letter.references, "it stands in the customer's thread"
        assert (await twilio.message(0)).to == ann.phone

        before = desk.events[conversation][-1][0]
        await server.restart()
        assert (await twilio.text(webhook, sender=ann.phone, body="after the kill")).status_code == 200
        await desk.heard(conversation, f"chat {ann.name}", "by mail", "by sms", "after the kill")
        seqs = [seq for seq, _ in desk.events[conversation]]
        assert seqs == list(range(1, len(seqs) + 1)), "a gap-free prefix, each event once"
        assert seqs[-1] > before
        await _in_archive(server, conversation, 4)


async def test_a_repeat_of_a_webhook_and_a_mail_has_one_effect(server: LiveServer) -> None:
    """Vendors and mail servers retry for hours; the second time changes nothing and is accepted."""
    ann = Customer()
    webhook, sid = f"{server.url}/webhooks/sms", f"SM{uuid4().hex}"
    message_id, date = f"<{ann.name}@mail.example.org>", formatdate()
    async with (
        asyncio.timeout(WALK_S),
        outside(server) as (_, twilio),
        desk_at(server) as desk,
        GatewayClient(server.url, server.gateway_token) as gateway,
    ):
        await gateway.send(ann.chat(f"chat {ann.name}"))
        conversation = await desk.conversation_with(f"chat {ann.name}")
        for _ in range(2):
            assert (await twilio.text(webhook, sender=ann.phone, body="sms", sid=sid)).status_code == 200
            await asyncio.to_thread(ann.send_mail, server, "mail", message_id=message_id, date=date)
        assert (await twilio.text(webhook, sender=ann.phone, body="last")).status_code == 200
        await desk.heard(conversation, f"chat {ann.name}", "sms", "mail", "last")
    await _in_archive(server, conversation, 4)
    # What is in the archive is in the journal's order: what went before `last` is there.
    texts = _rows(server, "SELECT trim(text, char(10)) FROM message WHERE conversation = ? ORDER BY seq", conversation)
    assert texts == [(f"chat {ann.name}",), ("sms",), ("mail",), ("last",)]
    for mark in (ann.name, sid):
        of_ann = "instr(id, ?) OR instr(CAST(raw AS TEXT), ?)"
        assert _rows(server, f"SELECT id FROM quarantine WHERE {of_ann}", mark, mark) == []


@pytest.mark.parametrize("victim", ["cell-0", "journal", "archive", "gateway", "channels"])
async def test_any_actors_death_is_recovered(server: LiveServer, victim: str) -> None:
    """`kill -9` of one process: what was acked is there, the agent goes on, new events come in."""
    ann = Customer()
    async with (
        asyncio.timeout(WALK_S),
        desk_at(server) as desk,
        GatewayClient(server.url, server.gateway_token) as gateway,
    ):
        await gateway.send(ann.chat(f"before {ann.name}"))
        conversation = await desk.conversation_with(f"before {ann.name}")
        server.kill_process(victim)
        await gateway.send(ann.chat("after"))
        await desk.heard(conversation, f"before {ann.name}", "after")
        seqs = [seq for seq, _ in desk.events[conversation]]
        assert seqs == list(range(1, len(seqs) + 1))


async def _in_archive(server: LiveServer, conversation: str, messages: int) -> None:
    """The customer's words are rows that anyone with SQL can read."""
    query = "SELECT count(*) FROM message WHERE conversation = ? AND direction = 'inbound'"
    await until(lambda: _rows(server, query, conversation) == [(messages,)])


def _rows(server: LiveServer, query: str, *values: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{server.data / 'archive.sqlite'}?mode=ro", uri=True)) as db:
        return db.execute(query, values).fetchall()
