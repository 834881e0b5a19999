"""The open files that the system allows a process: how many connections they leave room for.

Past them the system's library closes whoever comes next without a word, and stores, pipes and attachments, which are
files too, cannot be opened either: fewer connections are taken instead, and one more is answered as at the setting.
"""

import resource

from orchestrator.settings.sections import Settings

KEPT_BACK = 256
"""For stores, pipes and attachments: a gateway without clients has 78 open, and each seat of a customer one more."""
RAISED_TO = 65_536
"""What Ray raises a process's soft limit to as it starts, where the hard one allows it."""


def allowed_now() -> int:
    """The open files of this process by its soft limit (getrlimit(2)), macOS's `unlimited` too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return RAISED_TO if soft == resource.RLIM_INFINITY else soft


def allowed_to_come() -> int:
    """Those of the processes that Ray starts from this one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return RAISED_TO if resource.RLIM_INFINITY in (soft, hard) else max(soft, min(hard, RAISED_TO))


def connections_of(wanted: int, open_files: int, seats: int) -> int:
    """How many of the connections that are wanted there is room for: half of the files at least."""
    return min(wanted, max(open_files - KEPT_BACK - seats, open_files // 2))


def too_few(settings: Settings) -> str:
    """What to tell of `http.connections_max` where that many cannot be had; empty where they can."""
    wanted, files = settings.http.connections_max, allowed_to_come()
    room = connections_of(wanted, files, settings.limits.dedicated_max)
    if room >= wanted:
        return ""
    return (
        f"The system allows a process {files} open files: {room} connections are taken, and not the {wanted} of "
        "http.connections_max. Raise the limit (ulimit -n; LimitNOFILE of systemd), or lower the setting"
    )
