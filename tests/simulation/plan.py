"""The plan of one run: everything that its seed decides before it begins."""

from dataclasses import dataclass
from random import Random

from actors.rules.retention import HOUR_MS, RetentionRules
from orchestrator.settings import (
    EmailAccount,
    GatewayAccount,
    Limits,
    Placement,
    PolicySettings,
    Settings,
    TwilioAccount,
)
from protocol.pipe import UNACKED_BYTES_MAX

NOWHERE = "no-such-folder"
"""Where files would lie, if there were any."""

SOURCES = ("chat", "messenger")
"""Accounts of gateway clients: the first is trusted with several identities in one event, the other is not."""

CHANNELS = {"mail": "email", "sms": "sms", "chat": "chat", "messenger": "messenger"}
"""By account."""

FAULTS = (
    "kill_journal",
    "kill_archive",
    "kill_cell",
    "kill_gateway",
    "kill_usher",
    "kill_channels",
    "commit_lost",
    "commit_ambiguous",
    "crash_before_commit",
    "crash_after_commit",
    "fence_ambiguous",
    "archive_lost",
    "archive_ambiguous",
    "power",
    "break_pipe",
    "part",
    "slow_pipes",
    "slow_disk",
    "slow_archive",
    "second_life",
    "break_socket",
    "restart_client",
    "slow_agent",
    "busy_agent",
    "clock_forward",
    "clock_back",
    "provider",
    "duplicate",
    "conflict",
    "bad_input",
)
SWITCH = "policy_switch"
"""New rules in the midst of it all. Drawn by itself, so that a seed's other faults are those it ever had."""
LAST_WORDS = "kill_cell_speaking"
"""A cell dies as it says what it has committed: late, so that nothing else may happen to whom it spoke of. Likewise."""
PLACEMENTS: tuple[Placement, Placement] = ("pooled", "dedicated")


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    settings: Settings
    placement: Placement
    active_s: float
    """How long there is traffic and trouble."""
    events: int
    commands: int
    handoffs: int
    """Steps of handoffs; none in half of the runs."""
    corrections: int
    """Corrections of where contacts belong; none in half of the runs."""
    merges: int
    """Merges of customers, and their undoing; none in half of the runs."""
    strays: int
    """Addresses that are taken from their customer for a moment; none in seven of eight runs."""
    replays: int
    """Replays of what lies in quarantine, under a template that refuses; none in three of four runs."""
    reported: bool
    """Whether the provider says later what became of what left; in one of eight runs."""
    imports: int
    """Files with contacts of the past; none in seven of eight runs."""
    erasures: int
    """Customers who are erased, each on a stopped server; none in five of seven runs."""
    kept: RetentionRules
    """What the policy says of retention; nothing in runs without any."""
    ruled: bool
    """Whether rules say what contacts are about, where they belong and when they end; in half of the runs."""
    people: int
    agents: int
    gateways: int
    """Two in a quarter of the runs: whoever dials finds one of those that are up."""
    unacked_bytes_max: int
    """What a cell's line to the gateway keeps before it is full."""
    faults: tuple[tuple[float, str], ...]
    """When, and what."""


def plan_of(seed: int, *, placement: str) -> Plan:
    """Draws the plan of a seed. `placement`: `pooled`, `dedicated`, or `both`: then the seed chooses."""
    random = Random(f"plan {seed}")
    drawn = random.choice(PLACEMENTS)
    chosen = next((each for each in PLACEMENTS if each == placement), drawn)
    active_s = random.uniform(4.0, 12.0)
    settings = _settings(random, chosen)
    # Which quarter it is was chosen so that most seeds known to catch a mutant stay what they were.
    gateways = Random(f"gateways: {seed}").choice((1, 1, 2, 1))
    return Plan(
        seed=seed,
        placement=chosen,
        settings=settings,
        active_s=active_s,
        events=random.randrange(20, 90),
        commands=random.randrange(10, 70),
        # Not drawn from the others' `Random`: runs without handoffs are what they would be were there none.
        handoffs=Random(f"handoffs {seed}").choice((0, 0, 30, 80)),
        corrections=Random(f"corrections {seed}").choice((0, 0, 20, 50)),
        merges=Random(f"merges {seed}").choice((0, 0, 4, 12)),
        strays=Random(f"strays {seed}").choice((0, 0, 0, 0, 0, 0, 0, 4)),
        replays=Random(f"replays 19278 {seed}").choice((0, 0, 0, 8)),
        # The numbers were chosen so that no seed known to catch a mutant has any, here and below.
        reported=Random(f"reports 147 {seed}").randrange(8) == 0,
        imports=2 if Random(f"imports 793 {seed}").randrange(8) == 0 else 0,
        erasures=Random(f"erasures {92 if settings.retention_days else 39} {seed}").choice((0, 0, 0, 0, 0, 0, 1, 2)),
        kept=_kept(seed) if settings.retention_days else RetentionRules(),
        ruled=Random(f"rules {seed}").random() < 0.5,
        people=random.randrange(2, 7),
        agents=random.randrange(1, 4),
        gateways=gateways,
        unacked_bytes_max=random.choice((3 * 1024, UNACKED_BYTES_MAX, UNACKED_BYTES_MAX)),
        faults=tuple(
            sorted(
                (
                    *_faults(random, active_s, retained=bool(settings.retention_days)),
                    *_switches(seed, active_s),
                    *_last_words(seed, active_s),
                    *(_gateway_deaths(seed, active_s) if gateways > 1 else ()),
                )
            )
        ),
    )


def _faults(random: Random, active_s: float, *, retained: bool) -> tuple[tuple[float, str], ...]:
    """Some kinds, some of them several times; a few runs have none, and show that the checks hold in peace."""
    kinds = random.sample(FAULTS, random.choice((0, 1, 2, 3, 4, 6, 9)))
    faults = [(random.uniform(0.1, active_s), kind) for kind in kinds for _ in range(random.choice((1, 1, 2, 4)))]
    if retained and random.random() < 0.4:
        # What retention takes, and what a power failure takes after it: chance brings the two together too seldom.
        hour_s = random.uniform(0.4, 0.9) * active_s
        faults += [(hour_s, "clock_forward"), (random.uniform(hour_s, active_s), "power")]
    return tuple(sorted(faults))


def _kept(seed: int) -> RetentionRules:
    """Some kinds are kept for ever, or for an hour, which the clock jumps over; what is not said goes by the settings.
    The journal may have what the archive dropped long ago."""
    # The number was chosen so that no seed known to catch a mutant says anything.
    random = Random(f"kept 78213 {seed}")
    if random.random() < 0.5:
        return RetentionRules()
    said = {name: random.choice((None, None, 0, HOUR_MS)) for name in RetentionRules.__struct_fields__}
    return RetentionRules(**{**said, "journal_ms": random.choice((None, 0, 0))})


def _switches(seed: int, active_s: float) -> list[tuple[float, str]]:
    random = Random(f"switches {seed}")
    count = random.choice((0, 0, 0, 1, 2, 4))
    return [(random.uniform(0.1, active_s), SWITCH) for _ in range(count)]


def _last_words(seed: int, active_s: float) -> list[tuple[float, str]]:
    random = Random(f"last words {seed}")
    return [(random.uniform(0.8, 1.0) * active_s, LAST_WORDS)] if random.random() < 0.25 else []


def _gateway_deaths(seed: int, active_s: float) -> list[tuple[float, str]]:
    """One of two dies, and whom it served goes on at the other: chance alone would show it too seldom."""
    random = Random(f"gateway deaths {seed}")
    return [(random.uniform(0.1, active_s), "kill_gateway") for _ in range(random.choice((1, 2, 4)))]


def _settings(random: Random, placement: Placement) -> Settings:
    crowded = random.random() < 0.4
    return Settings(
        data=NOWHERE,
        store="memory",
        placement=placement,
        cells=random.randrange(1, 4),
        retention_days=random.choice((0.0, 0.0, 30 / 86_400)),
        limits=Limits(
            agent_queue_bytes=random.choice((1024, 2048, 256 * 1024)),
            gateway_credits=random.choice((2, 8, 4096)),
            live_journeys_max=random.randrange(1, 3) if crowded else 1000,
            passivate_after_s=random.choice((0.5, 3.0)) if crowded else 900.0,
            dedicated_warm=random.choice((1, 2)),
            dedicated_max=random.choice((2, 3, 20)),
            archive_lag_max=random.choice((5, 50, 100_000)),
        ),
        policy=PolicySettings(
            close_after_resolved_s=random.choice((0.5, 2.0)),
            rest_after_s={"chat": 3.0, "email": 20.0, "sms": 5.0},
            uncertain={"email": "retry", "sms": "hold", "chat": "hold"},
            attempts_max=4,
            backoff_s=0.2,
            backoff_max_s=2.0,
        ),
        accounts=[
            EmailAccount(name="mail", address="support@example.org"),
            TwilioAccount(name="sms", number="+447700900000", account_sid="AC0", auth_token="0"),
            GatewayAccount(name="chat", channel="chat", trusted=True),
            GatewayAccount(name="messenger", channel="messenger"),
        ],
    )
