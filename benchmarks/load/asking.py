"""Machines that ask before they greet: `GET /v1/context` by the clock, on a few connections that stay open.

HTTP/1.1 by hand, since a client library's own milliseconds would be what is measured: one request a connection at a
time, an answer with `Content-Length`. A request's latency counts from when it was due, also where it had to wait for a
free connection.
"""

import asyncio
import time
from urllib.parse import quote, urlsplit

from benchmarks.load.metronome import Metronome
from benchmarks.load.wire import Refused

CONNECTIONS = 16
ANSWER_BYTES_MAX = 1024 * 1024


class Askers:
    """An async context manager: connections to one server. `run` asks; figures are of after the warm-up."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._token = token
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self.took_s: list[float] = []
        self.late_s: list[float] = []
        """How late the load generator sent, where a connection was free."""
        self.answered = 0
        self.wrong = 0
        """Answers that were none, or of somebody else."""
        self.problem = ""

    async def __aenter__(self) -> "Askers":
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await asyncio.open_connection(self._host, self._port, limit=ANSWER_BYTES_MAX))
        return self

    async def __aexit__(self, *exc: object) -> None:
        while not self._free.empty():
            _, writer = self._free.get_nowait()
            writer.close()

    async def run(
        self, identities: list[str], *, rate: float, seconds: float, warm_up_s: float, metronome: Metronome
    ) -> None:
        """Asks `rate` times a second for one identity after the other."""
        asked, from_s = 0, time.perf_counter()
        until_s = from_s + warm_up_s + seconds
        async with asyncio.TaskGroup() as questions:
            while (now_s := time.perf_counter()) < until_s:
                while (due_s := from_s + asked / rate) <= now_s:
                    measured = due_s >= from_s + warm_up_s
                    questions.create_task(self._ask(identities[asked % len(identities)], due_s, measured=measured))
                    asked += 1
                await metronome.tick(min(from_s + asked / rate, until_s))

    async def _ask(self, identity: str, due_s: float, *, measured: bool) -> None:
        waits = self._free.empty()
        reader, writer = await self._free.get()
        if measured and not waits:
            self.late_s.append(time.perf_counter() - due_s)
        writer.write(self._request(identity))
        try:
            status, body = await _answer(reader)
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            raise Refused(f"context: the server closed the connection ({type(exc).__name__})") from exc
        self._free.put_nowait((reader, writer))
        if measured:
            self.took_s.append(time.perf_counter() - due_s)
        self.answered += 1
        if status != 200 or identity.encode() not in body:
            self.wrong += 1
            self.problem = self.problem or f"{status} {body[:200].decode(errors='replace')}"

    def _request(self, identity: str) -> bytes:
        return (
            f"GET /v1/context?identity={quote(identity, safe=':')}&channel=phone HTTP/1.1\r\n"
            f"Host: {self._host}:{self._port}\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        ).encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split(" ")[1]), await reader.readexactly(int(fields.get("content-length", "0")))
