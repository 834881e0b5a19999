"""Classifying: a model outside says what contacts are about, in time or not at all.

    async with AgentClient(url, token) as client:
        await classify(client, model, inbox="queue:default")

It stands beside the server as an agent does: it is shown what is committed, asks the model, and its answer comes back
as a command. Nothing in the server waits for it. A model that is late or busy leaves the contact as it is; one that
answers is outweighed by what the channel, a rule or a person says; one that raises ends the program: its owner must
know.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from msgspec import Struct

from orchestrator.client.agent import AgentClient
from protocol.commands import TagInteraction
from protocol.errors import Refusal
from protocol.events import InteractionTagged, MessageReceived
from protocol.watched import ConversationUpdate

WITHIN_S = 5.0
"""How long one answer may take."""
AT_ONCE = 16
"""Questions under way; what is said on top of them is not asked about."""
SETTLED_MAX = 10_000
"""Contacts that are known to have a topic: forgotten all at once when there are more, and then perhaps asked about in
vain."""

_log = structlog.get_logger(__name__)


class Said(Struct, kw_only=True, frozen=True):
    """What a customer wrote."""

    conversation: str
    interaction: int
    channel: str
    subject: str
    text: str


class Labels(Struct, kw_only=True, frozen=True):
    """What it is about, by names of the policy's taxonomy; empty where the model has no word for it."""

    topic: str = ""
    intent: str = ""
    product_line: str = ""
    segment: str = ""
    evidence: str = ""
    """For people: which model, and how sure it is."""


Model = Callable[[Said], Awaitable[Labels | None]]
"""Answers what something is about, or None."""


async def classify(
    client: AgentClient, model: Model, *, inbox: str, within_s: float = WITHIN_S, at_once: int = AT_ONCE
) -> None:
    """Asks the model about every contact in the inbox that has no topic, until the client is closed."""
    client.watch(inbox=inbox, follow=True)
    asking: set[tuple[str, int]] = set()
    settled: set[tuple[str, int]] = set()
    async with asyncio.TaskGroup() as tasks:
        async for update in client.updates():
            for said in _open_questions(update, settled):
                contact = (said.conversation, said.interaction)
                if contact in asking or len(asking) >= at_once:
                    continue
                asking.add(contact)
                tasks.create_task(_ask(client, model, said, within_s, asking))


def _open_questions(update: ConversationUpdate, settled: set[tuple[str, int]]) -> list[Said]:
    """The newest words of each contact of the update that has no topic yet."""
    conversation = update.conversation
    if len(settled) > SETTLED_MAX:
        settled.clear()
    if update.view is not None:
        settled.update((conversation, i.number) for i in update.view.interactions if i.tags and i.tags.topic)
    newest: dict[int, Said] = {}
    for event in update.events:
        match event:
            case MessageReceived():
                newest[event.interaction] = Said(
                    conversation=conversation,
                    interaction=event.interaction,
                    channel=event.channel,
                    subject=event.subject,
                    text=event.text,
                )
            case InteractionTagged(topic=topic) if topic is not None:
                settled.add((conversation, event.interaction))
            case _:
                pass
    return [said for number, said in newest.items() if (conversation, number) not in settled]


async def _ask(client: AgentClient, model: Model, said: Said, within_s: float, asking: set[tuple[str, int]]) -> None:
    try:
        async with asyncio.timeout(within_s):
            labels = await model(said)
    except TimeoutError:
        _log.warning("classifier.late", conversation=said.conversation, within_s=within_s)
        return
    finally:
        asking.discard((said.conversation, said.interaction))
    if labels is None:
        return
    command = TagInteraction(
        interaction=said.interaction,
        topic=labels.topic,
        intent=labels.intent,
        product_line=labels.product_line,
        segment=labels.segment,
        classified=True,
        evidence=labels.evidence,
    )
    try:
        await client.command(command, conversation=said.conversation)
    except Refusal as exc:
        # Too late, outweighed, or not of the taxonomy: the contact stays as it is, and the model's owner reads why.
        _log.warning("classifier.refused", conversation=said.conversation, code=exc.code, message=exc.message)
