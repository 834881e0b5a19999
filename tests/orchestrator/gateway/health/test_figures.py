"""What the other processes count, in the gateway's metrics."""

from pathlib import Path
from typing import Any

from orchestrator.cluster.run_folder import read_figures, write_figures
from tests.orchestrator.gateway.conftest import Start

FIGURES: dict[str, dict[str, Any]] = {
    "channels": {
        "unanswered": 2,
        "outbox": {"under_way": 1, "sent": 7, "failed": 3},
        "webhooks": {"crm": {"state": "disabled", "sent": 5, "failures": 24, "gaps": 1}},
        "mail": {
            "127.0.0.1:7125": {
                "connections": 4,
                "outcomes": {"taken": 9, "quarantined": 1},
                "faults": {"digest_conflict": 1},
                "replies": {"550": 5},
            }
        },
    },
    "cell-0": {"live_journeys": 12, "generation": "words are no figure"},
}


async def test_they_are_read_at_each_scrape(start: Start) -> None:
    """Mail by outcome, reason and reply; attempts by outcome; all other numbers by process."""
    figures: dict[str, dict[str, Any]] = {}
    running = await start(figures=lambda: figures)
    async with running.http("scraper") as http:
        assert "throughline_mails_total{" not in (await http.get("/metrics")).text
        figures.update(FIGURES)
        lines = (await http.get("/metrics")).text.splitlines()
    for line in (
        'throughline_mails_total{listener="127.0.0.1:7125",outcome="taken"} 9.0',
        'throughline_mail_faults_total{code="digest_conflict",listener="127.0.0.1:7125"} 1.0',
        'throughline_smtp_refusals_total{listener="127.0.0.1:7125",reply="550"} 5.0',
        'throughline_smtp_connections{listener="127.0.0.1:7125"} 4.0',
        'throughline_delivery_attempts_total{status="sent"} 7.0',
        "throughline_delivery_attempts_under_way 1.0",
        'throughline_webhooks_total{endpoint="crm"} 5.0',
        'throughline_webhook_failures{endpoint="crm"} 24.0',
        'throughline_webhook_disabled{endpoint="crm"} 1.0',
        'throughline_webhook_gaps_total{endpoint="crm"} 1.0',
        'throughline_process{figure="live_journeys",process="cell-0"} 12.0',
        'throughline_process{figure="unanswered",process="channels"} 2.0',
    ):
        assert line in lines
    assert not any("words" in line for line in lines)


def test_they_cross_processes_in_a_file(tmp_path: Path) -> None:
    """Which is not there before the first round."""
    assert read_figures(tmp_path) == {}
    write_figures(tmp_path, FIGURES)
    assert read_figures(tmp_path) == FIGURES
