"""What every cell hears of the journal unasked: the policy, and merges that somebody has to take in."""

import msgspec
import pytest

from actors.journal.notices import Notices
from protocol.events import AnyEvent, ConversationWoken, PolicyApplied
from protocol.ids import POLICY
from protocol.journal import ADOPT, GIVE, POLICIES_KEPT, RELEASE, RETURN, FamilyStep, Unit, Unsettled
from protocol.links import FamiliesAre, PoliciesAre
from tests.orchestrator.lines import KeptLine


def version(number: int) -> bytes:
    """The body of the unit that brought a version."""
    events: list[AnyEvent] = [
        PolicyApplied(at_ms=1, actor="agent:ann", version=number, body=str(number).encode(), files={}),
        ConversationWoken(at_ms=1, actor="system"),
    ]
    return msgspec.msgpack.encode([(POLICY, seq, event) for seq, event in enumerate(events, start=1)])


def unit(customer: str = "ann", body: bytes = b"", *family: FamilyStep) -> Unit:
    """One that was committed."""
    return Unit("shard:1", 1, 1, customer, 1, [], 1, body, family=list(family))


def test_a_cell_begins_with_the_newest_versions_in_order() -> None:
    """As many as are kept, whether they were there at the start or came since; nothing of merges where none is."""
    notices, first, line = Notices(), KeptLine(), KeptLine()
    notices.recovered([version(number) for number in range(2, POLICIES_KEPT + 4)], [])
    notices.opened(first)
    assert first.sent == [PoliciesAre([(n, str(n).encode()) for n in range(4, POLICIES_KEPT + 4)])]
    notices.committed(9, unit(POLICY, version(POLICIES_KEPT + 4)))
    notices.opened(line)
    assert line.sent == [PoliciesAre([(n, str(n).encode()) for n in range(5, POLICIES_KEPT + 5)])]
    assert notices.version == POLICIES_KEPT + 4


def test_without_one_the_settings_policy_is_the_first() -> None:
    """Also where what was kept says nothing of a version."""
    assert Notices().version == 1


def test_what_is_applied_is_told_to_every_cell_that_can_be_reached() -> None:
    """Alone, and once; one whose line closed hears it as it comes back, and a line that was replaced ends nobody."""
    notices, here, gone, again = Notices(), KeptLine(), KeptLine(), KeptLine()
    here.peer = "cell:1"
    for line in (here, gone):
        notices.opened(line)
    notices.closed(gone)
    notices.committed(5, unit(POLICY, version(2)))
    told = PoliciesAre([(2, b"2")])
    assert (here.sent, gone.sent) == ([PoliciesAre([]), told], [PoliciesAre([])])
    notices.opened(again)
    notices.closed(gone)
    notices.committed(6, unit(POLICY, version(3)))
    assert again.sent == [told, PoliciesAre([(3, b"3")])]


def test_no_other_customers_unit_is_read() -> None:
    """It costs nothing, and what they say is no policy."""
    notices, line = Notices(), KeptLine()
    notices.opened(line)
    notices.committed(5, unit("ann", b"not read"))
    assert line.sent == [PoliciesAre([])]


@pytest.mark.parametrize(
    ("opens", "closes", "who", "other"),
    [
        (FamilyStep(GIVE, "ann", "bob", 1), FamilyStep(ADOPT, "ann", "bob", 1), "bob", "ann"),
        (FamilyStep(RELEASE, "ann", "bob", 2), FamilyStep(RETURN, "ann", "bob", 2), "ann", "bob"),
    ],
)
def test_a_step_of_a_merge_is_told_until_it_is_taken_in(
    opens: FamilyStep, closes: FamilyStep, who: str, other: str
) -> None:
    """To the cells there are and those that come, and with the tail of the customer who has to; of it alone."""
    notices, early, late, last = Notices(), KeptLine(), KeptLine(), KeptLine()
    others = Unsettled("dan", "eve", 1, 3)
    notices.recovered([], [others])
    notices.opened(early)
    early.sent.clear()
    notices.committed(7, unit("ann", b"", opens))
    expected = Unsettled(who, other, opens.turn, 7)
    assert early.sent == [FamiliesAre([expected])]
    assert (notices.unsettled_of(who), notices.unsettled_of(other)) == ([expected], [])
    notices.opened(late)
    assert late.sent[1:] == [FamiliesAre([others, expected])]
    notices.committed(8, unit("bob", b"", closes))
    assert (notices.unsettled_of(who), len(early.sent)) == ([], 1)
    notices.opened(last)
    assert last.sent[1:] == [FamiliesAre([others])]
