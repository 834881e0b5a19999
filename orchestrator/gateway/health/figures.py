"""Figures of the other processes, and how each is, as metrics: read at the moment of a scrape.

A counter begins again at zero with its process, as Prometheus expects of one. What a process that is down or hangs
counts is not there; that it does is.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from orchestrator.cluster.states import Condition, ProcessState, steady_ms
from orchestrator.gateway.health.troubles import ReadStates

ReadFigures = Callable[[], Mapping[str, Mapping[str, Any]]]
"""What each process counts, by its name (see `orchestrator.cluster.part.Part.status`)."""

ARCHIVE, CHANNELS = "archive", "channels"
_MAIL = {
    "outcomes": ("throughline_mails", "Mails that came in, and connections refused, by outcome", "outcome"),
    "faults": ("throughline_mail_faults", "Mails quarantined, deferred or refused, by reason", "code"),
    "replies": ("throughline_smtp_refusals", "SMTP replies that refused something", "reply"),
}
"""By what the channel host calls it: a counter's name, its meaning and its label beside `listener`."""
_UNDER_WAY = "under_way"


class ProcessFigures(Collector):
    """Metrics made of what `read` and `states` answer."""

    def __init__(self, read: ReadFigures, states: ReadStates) -> None:
        self._read = read
        self._states = states

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One scrape's."""
        figures = self._read()
        channels = figures.get(CHANNELS, {})
        yield from _mail(channels.get("mail", {}))
        yield from _attempts(channels.get("outbox", {}))
        yield from _webhooks(channels.get("webhooks", {}))
        yield from _retention(figures.get(ARCHIVE, {}).get("retention", {}))
        flat = GaugeMetricFamily("throughline_process", "Figures of one process", labels=["process", "figure"])
        for process, counted in figures.items():
            for name, value in counted.items():
                if isinstance(value, int | float):
                    flat.add_metric([process, name], value)
        yield flat
        yield from _conditions(self._states())


def _conditions(states: Mapping[str, ProcessState]) -> Iterable[Metric]:
    up = GaugeMetricFamily("throughline_process_up", "1 where the process serves and answers", labels=["process"])
    since = GaugeMetricFamily(
        "throughline_process_trouble_seconds", "How long it has not; 0 where it does", labels=["process"]
    )
    deaths = CounterMetricFamily("throughline_process_deaths", "Ends that nobody asked for", labels=["process"])
    now_ms = steady_ms()
    for process, state in states.items():
        well = state.condition is Condition.UP
        up.add_metric([process], float(well))
        since.add_metric([process], 0.0 if well else (now_ms - state.since_ms) / 1000)
        deaths.add_metric([process], state.deaths)
    yield from (up, since, deaths)


def _mail(listeners: Mapping[str, Mapping[str, Any]]) -> Iterable[Metric]:
    for figure, (name, meaning, label) in _MAIL.items():
        counter = CounterMetricFamily(name, meaning, labels=["listener", label])
        for listener, counted in listeners.items():
            for value, count in counted.get(figure, {}).items():
                counter.add_metric([listener, value], count)
        yield counter
    connections = GaugeMetricFamily("throughline_smtp_connections", "Open SMTP connections", labels=["listener"])
    for listener, counted in listeners.items():
        connections.add_metric([listener], counted.get("connections", 0))
    yield connections


def _webhooks(endpoints: Mapping[str, Mapping[str, Any]]) -> Iterable[Metric]:
    sent = CounterMetricFamily("throughline_webhooks", "Events that an endpoint took", labels=["endpoint"])
    failures = GaugeMetricFamily(
        "throughline_webhook_failures", "Attempts in a row that an endpoint did not take", labels=["endpoint"]
    )
    disabled = GaugeMetricFamily("throughline_webhook_disabled", "1 where nothing is sent", labels=["endpoint"])
    gaps = CounterMetricFamily("throughline_webhook_gaps", "Times that events had gone unsent", labels=["endpoint"])
    for name, counted in endpoints.items():
        sent.add_metric([name], counted["sent"])
        failures.add_metric([name], counted["failures"])
        disabled.add_metric([name], float(counted["state"] == "disabled"))
        gaps.add_metric([name], counted["gaps"])
    yield from (sent, failures, disabled, gaps)


def _retention(told: Mapping[str, Any]) -> Iterable[Metric]:
    dropped = CounterMetricFamily("throughline_retention_dropped", "What retention dropped", labels=["kind"])
    for kind, count in told.get("dropped", {}).items():
        dropped.add_metric([kind], count)
    kept = GaugeMetricFamily("throughline_retention_kept_days", "Days a kind is kept; 0: for ever", labels=["kind"])
    for kind, days in told.get("kept_days", {}).items():
        kept.add_metric([kind], days)
    ran = GaugeMetricFamily("throughline_retention_last_run_seconds", "When retention last ran to its end, Unix time")
    if told.get("last_run_at_ms"):
        ran.add_metric([], told["last_run_at_ms"] / 1000)
    yield from (dropped, kept, ran)


def _attempts(outbox: Mapping[str, int]) -> Iterable[Metric]:
    counter = CounterMetricFamily(
        "throughline_delivery_attempts", "Attempts of the server's own senders, by outcome", labels=["status"]
    )
    for status, count in outbox.items():
        if status != _UNDER_WAY:
            counter.add_metric([status], count)
    yield counter
    under_way = "Attempts that have no outcome yet"
    yield GaugeMetricFamily("throughline_delivery_attempts_under_way", under_way, value=outbox.get(_UNDER_WAY, 0))
