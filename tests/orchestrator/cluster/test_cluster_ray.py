"""Ray, as we start it: light, on loopback, and closed to whoever has not this run's token."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from orchestrator.cluster import leftovers
from orchestrator.cluster.run_folder import read_figures
from orchestrator.cluster.supervisor import Serving
from tests.live_server import until
from tests.orchestrator.toy_server import ROOT, ToyServer

pytestmark = pytest.mark.slow

UNAUTHENTICATED = 16
"""gRPC's status of that name."""

METHODS = {
    "gcs_server": "/ray.rpc.NodeInfoGcsService/CheckAlive",
    "raylet": "/ray.rpc.NodeManagerService/GetNodeStats",
    "journal": "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
}
"""By process, a method that it serves and that does no harm: what does harm is behind the same check."""

STRANGER = """
import sys, ray
ray.init(address=sys.argv[1], namespace="throughline", log_to_driver=False)
print("found:", ray.get_actor("cell-0")._actor_id.hex())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Path]]:
    """A running server and its run folder."""
    running = ToyServer(tmp_path_factory.mktemp("ray"))
    serving = running.ready()
    yield serving, Path(psutil.Process(serving.node).cmdline()[3])
    running.close()


def test_nothing_listens_beyond_loopback(server: tuple[Serving, Path]) -> None:
    """Neither Ray's processes nor ours can be reached by another machine, and this machine's own address proves it."""
    serving, _ = server
    listening = [
        (process.name(), connection.laddr)
        for process in leftovers.ours(psutil.Process(serving.node).environ()[leftovers.MARK_VARIABLE])
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= len(METHODS)
    assert {address.ip.removeprefix("::ffff:") for _, address in listening} == {"127.0.0.1"}
    for outside in _outside_addresses():
        for _, address in listening:
            with pytest.raises(OSError), socket.create_connection((outside, address.port), timeout=2):  # noqa: PT011 - any
                pass


async def test_what_every_process_counts_comes_together_in_the_run_folder(server: tuple[Serving, Path]) -> None:
    """For the gateway, which serves it as metrics."""
    serving, run = server
    await until(lambda: set(read_figures(run)) == set(serving.facts))
    assert read_figures(run)["cell-0"] == {"name": "cell-0"}


@pytest.mark.parametrize("name", METHODS)
def test_a_call_needs_the_token(server: tuple[Serving, Path], name: str) -> None:
    """Without it, and with a wrong one, the call is unauthenticated; with it the very same call works."""
    serving, run = server
    pid = serving.vital.get(name) or int(serving.facts[name]["pid"])
    port, token = _port_that_serves(pid, METHODS[name]), (run / "ray-token").read_text()
    assert _grpc_status(port, METHODS[name], "") == UNAUTHENTICATED
    assert _grpc_status(port, METHODS[name], "0" * len(token)) == UNAUTHENTICATED
    assert _grpc_status(port, METHODS[name], token) == 0


def test_the_agent_that_speaks_http_needs_the_token(server: tuple[Serving, Path]) -> None:
    """Ray's agent for runtime environments runs commands for whoever it believes."""
    serving, run = server
    mark = psutil.Process(serving.node).environ()[leftovers.MARK_VARIABLE]
    [agent] = [process for process in leftovers.ours(mark) if process.cmdline()[0].startswith("ray::RuntimeEnvAgent")]
    url = f"http://127.0.0.1:{_ports(agent.pid)[0]}/get_runtime_envs_info"
    token = (run / "ray-token").read_text()
    assert httpx.post(url, trust_env=False).status_code == 401
    assert httpx.post(url, headers={"Authorization": "Bearer no"}, trust_env=False).status_code == 403
    assert httpx.post(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False).status_code == 200


def test_a_stranger_cannot_reach_an_actor(server: tuple[Serving, Path], tmp_path: Path) -> None:
    """Another driver joins only with the token's file; one that has it shows that the refusal is the token's doing."""
    serving, run = server
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    port = _port_that_serves(serving.vital["gcs_server"], METHODS["gcs_server"])
    refused = _stranger(port, wrong)
    assert refused.returncode != 0
    assert "found:" not in refused.stdout
    assert "oken" in refused.stderr
    assert "found: " in _stranger(port, run / "ray-token").stdout


def test_only_its_owner_reads_the_token(server: tuple[Serving, Path]) -> None:
    """The token and the settings, which have the accounts' secrets, lie where nobody else may look."""
    _, run = server
    assert run.stat().st_mode & 0o777 == 0o700
    assert {(run / name).stat().st_mode & 0o777 for name in ("ray-token", "settings.json", "run-tokens.json")} == {
        0o600
    }


def test_ray_runs_no_more_than_it_needs(server: tuple[Serving, Path]) -> None:
    """No dashboard, autoscaler or log tailer; no idle workers; the archive gives way to all others."""
    serving, _ = server
    mark = psutil.Process(serving.node).environ()[leftovers.MARK_VARIABLE]
    lines = [" ".join(process.cmdline()) for process in leftovers.ours(mark)]
    assert not [line for line in lines if "monitor.py" in line or "dashboard.py" in line or "IDLE" in line]
    niceness = {name: psutil.Process(int(facts["pid"])).nice() for name, facts in serving.facts.items()}
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert niceness.pop("archive") == min(own + 10, 19)
    assert set(niceness.values()) == {own}


def _stranger(port: int, token: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_NUM_REDIS_GET_RETRIES": "3",  # Of one second each; the default of 20 is patience with slow clusters.
        "PYTHONPATH": str(ROOT),
    }
    program = [sys.executable, "-c", STRANGER, f"127.0.0.1:{port}"]
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=90, check=False)


def _outside_addresses() -> list[str]:
    return [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]


def _ports(pid: int) -> list[int]:
    connections = psutil.Process(pid).net_connections("inet")
    return [connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN]


UNIMPLEMENTED = 12


def _port_that_serves(pid: int, method: str) -> int:
    """Which of a process's ports knows the method: the raylet listens on two."""
    [port] = [port for port in _ports(pid) if _grpc_status(port, method, "") != UNIMPLEMENTED]
    return port


def _grpc_status(port: int, method: str, token: str) -> int:
    """Makes one gRPC call with an empty message, by hand: HTTP/2 (RFC 9113) with literal headers (RFC 7541 §6.2.2)."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": f"127.0.0.1:{port}",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    if token:
        headers["authorization"] = f"Bearer {token}"
    block = b"".join(b"\0" + _string(name) + _string(value) for name, value in headers.items())
    request = _frame(4, 0, 0, b"") + _frame(1, 4, 1, block) + _frame(0, 1, 1, bytes(5))
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + request)
        answer = b""
        while (found := re.search(rb"grpc-status[\x01\x02](\d+)", answer)) is None:
            received = connection.recv(65536)
            assert received, answer
            answer += received
    return int(found[1])


def _string(text: str) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
