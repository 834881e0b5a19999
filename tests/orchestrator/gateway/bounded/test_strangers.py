"""Strangers: how many connections an address may have before anybody is known by them."""

import json

import pytest

from orchestrator.gateway.bounded.strangers import Strangers
from orchestrator.settings import Http
from protocol.errors import Code
from tests.orchestrator.gateway.bounded.test_bounded_websocket import stranger
from tests.orchestrator.gateway.conftest import Running, Start, raw, until

OWNER = 7


def test_one_owner_has_so_many_and_another_has_others() -> None:
    """Who left makes room, and nothing is kept of who has none."""
    strangers = Strangers(2)
    ann, bob = strangers.owner("203.0.113.9"), strangers.owner("203.0.113.10")
    assert [strangers.comes(each) for each in (ann, ann, ann, bob)] == [True, True, False, True]
    strangers.leaves(ann)
    assert strangers.comes(ann)
    for each in (ann, ann, bob):
        strangers.leaves(each)
    assert strangers._of == {}


ONE_OWNERS = [
    ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
    ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ("::ffff:203.0.113.9", "203.0.113.9", True),
    ("fe80::1%eth0", "fe80::2%eth1", True),
]


@pytest.mark.parametrize(("one", "other", "same"), ONE_OWNERS)
def test_a_network_of_ipv6_is_one_owners(one: str, other: str, same: bool) -> None:
    """Who has one of its addresses has all of them; IPv4 is the same however it is written."""
    strangers = Strangers(1)
    assert strangers.owner(one)
    assert (strangers.owner(one) == strangers.owner(other)) is same


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.0.0.2", "10.1.2.3", "2001:db8::1", "a-socket", ""])
def test_this_machine_and_proxies_are_not_counted(peer: str) -> None:
    """All that come through one have its address."""
    assert Strangers(1, ["10.0.0.2", "10.1.2.0/24", "2001:db8::/32"]).owner(peer) == 0


def test_without_a_bound_nobody_is_counted() -> None:
    """It can be switched off."""
    assert Strangers(0).owner("203.0.113.9") == 0


@pytest.fixture
async def counted(start: Start, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A gateway to which this machine is an address as any other, of two strangers."""
    monkeypatch.setattr(Strangers, "owner", lambda self, peer: OWNER)
    running: Running = await start(http=Http(port=0, strangers_per_address=2))
    return running


def now(running: Running) -> int:
    """How many strangers there are."""
    return len(running.gateway._listener._bounded.strangers)


async def test_a_stranger_too_many_is_told_so(counted: Running) -> None:
    """Whoever is known by then goes on, and comes again once a stranger has left."""
    async with counted.http("reader") as known:
        assert (await known.get("/v1/conversations")).status_code == 200
        strangers = [await stranger(counted), await stranger(counted)]
        status, body = await raw(counted, b"")
        error = json.loads(body)
        assert (status, error["code"]) == (503, Code.TOO_MANY_CONNECTIONS)
        assert "http.strangers_per_address" in error["message"]
        assert (await known.get("/v1/conversations")).status_code == 200
        for _, writer in strangers:
            writer.close()
        await until(lambda: now(counted) == 0)
        async with counted.agent():
            assert now(counted) == 0
    await until(lambda: not counted.gateway.open_connections)
    assert now(counted) == 0


async def test_a_wrong_token_makes_nobody_known(counted: Running) -> None:
    """Nor does none, where none is needed."""
    async with counted.http() as http:
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.get("/v1/status", headers={"Authorization": "Bearer tl_no_no"})).status_code == 401
        assert now(counted) == 1
    await until(lambda: now(counted) == 0)
