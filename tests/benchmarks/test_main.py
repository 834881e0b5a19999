"""The command line's refusals."""

import pytest
from typer.testing import CliRunner

from benchmarks.commands.commands import app
from benchmarks.commands.options import NOT_MEASURED, server_at
from benchmarks.figures import disk


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--url", "http://support.example.org"], "--i-own-this-server"),
        (["--url", "http://192.0.2.1:7100", "--token", "t"], "--i-own-this-server"),
        (["--url", "ftp://127.0.0.1:7100"], "http://"),
        (["--url", "http://127.0.0.1:7100", "--token", "t", "--preload", "1000"], "of the run's own"),
        (["--url", "http://127.0.0.1:7100"], "needs --token"),
        (["--seconds", "601"], "600"),
    ],
)
def test_load_goes_to_ones_own_server_and_is_bounded(options: list[str], said: str) -> None:
    """Nobody else's machine is loaded by mistake, and no run is without an end."""
    result = CliRunner().invoke(app, ["throughput", *options])
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("command", ["throughput", "latency", "context", "merge"])
def test_anothers_server_has_the_policy_it_has(command: str) -> None:
    """A figure that says "under the insurer's bundle" would be of whatever is in force there."""
    options = ["--url", "http://127.0.0.1:7100", "--token", "t", "--bundle", "insurer"]
    result = CliRunner().invoke(app, [command, *options])
    assert result.exit_code == 2
    assert "--bundle: of the run's own server alone" in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("command", ["throughput", "latency"])
def test_without_a_server_there_is_no_figure(
    command: str, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why in one line, without a traceback; the disk here is not that server's, and is left alone."""
    monkeypatch.setattr(disk, "probed", lambda folder: pytest.fail("the disk of somebody else's server is not here"))
    url = f"http://127.0.0.1:{unused_tcp_port}"
    result = CliRunner().invoke(app, [command, "--seconds", "1", "--url", url, "--token", "t"])
    assert result.exit_code == NOT_MEASURED
    assert "benchmarks: " in result.output
    assert "Traceback" not in result.output


def test_another_machine_takes_a_word() -> None:
    """People who test their own deployment say that it is theirs; nothing is sent here."""
    server = server_at("https://support.example.org/", "t", owned=True)
    assert server is not None
    assert (server.url, server.data) == ("https://support.example.org", None)
