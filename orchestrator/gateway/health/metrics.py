"""Metrics: what the gateway counts, in one registry of its own, read by Prometheus at `/metrics`.

Labels have few values: accounts are configured, codes are a table, nothing a stranger sends becomes one.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from protocol.errors import Code

CONTENT_TYPE = "text/plain; version=0.0.4"
"""The framework adds the charset; a parameter that stands there twice is an error (RFC 6838 §4.3)."""
ACK_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""From a synced commit on a fast disk to a cell's recovery."""

# When a counter began is the process's start; a second series for each would say so a hundred times.
disable_created_metrics()  # type: ignore[no-untyped-call]  # It has no types.


class Latencies(Collector):
    """A histogram for the hot path: `observe` costs a tenth of the library's, which locks and walks all buckets. Only
    the loop's thread may call it."""

    def __init__(self, name: str, meaning: str, buckets_s: tuple[float, ...]) -> None:
        self._name = name
        self._meaning = meaning
        self._buckets_s = buckets_s
        self._counts = [0] * (len(buckets_s) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one."""
        self._counts[bisect_left(self._buckets_s, seconds)] += 1
        self._sum_s += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """As the registry asks for it: counts up to each bucket's bound."""
        bounds = [*map(str, self._buckets_s), "+Inf"]
        counts = list(accumulate(self._counts))
        yield HistogramMetricFamily(
            self._name, self._meaning, buckets=list(zip(bounds, counts, strict=True)), sum_value=self._sum_s
        )


class _Kept(Collector):
    """A counter whose value someone else keeps."""

    def __init__(self, name: str, meaning: str, read: Callable[[], int]) -> None:
        self._name = name
        self._meaning = meaning
        self._read = read

    def collect(self) -> Iterable[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._meaning, value=self._read())


class Metrics:
    """One gateway's counters. `Gauge`s that others own are read at the moment of the scrape: see `watch`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connections = Gauge("throughline_connections", "Open WebSockets", ["kind"], registry=self.registry)
        self.events = Counter(
            "throughline_events", "Inbound events answered, by outcome", ["status", "account"], registry=self.registry
        )
        self.refusals = Counter(
            "throughline_refusals", "Refusals, by code and entrance", ["code", "entrance"], registry=self.registry
        )
        self.ack_seconds = Latencies(
            "throughline_ack_seconds",
            "From an event's arrival to its answer, commit and sync included",
            ACK_BUCKETS_S,
        )
        self.registry.register(self.ack_seconds)
        self.overflows = 0
        self.count("throughline_queue_overflows", "Times a slow client's updates were dropped", lambda: self.overflows)
        self.resyncs = Counter("throughline_resyncs", "Resyncs sent to slow clients", registry=self.registry)
        self.gaps = Counter(
            "throughline_update_gaps",
            "Gaps in a cell's updates that were closed by watching again",
            registry=self.registry,
        )
        self.archive_position = Gauge(
            "throughline_archive_position", "How far the archive follows the journal", registry=self.registry
        )
        self.journal_position = Gauge(
            "throughline_journal_position", "The journal's newest commit", registry=self.registry
        )
        self.ready = Gauge(
            "throughline_ready",
            "1 where all parts work, as /readyz says; /v1/status has the reasons",
            registry=self.registry,
        )
        self.outbox = Gauge(
            "throughline_outbox",
            "Deliveries that have not left, by state; uncertain and dead ones wait for a person",
            ["state"],
            registry=self.registry,
        )
        self.deliveries = Counter(
            "throughline_gateway_deliveries",
            "Deliveries to gateway clients, by outcome",
            ["status"],
            registry=self.registry,
        )

    def refused(self, code: int, entrance: str) -> None:
        """Counts a refusal; `entrance` is `agent`, `gateway`, `http`, `webhook`, `websocket` or `listener`."""
        self.refusals.labels(Code(code).name.lower(), entrance).inc()

    def refused_by_code(self) -> dict[str, int]:
        """Refusals at all entrances together, of each code that there were any of."""
        counted: dict[str, int] = {}
        for family in self.refusals.collect():
            for sample in family.samples:
                code = sample.labels["code"]
                counted[code] = counted.get(code, 0) + int(sample.value)
        return counted

    def watch(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """A gauge whose value someone else owns."""
        Gauge(name, meaning, registry=self.registry).set_function(read)

    def count(self, name: str, meaning: str, read: Callable[[], int]) -> None:
        """A counter that someone else keeps, as a plain number: for what happens with every event."""
        self.registry.register(_Kept(name, meaning, read))

    def text(self) -> bytes:
        """All of it in Prometheus' text form."""
        return generate_latest(self.registry)
