"""Replaying: how a quarantined input comes in after all, once, in whatever form. Pure.

    kept → begun, in one form → in             (`QuarantineReplayed`)
                              → refused        (`ReplayRefused`), and may be begun in another form

The event itself is decided by the journey of whoever it is from, perhaps in another cell; this is decided by the one
that keeps it. An edit may change whose the event is, and then no once-key would know the two forms for one: so the
form is written down before it is sent, and until its fate is written, too, no other form of it may be. With a form that
makes it somebody else's, who keeps it knows the input's own once-key from then on: its source may send it again at any
moment, and the template take it by then. Should the other not get it, operators still have it here.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

import msgspec

from actors.decisions.once import Seen
from protocol.commands import BeginReplay, Command, EndReplay, MarkReplayed
from protocol.commands.quarantine import form_of
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, Once, QuarantineReplayed, ReplayBegun, ReplayRefused

_decode_once = msgspec.msgpack.Decoder(Once).decode

REPLAYING_MAX = 64
"""Of one account or customer at a time."""


def decide(
    command: MarkReplayed | BeginReplay | EndReplay,
    actor: str,
    replayed: Collection[str],
    begun: Collection[str],
    now_ms: int,
    forms: Mapping[str, int] = MappingProxyType({}),
) -> AnyEvent:
    """The fact of one step; `replayed` and `begun` are what came in and what may be about to, `forms` in which form, as
    far as that is known. Raises `Refusal`."""
    quarantine = command.quarantine
    if quarantine in replayed:
        raise _not_now(f"{quarantine} was replayed already")
    match command:
        case MarkReplayed(stream=stream, seq=seq):
            return QuarantineReplayed(at_ms=now_ms, actor=actor, quarantine=quarantine, stream=stream, seq=seq)
        case BeginReplay(raw=raw):
            if quarantine in begun:
                raise _not_now(f"another replay of {quarantine} is under way; look at it again in a moment")
            if len(begun) >= REPLAYING_MAX:
                raise Refusal(Code.OVER_LIMIT, f"{REPLAYING_MAX} replays are under way; end one of them first")
            form = form_of(raw) if raw else None
            return ReplayBegun(at_ms=now_ms, actor=actor, quarantine=quarantine, raw=raw, form=form)
        case EndReplay(code=code, reason=reason, field=field, form=form):
            if quarantine not in begun:
                raise _not_now(f"no replay of {quarantine} is under way")
            if form is not None and forms.get(quarantine, form) != form:
                raise _not_now(f"another form of {quarantine} is under way by now; look at it again in a moment")
            return ReplayRefused(
                at_ms=now_ms, actor=actor, quarantine=quarantine, code=code, reason=reason, field=field
            )


def input_of(command: Command) -> Once | None:
    """The input's own once-key; None where it comes in as whose it is."""
    return _decode_once(command.input) if isinstance(command, BeginReplay) and command.input else None


def anothers(begun: ReplayBegun, input: Once, came: tuple[str, Seen] | None) -> ReplayBegun:
    """The beginning of a replay as somebody else's, with the input's once-key, of which `came` is known here. Raises
    `Refusal` where the input came in by itself meanwhile: its source sent it again."""
    if came is None:
        return msgspec.structs.replace(begun, input=input)
    _, known = came
    if known.digest != input.digest or known.is_elsewhere:
        return begun  # Another payload has the name; or it is known from a beginning before this one.
    raise _not_now(
        f"{begun.quarantine} came in meanwhile, as its source sent it again; replay it unchanged, and it is marked so"
    )


def _not_now(message: str) -> Refusal:
    return Refusal(Code.NOT_ALLOWED_NOW, message, field="quarantine")
