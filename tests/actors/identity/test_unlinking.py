"""Unlinking, with the real journal, cells and intake: the identity is free; nothing is lost, doubled or overtaken."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

import msgspec

from actors.rules.identity import IdentityRules
from orchestrator.way_in.intake import Intake, IntakeLimits
from protocol.commands import LinkIdentity, UnlinkIdentity
from protocol.events import AnyEvent, MessageReceived
from protocol.ids import customer_of
from protocol.inbound import InboundEvent, MessageArrived
from protocol.links import Answered
from tests.actors.player import POLICY
from tests.actors.world import ACCOUNTS, World, world

ANN = "mailto:ann@example.org"
PHONE = "tel:+447700900123"


async def unlink(made: World, customer: str, identity: str, id: str = "u1") -> None:
    """An agent says that it is not theirs."""
    await made.intake.command(
        actor="agent:ann", id=id, customer=customer, command=UnlinkIdentity(identity=identity, reason="not theirs")
    )


async def test_an_unlinked_identity_begins_anew_and_may_be_linked_again() -> None:
    """The gateway's memory sends its next event to the customer it left, who does not take it; it is a stranger's, and
    can be linked to whom it belongs."""
    async with world() as made:
        first = customer_of((await made.intake.submit(made.event())).stream)
        await unlink(made, first, ANN)
        second = customer_of((await made.intake.submit(made.event())).stream)
        assert second != first
        await unlink(made, second, ANN, "u2")
        link = LinkIdentity(identity=ANN)
        await made.intake.command(actor="agent:ann", id="l1", customer=first, command=link)
        assert customer_of((await made.intake.submit(made.event())).stream) == first


async def test_two_accounts_that_name_one_phone_are_two_customers_and_a_conflict() -> None:
    """Whichever event comes first, also both at once; a person who reads the list sees whose the phone is."""
    single = msgspec.structs.replace(POLICY, identity=IdentityRules(single=["user"]))
    for together in (False, True):
        async with world(policy=single) as made:
            said = [made.event(account="app", identities=(f"user:{n}", PHONE)) for n in (1, 2)]
            if together:
                one, two = await asyncio.gather(*map(made.intake.submit, said))
            else:
                one, two = [await made.intake.submit(each) for each in said]
            first, second = customer_of(one.stream), customer_of(two.stream)
            assert first != second
            assert await made.journal_store.customers_of(["user:1", "user:2", PHONE]) == {
                "user:1": first,
                "user:2": second,
                PHONE: first,
            }
            await made.archived()
            (review,) = await made.archive_store.identity_reviews(shared_after=3)
            assert (review["customer"], review["identity"], review["kind"]) == (second, PHONE, "conflict")
            assert review["owner"] == first


async def test_one_number_by_two_channels_is_one_customer_where_the_policy_says_so() -> None:
    """Whichever comes first; who was two before stands in the review list."""
    whatsapp = f"whatsapp:{PHONE.removeprefix('tel:')}"
    for first, second in ((whatsapp, PHONE), (PHONE, whatsapp)):
        async with world() as made:
            made.intake.alike = lambda: {"whatsapp": "tel"}
            one = await made.intake.submit(made.event(account="sms", identities=(first,)))
            two = await made.intake.submit(made.event(account="sms", identities=(second,)))
            assert one.stream == two.stream
    async with world() as made:
        one = await made.intake.submit(made.event(account="sms", identities=(PHONE,)))
        two = await made.intake.submit(made.event(account="sms", identities=(whatsapp,)))
        assert customer_of(one.stream) != customer_of(two.stream)
        made.intake.alike = lambda: {"whatsapp": "tel"}
        again = await made.intake.submit(made.event(account="sms", identities=(whatsapp,)))
        assert again.stream == two.stream
        await made.archived()
        (review,) = await made.archive_store.identity_reviews(shared_after=3)
        assert (review["customer"], review["identity"]) == (customer_of(two.stream), PHONE)


async def test_a_repeat_is_known_whoever_has_its_identity_by_then() -> None:
    """The once-keys go with the identity: through two customers, and a death of the cells."""
    async with world() as made:
        one = made.event("one")
        first = await made.intake.submit(one)
        await unlink(made, customer_of(first.stream), ANN)
        two = made.event("two")
        second = await made.intake.submit(two)
        await unlink(made, customer_of(second.stream), ANN, "u2")
        third = await made.intake.submit(made.event("three"))
        for index in range(2):
            made.kill_cell(index)
            await made.start_cell(index)
        for event, before in ((one, first), (two, second)):
            repeat = await made.intake.submit(event)
            assert (repeat.status, repeat.stream, repeat.seq) == ("repeat", before.stream, before.seq)
        changed = msgspec.structs.replace(one, data=MessageArrived(text="something else"))
        assert (await made.intake.submit(changed)).status == "quarantined"
        assert (await made.intake.submit(made.event("four"))).stream == third.stream


async def test_a_repeat_that_comes_first_after_the_unlink_makes_no_customer() -> None:
    """It is known by what the identity was released with, before anybody has it."""
    async with world() as made:
        one = made.event("one")
        first = await made.intake.submit(one)
        await unlink(made, customer_of(first.stream), ANN)
        repeat = await made.intake.submit(one)
        assert (repeat.status, repeat.stream, repeat.seq) == ("repeat", first.stream, first.seq)
        assert await made.journal_store.customers_of([ANN]) == {}


async def test_another_payload_under_a_known_id_is_kept_once_whoever_has_its_identity() -> None:
    """Before the unlink, first thing after it, and from a memory that has not heard of it."""
    async with world() as made:
        one = made.event("one")
        first = await made.intake.submit(one)
        other, third = (msgspec.structs.replace(one, data=MessageArrived(text=text)) for text in ("2", "3"))
        kept = await made.intake.submit(other)
        await unlink(made, customer_of(first.stream), ANN)
        again = await made.intake.submit(other)
        assert (again.status, again.stream, again.seq) == ("quarantined", kept.stream, kept.seq)
        anew = await made.intake.submit(third)
        assert (anew.status, anew.stream != first.stream) == ("quarantined", True)
        again = await made.intake.submit(third)
        assert (again.status, again.stream, again.seq) == ("quarantined", anew.stream, anew.seq)


async def test_events_that_pour_in_around_an_unlink_are_each_taken_once_and_in_order() -> None:
    """None is lost, none doubled; those before it are the old customer's, those after it a new one's."""
    async with world() as made:
        first = customer_of((await made.intake.submit(made.event())).stream)
        answers: list[tuple[int, object]] = []

        def noted(n: int, outcome: object) -> None:
            answers.append((n, outcome))

        for n in range(40):
            made.intake.take(made.event(f"e{n}"), partial(noted, n))
            if n == 20:
                unlinking = asyncio.ensure_future(unlink(made, first, ANN))
            if n % 7 == 0:
                await asyncio.sleep(0)
        await unlinking
        await made.until(lambda: len(answers) == 40)
        assert [n for n, _ in answers] == list(range(40))
        whose = [customer_of(answer.stream) for _, answer in answers if isinstance(answer, Answered)]
        assert len(whose) == 40
        left = whose.index(whose[-1])
        assert whose[:left] == [first] * left
        assert len(set(whose[left:])) == 1
        assert whose[-1] != first


async def test_two_doors_at_once_make_one_customer_of_an_identity_that_was_unlinked() -> None:
    """One of them knew it, the other never heard of it; both propose a customer, and the journal takes one."""
    async with world() as made:
        first = await made.intake.submit(made.event())
        await unlink(made, customer_of(first.stream), ANN)
        door = Intake(
            made.cells,
            made.journal_store.customers_of,
            ACCOUNTS,
            region="GB",
            limits=IntakeLimits(waiting_max=100, ahead_ms=10**9, behind_ms=10**12),
            now_ms=lambda: made.now_ms,
            new_customer=lambda: "cuotherdoor00001",
        )
        answers = await asyncio.gather(
            *(made.intake.submit(made.event(f"a{n}")) for n in range(5)),
            *(door.submit(made.event(f"b{n}")) for n in range(5)),
        )
        (stream,) = {answer.stream for answer in answers}
        assert stream != first.stream
        seqs = [answer.seq for answer in answers]
        assert seqs[:5] == sorted(seqs[:5]), "each door's order is kept"
        assert seqs[5:] == sorted(seqs[5:])
        assert await made.journal_store.customers_of([ANN]) == {ANN: customer_of(stream)}


async def test_linking_and_unlinking_in_one_step_leaves_nothing_behind() -> None:
    """What an agent links, unlinks and links again before any of it is committed is the customer's in the end."""
    async with world(cells=1) as made:
        customer = customer_of((await made.intake.submit(made.event())).stream)
        phone = "tel:+447700900123"

        def ask(id: str, command: LinkIdentity | UnlinkIdentity) -> asyncio.Task[Answered]:
            asking = made.intake.command(actor="agent:ann", id=id, customer=customer, command=command)
            return asyncio.get_running_loop().create_task(asking)

        link, off = LinkIdentity(identity=phone), UnlinkIdentity(identity=phone)
        await asyncio.gather(*(ask(str(n), link if n % 2 == 0 else off) for n in range(4)))
        assert await made.journal_store.customers_of([phone, ANN]) == {ANN: customer}
        await asyncio.gather(*(ask(str(n), link if n % 2 == 0 else off) for n in range(4, 7)))
        assert await made.journal_store.customers_of([phone]) == {phone: customer}
        off = UnlinkIdentity(identity=ANN)
        link = LinkIdentity(identity=ANN)
        await asyncio.gather(ask("7", off), ask("8", link))
        assert await made.journal_store.customers_of([ANN]) == {ANN: customer}


async def test_events_with_an_identity_that_leaves_and_comes_back_are_decided_as_they_came() -> None:
    """The first is turned away between the two. The second finds the identity where it was, and would overtake it."""
    async with world(cells=1) as made:
        customer = customer_of((await made.intake.submit(made.event("zero"))).stream)
        await _between(made, customer, ANN, made.event("one"), made.event("two"))
        assert await _said(made, customer) == ["zero", "one", "two"]


async def test_an_event_without_the_identity_that_left_waits_for_one_that_has_it() -> None:
    """They share another. By that the second is the customer's all the time."""
    async with world(cells=1) as made:
        first = made.event("zero", account="app", identities=("user:1", PHONE))
        customer = customer_of((await made.intake.submit(first)).stream)
        one = made.event("one", account="app", identities=("user:1", PHONE))
        two = made.event("two", account="sms", identities=(PHONE,))
        await _between(made, customer, "user:1", one, two)
        assert await _said(made, customer) == ["zero", "one", "two"]


async def test_who_shares_nothing_with_an_event_that_left_waits_for_one_in_between() -> None:
    """Which shares an identity with either."""
    async with world(cells=1) as made:
        for first in (("user:1", PHONE), ("user:1", ANN)):
            customer = customer_of(
                (await made.intake.submit(made.event("zero", account="app", identities=first))).stream
            )
        one = made.event("one", account="app", identities=("user:1",))
        two = made.event("two", account="app", identities=(PHONE, "user:1"))
        three = made.event("three", account="sms", identities=(PHONE,))
        await _between(made, customer, "user:1", one, two, three)
        assert await _said(made, customer) == ["zero", "zero", "one", "two", "three"]


async def _between(made: World, customer: str, identity: str, one: InboundEvent, *others: InboundEvent) -> None:
    """The identity is unlinked, the one event comes, the identity is linked again, and the others come: all of it is
    with the cell before anything is answered."""

    async def asked(work: Coroutine[Any, Any, Answered]) -> asyncio.Task[Answered]:
        task = asyncio.get_running_loop().create_task(work)
        await asyncio.sleep(0)  # It is on its way; nothing is answered in one turn.
        return task

    def command(id: str, do: LinkIdentity | UnlinkIdentity) -> Coroutine[Any, Any, Answered]:
        return made.intake.command(actor="agent:ann", id=id, customer=customer, command=do)

    tasks = [await asked(command("off", UnlinkIdentity(identity=identity, reason="not theirs")))]
    tasks += [await asked(made.intake.submit(one))]
    tasks += [await asked(command("on", LinkIdentity(identity=identity)))]
    tasks += [await asked(made.intake.submit(each)) for each in others]
    await asyncio.gather(*tasks)


async def _said(made: World, customer: str) -> list[str]:
    """The customer's words, in the order of the journal."""
    await made.archived()
    stored = await made.archive_store.events_of_customer(customer, 0)
    events = [msgspec.json.decode(each.body, type=AnyEvent) for each in stored]
    return [event.text for event in events if isinstance(event, MessageReceived)]
