"""Erasures that wait: asked once, carried out or refused, and gone when they are done."""

from pathlib import Path

from orchestrator.erasure.erasing import Act, Erased
from orchestrator.erasure.inputs import ErasedInput, InputAct
from orchestrator.erasure.pending import Waiting, ask, carry_out, waiting, withdraw
from protocol.errors import Code, Refusal
from tests.orchestrator.gateway.conftest import NOW_MS, Running

ANN = Waiting(customer="cuann", actor="operator:op", reason="asked", asked_at_ms=2)
BOB = Waiting(customer="cubob", actor="operator:op", reason="asked", asked_at_ms=1)
FORM = Waiting(customer="", quarantine="form-1.7", actor="operator:op", reason="asked", asked_at_ms=3)


async def test_what_waits_is_carried_out_in_its_order_and_what_is_refused_waits_on(tmp_path: Path) -> None:
    """With the words of the refusal; the act is of who asked, at the time it is done."""
    acts: list[Act] = []

    async def erase(act: Act) -> Erased:
        acts.append(act)
        if act.customer == "cubob":
            raise Refusal(Code.NOT_ALLOWED_NOW, "a message is on its way")
        return Erased(customer=act.customer, position=7, units=1, mentions=0, files=0, inputs=[])

    async def erase_input(act: InputAct) -> ErasedInput:
        assert act == InputAct(quarantine="form-1.7", actor="operator:op", reason="asked", at_ms=99)
        return ErasedInput(quarantine=act.quarantine, position=8, units=1, files=0, came_in="")

    for each in (ANN, BOB, FORM):
        ask(tmp_path / "erasures", each)
    done = await carry_out(tmp_path / "erasures", erase, erase_input, now_ms=99)
    assert [(act.customer, act.at_ms, act.actor) for act in acts] == [
        ("cubob", 99, "operator:op"),
        ("cuann", 99, "operator:op"),
    ]
    assert [isinstance(outcome, Refusal) for _, outcome in done] == [True, False, False]
    (left,) = waiting(tmp_path / "erasures")
    assert (left.customer, left.tried_at_ms, left.refused) == ("cubob", 99, "a message is on its way")


def test_one_is_taken_back(tmp_path: Path) -> None:
    """Once; there is no folder where nothing was ever asked."""
    assert waiting(tmp_path / "erasures") == []
    ask(tmp_path / "erasures", ANN)
    assert withdraw(tmp_path / "erasures", "cuann")
    assert not withdraw(tmp_path / "erasures", "cuann")


async def test_an_operator_asks_over_http(running: Running) -> None:
    """For a customer that there is; the status counts what waits, and it is taken back."""
    running.archive.journeys["cuann"] = {"customer": "cuann", "identities": [], "conversations": []}
    async with running.http("operator") as http:
        asked = await http.post("/v1/customers/cuann/erasure", json={"reason": "their request"})
        unknown = await http.post("/v1/customers/cubob/erasure", json={"reason": "their request"})
        without = await http.post("/v1/customers/cuann/erasure", json={"reason": " "})
        listed = (await http.get("/v1/erasures")).json()
        status = (await http.get("/v1/status")).json()
        back = await http.post("/v1/customers/cuann/erasure/withdraw")
        again = await http.post("/v1/customers/cuann/erasure/withdraw")
        long = await http.post(f"/v1/customers/{'cuann' * 60}/erasure/withdraw")
        outside = await http.post("/v1/customers/..%2Ftokens/erasure/withdraw")
    assert (asked.status_code, unknown.status_code, without.status_code) == (202, 404, 422)
    assert [(each["customer"], each["reason"], each["asked_at_ms"]) for each in listed] == [
        ("cuann", "their request", NOW_MS)
    ]
    assert status["erasures_waiting"] == 1
    assert (back.status_code, again.status_code) == (200, 404)
    # What is no customer's id is no name of a file either.
    assert (long.status_code, outside.status_code) == (404, 404)
    async with running.http("reader") as http:
        assert (await http.post("/v1/customers/cuann/erasure", json={"reason": "x"})).status_code == 403


async def test_an_operator_asks_to_have_an_input_erased(running: Running) -> None:
    """One that an account keeps; what a customer's quarantine has goes with them."""
    for id, stream in (("web.7", "account:web"), ("cu1.4", "cu1")):
        running.archive.quarantines[id] = {"quarantine": id, "stream": stream}
    async with running.http("operator") as http:
        asked = await http.post("/v1/quarantine/web.7/erasure", json={"reason": "their request"})
        theirs = await http.post("/v1/quarantine/cu1.4/erasure", json={"reason": "their request"})
        unknown = await http.post("/v1/quarantine/web.8/erasure", json={"reason": "their request"})
        without = await http.post("/v1/quarantine/web.7/erasure", json={"reason": " "})
        listed = (await http.get("/v1/erasures")).json()
        back = await http.post("/v1/quarantine/web.7/erasure/withdraw")
        again = await http.post("/v1/quarantine/web.7/erasure/withdraw")
    assert [each.status_code for each in (asked, theirs, unknown, without, back, again)] == [
        *(202, 409, 404),
        *(422, 200, 404),
    ]
    assert "kept for cu1: erase that customer" in theirs.json()["message"]
    assert [(each["customer"], each["quarantine"], each["actor"]) for each in listed] == [
        ("", "web.7", "operator:operator")
    ]
    async with running.http("reader") as http:
        assert (await http.post("/v1/quarantine/web.7/erasure", json={"reason": "x"})).status_code == 403


async def test_who_is_merged_is_not_written_down(running: Running) -> None:
    """It would be refused when the server is stopped: of the one as of the other."""
    row = {"customer": "cuann", "members": ["cubob"], "identities": [], "conversations": []}
    running.archive.journeys |= {"cuann": row, "cubob": row}
    async with running.http("operator") as http:
        for asked, other in (("cuann", "cubob"), ("cubob", "cuann")):
            answer = await http.post(f"/v1/customers/{asked}/erasure", json={"reason": "their request"})
            assert answer.status_code == 409
            assert f"{asked} is merged with {other}: unmerge" in answer.json()["message"]
        assert (await http.get("/v1/erasures")).json() == []
