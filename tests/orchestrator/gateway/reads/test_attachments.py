"""Attachments over HTTP: whole, harmless, and only for those who may read."""

import httpx
import pytest

from adapters.attachments import READ_BYTES
from protocol.errors import Code
from tests.orchestrator.gateway.conftest import Running

PAGE = b"<script>alert(1)</script>"


@pytest.mark.parametrize("who", ["agent", "reader", "operator"])
async def test_a_file_leaves_as_bytes_to_be_saved(running: Running, who: str) -> None:
    """Nothing of it is shown in the gateway's origin, whatever it is."""
    name = running.attachments.keep(PAGE)
    async with running.http(who) as http:
        response = await http.get(f"/v1/attachments/{name}")
    assert (response.status_code, response.content) == (200, PAGE)
    wanted = {
        "content-type": "application/octet-stream",
        "content-disposition": f'attachment; filename="{name}"',
        "content-length": str(len(PAGE)),
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "no-store",
        "etag": f'"{name}"',
    }
    assert {header: response.headers[header] for header in wanted} == wanted


@pytest.mark.parametrize("size", [0, 1, READ_BYTES, READ_BYTES * 3 + 1])
async def test_a_file_of_any_size_is_whole(running: Running, size: int) -> None:
    """Also an empty one, and one of many pieces."""
    body = bytes(n % 251 for n in range(size))
    async with running.http("reader") as http:
        assert (await http.get(f"/v1/attachments/{running.attachments.keep(body)}")).content == body


@pytest.mark.parametrize(
    ("who", "name", "status", "code"),
    [
        ("reader", "0" * 64, 404, Code.NOT_FOUND),
        ("reader", "bill.pdf", 422, Code.INVALID),
        ("reader", "..%2f..%2ftokens.json", 404, Code.NOT_FOUND),
        ("reader", "A" * 64, 422, Code.INVALID),
        ("chat", "0" * 64, 403, Code.FORBIDDEN),
        ("scraper", "0" * 64, 403, Code.FORBIDDEN),
        ("", "0" * 64, 401, Code.UNAUTHENTICATED),
    ],
)
async def test_what_is_not_there_or_not_allowed(running: Running, who: str, name: str, status: int, code: Code) -> None:
    """By the error table; no name leads out of the folder."""
    async with running.http(who) as http:
        response = await http.get(f"/v1/attachments/{name}")
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_a_damaged_file_is_not_given_out_whole(running: Running) -> None:
    """A small one is a failure of the server; a large one breaks off."""
    small, large = running.attachments.keep(PAGE), running.attachments.keep(b"x" * READ_BYTES * 2)
    for name in (small, large):
        with running.attachments.path_of(name).open("r+b") as file:
            file.write(b"!")
    async with running.http("reader") as http:
        response = await http.get(f"/v1/attachments/{small}")
        assert (response.status_code, response.json()["code"]) == (500, Code.INTERNAL)
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"/v1/attachments/{large}")
