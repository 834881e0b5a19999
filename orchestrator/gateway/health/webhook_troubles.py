"""How the endpoints of webhooks are, as their sender last said, and what is wrong with them, in words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator.gateway.health.figures import CHANNELS
from orchestrator.gateway.services import Services


def endpoints_of(here: Services) -> Mapping[str, Mapping[str, Any]]:
    """By name."""
    told: Mapping[str, Mapping[str, Any]] = here.figures().get(CHANNELS, {}).get("webhooks", {})
    return told


def troubles_of_webhooks(endpoints: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What does not go out, since when, and what to do. The server is ready all the same."""
    troubles = []
    for name, told in endpoints.items():
        reason = told.get("reason") or "no answer"
        if told["state"] == "disabled":
            since = _when(told.get("disabled_at_ms"))
            troubles.append(
                f"webhook {name} is disabled since {since} ({reason}): nothing is sent to it; mend it, then "
                f"`throughline webhook enable {name}`"
            )
        elif told["state"] == "retrying":
            since = _when(told.get("failing_since_at_ms"))
            troubles.append(f"webhook {name} fails since {since} ({reason}, {told['failures']} times)")
    return troubles


def _when(at_ms: int | None) -> str:
    if not at_ms:
        return "a while"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
