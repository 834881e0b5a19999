"""What a figure was measured on: said in every result, since it means little without."""

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version

Setting = dict[str, str | int | float]

_VERSIONS = ("ray", "websockets", "uvicorn", "msgspec")


def setting(file_system: str, **more: str | int | float) -> Setting:
    """The machine, versions and date, behind what the scenario says of itself."""
    return {
        **more,
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count() or 0,
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "file_system": file_system,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in _VERSIONS},
    }
