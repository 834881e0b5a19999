"""Findings: where context gets lost, from the report that found it to the comparison after a change. Pure.

                 stands out          a version changes it       a whole window later
    line of a ────────────▶ open ───────────────────▶ changed ──────────────────────▶ compared
    report                    │ ▲                        │   │
                              │ └────────────────────────│───┘ still stands out, and is not better
                              └──────▶ dismissed ◀───────┘     with a reason

The stream of the pseudo-customer `report` holds them. There is one live finding a group; one that is compared or
dismissed is over, and the group may be found again, after a dismissal once the policy's time has passed.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Struct, field

from actors.rules.policy import Policy
from protocol.commands import DismissFinding, MakeReport, ResolveFinding
from protocol.errors import Code, Refusal, shown
from protocol.events import AnyEvent, FindingChanged, FindingCompared, FindingDismissed, FindingOpened, ReportMade
from protocol.ids import REPORT
from protocol.losses import Group, LossLine

LIVE_MAX = 200
"""Findings that are open or changed: with more of them, nobody looks at the list; a report opens no more then."""
OVER_MAX = 1000
"""Groups whose last finding is remembered."""
REASON_MAX = 1000
LINES_MAX = 1000
"""Lines of one report: a command has to fit a journal's unit."""


class Finding(Struct, frozen=True):
    """What a later decision needs of a live one."""

    id: str
    line: LossLine
    """Its figures before a change."""
    policy: int
    """In force when it was found, or opened again."""
    version: int = 0
    """The version that changed it; 0: it is open."""
    since_ms: int = 0


class Over(Struct, frozen=True):
    """A group's last finding."""

    id: str
    dismissed_at_ms: int = 0


class Findings(Struct, kw_only=True):
    """The state. `made_ms` is the newest time that the schedule wanted a report for."""

    made_ms: int = 0
    opened: int = 0
    live: dict[str, Finding] = field(default_factory=dict)
    over: dict[str, Over] = field(default_factory=dict)
    """By group, as `_key` writes it; the oldest first."""


def decide(
    state: Findings | None,
    customer: str,
    command: MakeReport | ResolveFinding | DismissFinding,
    actor: str,
    policy: Policy,
    now_ms: int,
) -> list[AnyEvent]:
    """What a command brings about. Raises `Refusal`."""
    if customer != REPORT:
        raise Refusal(Code.INVALID, "findings are the report's, not a customer's", field="do")
    known = state or Findings()
    match command:
        case MakeReport():
            return _make(known, command, actor, policy, now_ms)
        case ResolveFinding(finding=id, version=version, since_ms=since_ms, rules=rules):
            _check_version(_live(known, id), version)
            changed = FindingChanged(
                at_ms=now_ms, actor=actor, policy=policy.version, finding=id, version=version, since_ms=since_ms,
                rules=rules,
            )  # fmt: skip
            return [changed]
        case DismissFinding(finding=id, reason=reason):
            _live(known, id)
            if not reason.strip() or len(reason) > REASON_MAX:
                text = f"say why it needs no change, in at most {REASON_MAX} characters"
                raise Refusal(Code.INVALID, text, ref=id, field="reason")
            return [FindingDismissed(at_ms=now_ms, actor=actor, policy=policy.version, finding=id, reason=reason)]


def _live(state: Findings, id: str) -> Finding:
    finding = state.live.get(id)
    if finding is None:
        known = id.startswith(f"{REPORT}-") and id[len(REPORT) + 1 :].isdecimal()
        if known and 0 < int(id[len(REPORT) + 1 :]) <= state.opened:
            raise Refusal(Code.NOT_ALLOWED_NOW, f"{id} is over: it was compared or dismissed", ref=id, field="finding")
        raise Refusal(Code.NOT_FOUND, f"there is no finding {shown(id)}", ref=shown(id), field="finding")
    return finding


def _check_version(finding: Finding, version: int) -> None:
    if version <= finding.policy:
        text = f"{finding.id} was found under version {finding.policy}: only a later one can have changed it"
        raise Refusal(Code.NOT_ALLOWED_NOW, text, ref=finding.id, field="version")
    if version <= finding.version:
        text = f"{finding.id} was changed in version {finding.version} already"
        raise Refusal(Code.NOT_ALLOWED_NOW, text, ref=finding.id, field="version")


# A report


def _make(state: Findings, command: MakeReport, actor: str, policy: Policy, now_ms: int) -> list[AnyEvent]:
    if command.due_ms and command.due_ms <= state.made_ms:
        raise Refusal(Code.NOT_ALLOWED_NOW, "the report that was due then is made already", field="due_ms")
    if len(command.lines) > LINES_MAX:
        raise Refusal(Code.OVER_LIMIT, f"a report has at most {LINES_MAX} lines", field="lines")
    compared = [*_compared(state, command, actor, policy, now_ms)]
    opened = [*_opened(state, command, actor, policy, now_ms)]
    made = ReportMade(
        at_ms=now_ms, actor=actor, policy=policy.version, from_ms=command.from_ms, until_ms=command.until_ms,
        due_ms=command.due_ms, request=command.request, lines=sum(line.count > 0 for line in command.lines),
        opened=len(opened), compared=len(compared),
    )  # fmt: skip
    return [made, *compared, *opened]


def _compared(
    state: Findings, command: MakeReport, actor: str, policy: Policy, now_ms: int
) -> Iterator[FindingCompared]:
    """Those that have been changed for a whole window. Where nothing could be lost since, nothing is known yet."""
    lines = {line.group: line for line in command.lines}
    for finding in state.live.values():
        after = lines.get(finding.line.group)
        if not finding.version or finding.since_ms > command.from_ms or after is None or not after.occasions:
            continue
        outcome = compare(finding.line, after, policy.report.same_within_percent)
        yield FindingCompared(
            at_ms=now_ms, actor=actor, policy=policy.version, finding=finding.id, version=finding.version,
            from_ms=command.from_ms, until_ms=command.until_ms, count=after.count, occasions=after.occasions,
            before_count=finding.line.count, before_occasions=finding.line.occasions,
            outcome=outcome, examples=after.examples[: policy.report.examples],
            reopened=outcome != "better" and policy.report.is_finding(after),
        )  # fmt: skip


def _opened(state: Findings, command: MakeReport, actor: str, policy: Policy, now_ms: int) -> Iterator[FindingOpened]:
    rules = policy.report
    taken = {finding.line.group for finding in state.live.values()}
    room = min(rules.findings_max, LIVE_MAX - len(state.live))
    number = state.opened
    for line in sorted(command.lines, key=lambda line: -line.count):
        last = state.over.get(_key(line.group))
        left_alone = last is not None and now_ms < last.dismissed_at_ms + rules.dismissed_for_ms
        if line.group in taken or left_alone or not rules.is_finding(line):
            continue
        if number - state.opened >= room:
            return
        number += 1
        yield FindingOpened(
            at_ms=now_ms, actor=actor, policy=policy.version, finding=f"{REPORT}-{number}",
            line=msgspec.structs.replace(line, examples=line.examples[: rules.examples]),
            from_ms=command.from_ms, until_ms=command.until_ms, earlier=last.id if last else "",
        )  # fmt: skip


def compare(before: LossLine, after: LossLine, same_within_percent: float) -> str:
    """`better`, `same` or `worse`, by how often something was lost for each occasion; by the bare count where the
    occasions before are not known."""
    was, is_now = (
        (before.count / before.occasions, after.count / after.occasions)
        if before.occasions and after.occasions
        else (float(before.count), float(after.count))
    )
    if is_now < was * (1 - same_within_percent / 100):
        return "better"
    return "worse" if is_now > was * (1 + same_within_percent / 100) else "same"


# Evolving


def evolve(
    state: Findings, event: ReportMade | FindingOpened | FindingChanged | FindingCompared | FindingDismissed
) -> None:
    """Applies a fact, in place."""
    match event:
        case ReportMade(due_ms=due_ms):
            state.made_ms = max(state.made_ms, due_ms)
        case FindingOpened(finding=id, line=line):
            state.opened += 1
            state.live[id] = Finding(id, line, event.policy)
        case FindingChanged(finding=id, version=version, since_ms=since_ms):
            state.live[id] = msgspec.structs.replace(state.live[id], version=version, since_ms=since_ms)
        case FindingCompared(finding=id, reopened=True):
            line = msgspec.structs.replace(
                state.live[id].line, count=event.count, occasions=event.occasions, examples=event.examples
            )
            state.live[id] = Finding(id, line, event.policy)
        case FindingCompared(finding=id):
            _end(state, id, 0)
        case FindingDismissed(finding=id):
            _end(state, id, event.at_ms)


def _end(state: Findings, id: str, dismissed_at_ms: int) -> None:
    key = _key(state.live.pop(id).line.group)
    state.over.pop(key, None)
    state.over[key] = Over(id, dismissed_at_ms)
    if len(state.over) > OVER_MAX:
        del state.over[next(iter(state.over))]


def _key(group: Group) -> str:
    return "\n".join(group)
