"""Logs: one JSON object a line, into a file for each process, bounded by rotation, without customers' words.

Events have static names; what varies is in fields. Libraries' own warnings go to the same file. An exception is logged
by its type and where it passed, not by its text, which may quote what it failed on; only errors raised on purpose, and
the system's, say theirs. A line that its file does not take, on a full disk, is lost; standard error says so once.
"""

import contextlib
import logging
import logging.handlers
import sys
import traceback
from pathlib import Path

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from protocol.errors import ThroughlineError

FILE_BYTES_MAX = 10 * 1024 * 1024
FILES_KEPT = 4
"""Beside the one being written: 50 MiB for each process at most, the oldest dropped."""


def log_to(path: Path, level: str) -> None:
    """Sends this process's logs to `path` from now on; `level` is a name of `logging`'s, in any case."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _File(path, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_words,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for package in ("orchestrator", "actors", "adapters"):
        logging.getLogger(package).setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


class _File(logging.handlers.RotatingFileHandler):
    """The file. Where it takes no more, that is said once until it does again: `logging` itself would print a trace
    for each line."""

    _refused = _said = False

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line."""
        self._refused = False
        super().emit(record)
        self._said = self._refused

    def handleError(self, record: logging.LogRecord) -> None:
        """What `emit` failed with, as it is being handled."""
        exc = sys.exception()
        if not isinstance(exc, OSError):
            super().handleError(record)
            return
        self._refused = True
        if not self._said:
            with contextlib.suppress(OSError):  # Standard error may be a file on the same disk.
                sys.stderr.write(f"{self.baseFilename} takes no log lines: {exc.strerror}\n")
                sys.stderr.flush()


def _exception_without_words(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Replaces `exc_info` by the chain of exceptions, innermost cause last, each with the places it passed."""
    given = event.pop("exc_info", None)
    if not given:
        return event
    exc = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exception()
    chain: list[dict[str, object]] = []
    while exc is not None and len(chain) < CHAIN_MAX:
        frames = traceback.extract_tb(exc.__traceback__)[-FRAMES_MAX:]
        chain.append(
            {
                "type": type(exc).__qualname__,
                "text": str(exc) if isinstance(exc, (ThroughlineError, OSError)) else "",
                "at": [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames],
            }
        )
        exc = exc.__cause__ or exc.__context__
    event["exception"] = chain
    return event


CHAIN_MAX = 5
FRAMES_MAX = 12
"""What of a chain and a trace is kept: enough to find the place, little enough for one line."""
