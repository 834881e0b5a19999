"""Bundles for a run: those that ship, by name, or a folder; and the next versions of one.

A version differs from the one before in a rule that every cell has to take over, and in nothing that would change what
the run measures.
"""

import re
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct

from actors.rules.policies import Policies, packed
from actors.rules.policy import Policy
from orchestrator.bundles.folder import DEFAULTS, SHIPPED, BundleError, read_folder
from orchestrator.bundles.making import SetUp, make

APPLIED_WITHIN_S = 60.0
GENERAL = "general.yaml"
_CLOSING = re.compile(r"^close_after_resolved:.*$", re.MULTILINE)

Files = dict[str, str]


class NoBundle(Exception):
    """It cannot be read, or the server does not take it; the message says what is wrong."""


class Applied(Struct, frozen=True):
    """A version that is in force, in every cell that runs."""

    version: int
    late: list[str]
    """Cells that were not reached."""


def read(bundle: str) -> Files:
    """The bundle's files. Raises `NoBundle` where it is none."""
    try:
        files, wrong = read_folder(SHIPPED / bundle if bundle in DEFAULTS else Path(bundle))
    except BundleError as exc:
        raise NoBundle(f"--bundle: {exc}; or write one of {', '.join(DEFAULTS)}") from exc
    if wrong:
        raise NoBundle(f"--bundle: {wrong[0].file}: {wrong[0].text}")
    return files


def policy_of(bundle: str) -> Policy:
    """What a cell decides by where the bundle is in force, and settings say nothing. Raises `NoBundle`.

    It knows both versions: conversations may stay with the one that they were begun under."""
    made = make(read(bundle), SetUp(Policy(), {}))
    if made.policy is None:
        raise NoBundle(f"--bundle: {made.wrong[0].file}: {made.wrong[0].text}")
    known = Policies(Policy())
    known.learn([(known.newest.version + 1, packed(made.policy))])
    return known.newest


def next_of(files: Files, number: int) -> Files:
    """The bundle with other days between resolved and closed: for each number others, and more than services take."""
    line = f"close_after_resolved: {11 + number} days"
    general = files.get(GENERAL, "")
    changed, found = _CLOSING.subn(line, general)
    return {**files, GENERAL: changed if found else f"{general}\n{line}\n"}


def apply(url: str, token: str, files: Files, note: str) -> Applied:
    """Makes it the next version; returns when every cell that runs decides by it. Raises `NoBundle`."""
    answer = httpx.post(
        f"{url}/v1/policy",
        json={"files": files, "note": note},
        headers={"Authorization": f"Bearer {token}"},
        timeout=APPLIED_WITHIN_S,
        trust_env=False,
    )
    said: dict[str, Any] = answer.json()
    if answer.status_code != 200:
        raise NoBundle(f"the bundle was not applied: {answer.status_code} {said.get('message', said)}")
    return Applied(said["version"], said["late"])
