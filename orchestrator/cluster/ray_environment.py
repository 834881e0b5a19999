"""The environment that Ray must be imported under: closed to everyone without this run's token, and quiet.

Ray reads most of it while being imported, so it is set by the process that starts the one that imports Ray.
"""

import secrets
from pathlib import Path

from orchestrator.cluster.run_folder import write_private

LOG_BYTES_MAX = 4 * 1024 * 1024
"""Of each of Ray's log files, which go with the run folder."""


def ray_environment(inherited: dict[str, str], run: Path) -> dict[str, str]:
    """`inherited` with Ray's variables as they must be and no others of Ray's; the first call makes the token."""
    token = run / "ray-token"
    if not token.exists():
        write_private(token, secrets.token_hex(32).encode())
    kept = {name: value for name, value in inherited.items() if not name.startswith("RAY_")}
    return kept | {
        # Whoever reaches a port of Ray's can run code: each call carries this token, which only our user can read.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        # Named for what macOS defaults to: without it Ray resolves 127.0.0.1 to the machine's outside address, listens
        # on every interface, and breaks when a laptop changes networks.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # The default of 15 starves the server as soon as anything else wants the processor.
        "RAY_worker_niceness": "0",
        # Ray would kill the process it holds for the cheapest when memory is short; one that restarts would come back
        # to the same shortage, and our bounds are our own.
        "RAY_memory_monitor_refresh_ms": "0",
        # Else a call to an actor that has died is told of it only 1-2 s later, when Ray has waited for the reason.
        "RAY_timeout_ms_task_wait_for_death_info": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_task_events_report_interval_ms": "0",
        "RAY_enable_metrics_collection": "0",
        "RAY_enable_open_telemetry": "0",
        "RAY_BACKEND_LOG_LEVEL": "warning",
        "RAY_ROTATION_MAX_BYTES": str(LOG_BYTES_MAX),
        "RAY_ROTATION_BACKUP_COUNT": "1",
        # What one raylet has to tell another of what is free, what can be freed, and what is to be fetched: there is
        # one node, no actor asks for a processor, and nothing lies in the object store. By default each is a wake-up of
        # its own five to ten times a second, and the last once a second.
        "RAY_raylet_report_resources_period_milliseconds": "1000",
        "RAY_raylet_check_gc_period_milliseconds": "1000",
        "RAY_object_manager_timer_freq_ms": "1000",
        "RAY_kill_idle_workers_interval_ms": "1000",
        "RAY_gcs_pull_resource_loads_period_milliseconds": "5000",
    }
