"""The gateway client's page: its example runs as it stands, but for the address, against a whole server."""

import asyncio
import os
import re
import sys
import time
from pathlib import Path

from orchestrator.client import AgentClient
from orchestrator.inprocess import in_process
from orchestrator.settings import GatewayAccount, Http, Settings
from orchestrator.tokens import Tokens

PAGE = Path(__file__).parents[1] / "docs" / "gateway-client.md"


def now_ms() -> int:
    """The example's clock is the machine's; the server's must be near it."""
    return int(time.time() * 1000)


async def test_the_example_hands_in_a_word_and_takes_the_answer(tmp_path: Path) -> None:
    """An agent who watches the queue answers it, and the program prints both."""
    [code] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    settings = Settings(data=str(tmp_path), store="memory", http=Http(port=0), accounts=[GatewayAccount(name="chat")])
    tokens = Tokens(tmp_path / "tokens.json", now_ms=now_ms)
    line, ann = (tokens.create([scope], name)[0] for scope, name in (("gateway:chat", "line"), ("agent", "ann")))
    async with asyncio.timeout(60), in_process(settings, tmp_path, now_ms=now_ms) as server:
        url = f"http://127.0.0.1:{server.facts['gateway']['port']}"
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code.replace("http://127.0.0.1:7100", url),
            env={**os.environ, "THROUGHLINE_TOKEN": line},
            stdout=asyncio.subprocess.PIPE,
        )
        assert program.stdout is not None
        try:
            assert await program.stdout.readline() == b"committed\n"
            async with AgentClient(url, ann) as agent:
                agent.watch(inbox="queue:default", follow=True)
                update = await anext(aiter(agent.updates()))
                await agent.reply(update.conversation, "It is.")
                assert await program.stdout.readline() == b"to chat:ann It is.\n"
        finally:
            program.kill()
            await program.wait()
