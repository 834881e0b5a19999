"""Verdicts: what becomes of an input when the journal has refused the step in which the input was decided.

Taken         an identity is another customer's: the input is sent on, or decided again as in conflict with that one;
              or the input came from quarantine, and another form of it is in: it is refused
Released      an identity was another customer's: decided again with the once-keys that come with it
Unmergeable   the merge would make a circle: the command is refused
Skipped       the verdict says nothing of this journey: decided again
"""

from typing import assert_never

import msgspec

from actors.cells.live import Envelope, Live
from actors.identity.linking import links
from protocol.commands import GiveCustomer
from protocol.errors import Code
from protocol.journal import Released, Skipped, Taken, Unmergeable, claim_of
from protocol.links import Ask, Input, Moved, Refused, Replay

Uncommitted = Taken | Released | Unmergeable | Skipped
"""The verdicts after which a step is void: the journey is loaded, and what was gated is decided again."""


def knowing(envelope: Envelope, verdict: Uncommitted, customer: str) -> Envelope | Moved | Refused:
    """What becomes of an input of `customer`: the input to be decided again, with what the verdict says, or an
    answer."""
    match verdict:
        case Taken():
            return _knowing_owner(envelope, verdict, customer)
        case Released():
            return _knowing_keys(envelope, verdict)
        case Unmergeable():
            message = envelope.message
            if isinstance(message, Ask) and isinstance(message.command, GiveCustomer):
                return Refused(message.ref, Code.NOT_ALLOWED_NOW, verdict.reason, "other")
            return envelope
        case Skipped():
            return envelope
        case _:
            assert_never(verdict)


def _knowing_owner(envelope: Envelope, taken: Taken, customer: str) -> Envelope | Moved | Refused:
    """Changes or answers an input that has the identity, and a command that links it; others stay as they are."""
    message = envelope.message
    match message:
        case Input(replay=Replay(quarantine=quarantine)) if taken.identity == claim_of(quarantine):
            text = f"{quarantine} came in already, in another form, as {taken.customer}'s: look at it again in a moment"
            return Refused(message.ref, Code.NOT_ALLOWED_NOW, text, "quarantine")
        case Input() if taken.identity in message.identities:
            if taken.customer == customer:
                return Envelope(envelope.line, msgspec.structs.replace(message, proposed=False))
            if message.proposed:
                return Moved(message.ref, taken.identity, taken.customer)
            known = msgspec.structs.replace(
                message,
                identities=[identity for identity in message.identities if identity != taken.identity],
                conflicts=[*message.conflicts, (taken.identity, taken.customer)],
            )
            return Envelope(envelope.line, known)
        case Ask() if links(message, taken.identity) and taken.customer != customer:
            text = f"{taken.identity} belongs to customer {taken.customer}"
            return Refused(message.ref, Code.IDENTITY_TAKEN, text, "identity")
        case _:
            return envelope


def _knowing_keys(envelope: Envelope, released: Released) -> Envelope:
    """Gives an input or command that wants the identity the once-keys of what came with it to its former customer."""
    message = envelope.message
    match message:
        case Input() if released.identity in message.identities:
            pass
        case Ask() if links(message, released.identity):
            pass
        case _:
            return envelope
    others = [known for known in message.released if known.identity != released.identity]
    return Envelope(envelope.line, msgspec.structs.replace(message, released=[*others, released]))


def following(envelope: Envelope, live: Live) -> Envelope | Moved:
    """What becomes of an input when others of its customer were answered `Moved`: it is answered so too where it is
    under the same proposal and shares an identity with them. Decided here it would overtake them, and keep that
    identity."""
    message = envelope.message
    if not (live.moved_to and isinstance(message, Input) and message.proposed):
        return envelope
    if not live.moved or live.moved.isdisjoint(message.identities):
        return envelope
    live.move(message.identities, live.moved_to)
    return Moved(message.ref, *live.moved_to)
