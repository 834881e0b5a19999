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


def quarantine(state: Journey, given: Quarantine, policy: Policy, now_ms: int) -> Decision:
    """Keeps what the gateway found to be no event: by the account, since nobody knows whose it is."""
    quarantined = InputQuarantined(
        at_ms=now_ms,
        actor=f"account:{given.account}",
        policy=policy.version,
        quarantine=f"{state.customer.removeprefix('account:')}.{state.head + 1}",
        account=given.account,
        source=given.source,
        id=given.id,
        code=given.code,
        field=given.field,
        reason=given.reason,
        raw=given.raw,
        received_ms=now_ms,
        rule="schema",
        product_line=_product_line(given.event, policy),
    )
    return Decision([(state.customer, quarantined)], status="quarantined")


def conflict(state: Journey, given: Input, policy: Policy, now_ms: int) -> Decision:
    """The same (account, source, id) came with another payload: kept in quarantine, once for each payload."""
    why = (int(Code.DIGEST_CONFLICT), "id", "the same (account, source, id) came before with another payload")
    return keep(state, given, why, "once", policy, now_ms)


def keep(state: Journey, given: Input, why: tuple[int, str, str], rule: str, policy: Policy, now_ms: int) -> Decision:
    """Puts an input in quarantine, once for each payload. Raises `Refusal` where it came from there."""
    code, field, reason = why
    if given.replay is not None:
        raise Refusal(Code(code), reason, ref=given.event.id, field=field)
    once = Once(payload_key(given), given.digest)
    if (came := before(state, given, once.key)) is not None:
        return repeat(*came, status="quarantined", why=why)
    quarantined = InputQuarantined(
        at_ms=now_ms,
        actor=f"account:{given.event.account}",
        policy=policy.version,
        quarantine=f"{state.customer}.{state.head + 1}",
        account=given.event.account,
        source=given.event.source,
        id=given.event.id,
        code=code,
        field=field,
        reason=reason,
        raw=given.raw or msgspec.json.encode(given.event),
        received_ms=now_ms,
        rule=rule,
        product_line=_product_line(given.event, policy),
    )
    return keyed(Decision([(state.customer, quarantined)], status="quarantined", why=why), once, state, policy)


def _product_line(event: InboundEvent | None, policy: Policy) -> str:
    """For the report: what is refused has no interaction that could say it."""
    found = tags_of(event, policy.taxonomy).product_line if event is not None else None
    return found.value if found is not None else ""
