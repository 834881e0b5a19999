"""Peers: outside programs that tests talk to, and what a test does where one is missing.

`make peers` installs them. A missing one skips its tests and says so; with `CI=true` it fails them, so that a run that
looks whole is whole.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
INSTALL = "`make peers` installs it"


def require_peer(name: str) -> str:
    """The path of the program `name` (`swaks`, `strace`, `node`), or a skip that says how to get it."""
    path = shutil.which(name)
    if path is None:
        missing(name, INSTALL)
    return path


def require_strace() -> str:
    """The path of a strace that may trace here: containers often have the program and forbid its system call."""
    path = require_peer("strace")
    tried = subprocess.run(
        [path, "-qq", "-e", "trace=none", sys.executable, "-c", ""], capture_output=True, check=False
    )
    if tried.returncode != 0:
        missing("strace", "it is installed, but this machine forbids ptrace")
    return path


def require_node_ws() -> tuple[str, dict[str, str]]:
    """The path of a Node that finds the package `ws`, and the environment under which it does."""
    path = require_peer("node")
    environ = {**os.environ, "NODE_PATH": str(ROOT / "node_modules")}
    tried = subprocess.run([path, "-e", "require('ws')"], env=environ, capture_output=True, check=False)
    if tried.returncode != 0:
        missing("Node's package ws", INSTALL)
    return path, environ


def missing(what: str, hint: str) -> NoReturn:
    """Skips the test, or fails it under `CI=true`."""
    reason = f"{what} is missing: {hint}"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
