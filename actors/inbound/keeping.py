"""Keeping: what may not come in is put in quarantine, whole, once for each payload. Pure."""

import msgspec

from actors.decisions.decision import Decision, before, keyed, payload_key, repeat
from actors.rules.policy import Policy
from actors.state.journey import Journey
from actors.tags.tagging import tags_of
from protocol.errors import Code, Refusal
from protocol.events import InputQuarantined, Once
from protocol.inbound import InboundEvent
from protocol.links import Input, Quarantine


def quarantine(state: Journey, refused: Quarantine, policy: Policy, now_ms: int) -> Decision:
    """Keeps what the gateway found to be no event: by the account, since nobody knows whose it is."""
    quarantined = InputQuarantined(
        at_ms=now_ms,
        actor=f"account:{refused.account}",
        policy=policy.version,
        quarantine=f"{state.customer.removeprefix('account:')}.{state.head + 1}",
        account=refused.account,
        source=refused.source,
        id=refused.id,
        code=refused.code,
        field=refused.field,
        reason=refused.reason,
        raw=refused.raw,
        received_ms=now_ms,
        rule="schema",
        product_line=_product_line(refused.event, policy),
    )
    return Decision([(state.customer, quarantined)], status="quarantined")


def conflict(state: Journey, input: Input, policy: Policy, now_ms: int) -> Decision:
    """The same (account, source, id) came with another payload: kept in quarantine, once for each payload."""
    why = (int(Code.DIGEST_CONFLICT), "id", "the same (account, source, id) came before with another payload")
    return keep(state, input, why, "once", policy, now_ms)


def keep(state: Journey, input: Input, why: tuple[int, str, str], rule: str, policy: Policy, now_ms: int) -> Decision:
    """Puts an input in quarantine, once for each payload. Raises `Refusal` where it came from there."""
    code, field, reason = why
    if input.replay is not None:
        raise Refusal(Code(code), reason, ref=input.event.id, field=field)
    once = Once(payload_key(input), input.digest)
    if (came := before(state, input, once.key)) is not None:
        return repeat(*came, status="quarantined", why=why)
    quarantined = InputQuarantined(
        at_ms=now_ms,
        actor=f"account:{input.event.account}",
        policy=policy.version,
        quarantine=f"{state.customer}.{state.head + 1}",
        account=input.event.account,
        source=input.event.source,
        id=input.event.id,
        code=code,
        field=field,
        reason=reason,
        raw=input.raw or msgspec.json.encode(input.event),
        received_ms=now_ms,
        rule=rule,
        product_line=_product_line(input.event, policy),
    )
    return keyed(Decision([(state.customer, quarantined)], status="quarantined", why=why), once, state, policy)


def _product_line(event: InboundEvent | None, policy: Policy) -> str:
    """For the report: what is refused has no interaction that could say it."""
    found = tags_of(event, policy.taxonomy).product_line if event is not None else None
    return found.value if found is not None else ""
