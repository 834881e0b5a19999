"""The policy's desk: where a bundle is checked, compared, applied and looked up, whoever asks.

check → apply: a command to the customer `policy` → committed → the journal tells the cells → they tell us → answered
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from actors.own_streams.applying import BUNDLE_BYTES_MAX, seq_of, version_at
from actors.rules.policies import packed
from actors.rules.policy import Policy
from orchestrator.bundles.differences import Difference, differences
from orchestrator.bundles.making import Made, SetUp, channels_of, make
from orchestrator.bundles.reading import Wrong
from orchestrator.policy.first import channel_of
from orchestrator.policy.in_force import InForce
from protocol.archive import StoredEvent, StoredVersion
from protocol.commands import AnyCommand, ApplyPolicy
from protocol.errors import Code, Refusal
from protocol.events import PolicyApplied
from protocol.ids import POLICY
from protocol.links import Answered

DECIDING_WITHIN_S = 5.0
"""How long an answer waits for cells that are reached and have not heard yet: it takes milliseconds."""
ARCHIVED_WITHIN_S = 5.0
"""How long a version that is in force, and not in the archive yet, is waited for."""
WRONG_SHOWN = 20
NOTE_MAX = 1000

Row = TypeVar("Row")
_event = msgspec.json.Decoder(PolicyApplied).decode


class Commands(Protocol):
    """The way in for commands."""

    async def command(
        self, *, actor: str, id: str, command: AnyCommand, conversation: str = "", customer: str = ""
    ) -> Answered:
        """Raises `Refusal`."""
        ...


class Deciders(Protocol):
    """The cells, as they say by which version they decide."""

    @property
    def policy(self) -> int:
        """The newest that one of them decides by."""
        ...

    async def deciding_by(self, version: int, *, within_s: float) -> list[int]:
        """Waits for all that can be reached; returns those that were late."""
        ...


class Versions(Protocol):
    """What the archive has of the policy."""

    async def events_of_stream(self, stream: str, after_seq: int, limit: int, /) -> list[StoredEvent]:
        """In order of `seq`."""
        ...

    async def policy_versions(self, after_seq: int, limit: int, /) -> list[StoredVersion]:
        """In order of `seq`, without what is in them."""
        ...


class Applied(Struct, kw_only=True, frozen=True):
    """A version is in force. `late` are cells that have not said yet that they decide by it: they are told first of
    all as they come back. `live_conversations`: whether those that are open `follow` it, or stay `pinned`. `watched`:
    the folder that the server follows, whose rules are put in force again when it is saved to."""

    version: int
    status: str
    position: int
    late: list[int]
    live_conversations: str = "follow"
    watched: str = ""


class Version(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One version: who applied it, when and why, and the bundle's texts."""

    version: int
    at_ms: int = 0
    actor: str = ""
    note: str = ""
    files: dict[str, str] = {}


class PolicyDesk:
    """One a gateway. `given` is what the settings give every bundle; `watched` the folder they name, if they do."""

    def __init__(
        self,
        set_up: SetUp,
        in_force: InForce,
        deciders: Deciders,
        commands: Commands,
        archive: Versions,
        *,
        watched: str = "",
    ) -> None:
        self._given = set_up
        self._in_force = in_force
        self._deciders = deciders
        self._commands = commands
        self._archive = archive
        self._watched = watched
        self.troubles: list[Wrong] = []
        """What is wrong with the folder that is watched; the version before stays in force meanwhile."""
        self._remarks: tuple[int, list[Wrong]] = (0, [])
        """The version that the folder was put in force as, and what in it was perhaps not meant."""

    @property
    def policy(self) -> Policy:
        """What is in force."""
        return self._in_force.policy

    @property
    def remarks(self) -> list[Wrong]:
        """What was perhaps not meant in the folder that is watched, for as long as that is in force."""
        version, remarks = self._remarks
        return remarks if version == self.policy.version else []

    def remark(self, version: int, remarks: list[Wrong]) -> bool:
        """The folder is in force as that version, and this was perhaps not meant in it. Returns whether that is new."""
        news, self._remarks = (version, remarks) != self._remarks, (version, remarks)
        return news

    async def check(self, files: Mapping[str, str]) -> Made:
        """The policy that the texts make, or all that is wrong with them. Reading takes its time, in a thread."""
        size = sum(len(text.encode()) for text in files.values())
        if size > BUNDLE_BYTES_MAX:
            raise Refusal(
                Code.OVER_LIMIT, f"the files have {size} bytes; a bundle has {BUNDLE_BYTES_MAX}", field="files"
            )
        now = {name: channel_of(account) for name, account in self._in_force.accounts.items()}
        return await self._made(files, now)

    async def check_in_force(self) -> Made:
        """What a check said of the bundle in force before it was: its lines are compared with those of the version
        before. Raises `Refusal`."""
        version = self.policy.version
        before = await self._made((await self.version(max(1, version - 1))).files, {})
        # A version that this program would refuse is not made, and what its lines were not known.
        now = channels_of(before.policy, self._given) if before.policy is not None else {}
        return await self._made((await self.version(version)).files, now)

    async def _made(self, files: Mapping[str, str], now: Mapping[str, str]) -> Made:
        return await asyncio.to_thread(make, dict(files), self._given, now, self.policy.former)

    async def diff(self, files: Mapping[str, str]) -> list[Difference]:
        """What the texts would change. Raises `Refusal` where they are wrong."""
        return differences(self.policy, _right(await self.check(files)))

    async def apply(self, files: Mapping[str, str], *, actor: str, id: str, note: str = "", base: int = 0) -> Applied:
        """Makes the bundle the next version, and answers when every cell that can be reached decides by it. The same
        `id` has one effect. Raises `Refusal`: also where it is wrong, with everything that is."""
        policy = _right(await self.check(files))
        return await self._apply(policy, files, actor=actor, id=id, note=note, base=base)

    async def roll_back(self, version: int, *, actor: str, id: str, note: str = "") -> Applied:
        """Makes an earlier version's bundle the next version, checked anew: what it names may be gone."""
        known = await self.version(version)
        policy = _right(await self.check(known.files))
        said = f"back to version {version}" + (f": {note}" if note else "")
        return await self._apply(policy, known.files, actor=actor, id=id, note=said, base=0)

    async def _apply(
        self, policy: Policy, files: Mapping[str, str], *, actor: str, id: str, note: str, base: int
    ) -> Applied:
        if len(note) > NOTE_MAX:
            raise Refusal(Code.OVER_LIMIT, f"a note has at most {NOTE_MAX} characters", field="note")
        command = ApplyPolicy(files=dict(files), body=packed(policy), note=note, base=base)
        answered = await self._commands.command(actor=actor, id=id, command=command, customer=POLICY)
        version = version_at(answered.seq)
        late = await self._deciders.deciding_by(version, within_s=DECIDING_WITHIN_S)
        return Applied(
            version=version,
            status=answered.status,
            position=answered.position,
            late=late,
            live_conversations=policy.live_conversations,
            watched=self._watched,
        )

    async def version(self, version: int) -> Version:
        """One version with its files. Raises `Refusal` where there is none."""
        if version == 1:
            return _OF_SETTINGS
        if 1 < version <= self.policy.version:
            look = partial(self._archive.events_of_stream, POLICY, seq_of(version) - 1, 1)
            return _shown((await self._archived(version, look))[0])
        raise Refusal(
            Code.NOT_FOUND, f"there is no version {version}; the newest is {self.policy.version}", field="version"
        )

    async def history(self, *, limit: int, before: int = 0) -> list[Version]:
        """Versions without their files, the newest first; those before `before`, where it is given."""
        newest = min(self.policy.version, before - 1) if before else self.policy.version
        oldest = max(1, newest - limit + 1)
        stored = await self._listed(max(2, oldest), newest)
        shown = [Version(version=each.version, at_ms=each.at_ms, actor=each.actor, note=each.note) for each in stored]
        return [*reversed(shown), *([_OF_SETTINGS] if oldest == 1 and newest >= 1 else [])]

    async def _listed(self, oldest: int, newest: int) -> list[StoredVersion]:
        """The versions that were applied from one to the other, without their files."""
        if newest < oldest:
            return []
        await self._archived(newest, partial(self._archive.policy_versions, seq_of(newest) - 1, 1))
        return await self._archive.policy_versions(seq_of(oldest) - 1, newest - oldest + 1)

    async def _archived(self, version: int, look: Callable[[], Awaitable[list[Row]]]) -> list[Row]:
        """What a look at the archive finds of a version; one that is in force is there in a moment."""
        try:
            async with asyncio.timeout(ARCHIVED_WITHIN_S):
                while not (found := await look()):  # noqa: ASYNC110 - the archive tells nobody
                    await asyncio.sleep(0.02)
        except TimeoutError as exc:
            text = f"the archive does not have version {version} yet: it is behind; ask again after a moment"
            raise Refusal(Code.UNAVAILABLE, text, ref=str(version)) from exc
        return found


_OF_SETTINGS = Version(version=1, note="as the settings say")


def id_of(files: Mapping[str, str], base: int) -> str:
    """A command's id for one bundle over one version: whoever applies it so, it is applied once."""
    digest = hashlib.blake2b(msgspec.msgpack.encode(sorted(files.items())), digest_size=8).hexdigest()
    return f"bundle:{base}:{digest}"


def _right(made: Made) -> Policy:
    if made.policy is not None:
        return made.policy
    shown = [str(wrong) for wrong in made.wrong[:WRONG_SHOWN]]
    more = len(made.wrong) - len(shown)
    text = "\n".join(shown) + (f"\nand {more} more" if more else "")
    raise Refusal(Code.INVALID, text, field=made.wrong[0].file)


def _shown(stored: StoredEvent) -> Version:
    event = _event(stored.body)
    return Version(version=event.version, at_ms=event.at_ms, actor=event.actor, note=event.note, files=event.files)
