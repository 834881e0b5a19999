"""The command line's refusals."""

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import NOT_MEASURED, app


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--url", "http://example.org"], "loopback only"),
        (["--url", "https://127.0.0.1:7100"], "loopback only"),
        (["--url", "http://10.0.0.1:7100"], "loopback only"),
        (["--url", "http://127.0.0.1:7100"], "needs --token"),
        (["--seconds", "601"], "600"),
    ],
)
def test_load_goes_to_loopback_and_is_bounded(options: list[str], said: str) -> None:
    """Nobody else's machine is ever loaded, and no run is without an end."""
    result = CliRunner().invoke(app, ["throughput", *options])
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


def test_without_a_server_there_is_no_figure(unused_tcp_port: int) -> None:
    """It says why in one line, without a traceback."""
    url = f"http://127.0.0.1:{unused_tcp_port}"
    result = CliRunner().invoke(app, ["throughput", "--seconds", "1", "--url", url, "--token", "t"])
    assert result.exit_code == NOT_MEASURED
    assert "benchmarks: " in result.output
    assert "Traceback" not in result.output
