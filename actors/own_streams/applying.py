"""Applying: how the policy gets its next version. Pure.

The stream of the customer `policy` holds applied versions and nothing else, so its next seq says the next version; the
journal tells every cell of a version once it is committed.
"""

from protocol.commands import ApplyPolicy
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, PolicyApplied
from protocol.ids import POLICY
from protocol.links import Ask

BUNDLE_BYTES_MAX = 512 * 1024
"""A bundle's texts together: a large desk's has some tens of thousands, and every cell is sent what is made of it."""


def version_at(seq: int) -> int:
    """The version that the event at `seq` of the policy's stream made; at 0 the settings' own."""
    return seq + 1


def seq_of(version: int) -> int:
    """Where the event that made a version stands; 0 for the settings' own."""
    return version - 1


def decide(customer: str, head: int, ask: Ask, now_ms: int) -> list[AnyEvent]:
    """The next version, or a `Refusal` where another one came before it."""
    command = ask.command
    assert isinstance(command, ApplyPolicy)
    if customer != POLICY:
        raise Refusal(Code.INVALID, "a policy is applied to the server, not to a customer", ref=ask.id, field="do")
    newest = version_at(head)
    if command.base and command.base != newest:
        # A server that was restored has versions no more on which somebody works.
        before = command.base < newest
        what = f"version {newest} was applied meanwhile" if before else f"the newest version is {newest}"
        text = f"{what}, and this was made on version {command.base}: look at it first"
        raise Refusal(Code.NOT_ALLOWED_NOW, text, ref=ask.id, field="base")
    applied = PolicyApplied(
        at_ms=now_ms,
        actor=ask.actor,
        version=newest + 1,
        files=command.files,
        body=command.body,
        note=command.note,
    )
    return [applied]
