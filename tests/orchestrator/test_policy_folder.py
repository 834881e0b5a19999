"""The watched folder: what is applied of one in which somebody is writing."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator import policy_folder
from orchestrator.policy_desk import PolicyDesk

WHOLE = {"general.yaml": "attempts_max: 3\nbackoff: 3s\n"}
HALF = {"general.yaml": "attempts_max: 3\n"}


class Desk:
    """Has one version in force, and notes what is applied."""

    def __init__(self, in_force: Mapping[str, str]) -> None:
        self.policy = SimpleNamespace(version=1)
        self.in_force = in_force
        self.troubles: list[Any] = []
        self.applied: list[Mapping[str, str]] = []

    async def version(self, version: int) -> Any:
        """Its files."""
        return SimpleNamespace(files=self.in_force)

    async def check(self, files: Mapping[str, str]) -> Any:
        """Every half is a bundle, too."""
        return SimpleNamespace(wrong=[])

    async def apply(self, files: Mapping[str, str], **_: Any) -> Any:
        """It is in force."""
        self.applied.append(files)
        return SimpleNamespace(version=2)


def read_as(monkeypatch: pytest.MonkeyPatch, readings: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """What was read of a folder that says one of these after the other, without waiting."""
    monkeypatch.setattr(policy_folder, "STILL_S", 0)
    monkeypatch.setattr(policy_folder, "AGAIN_S", 0)
    left = iter(readings)
    taken: list[dict[str, str]] = []

    def reading(_: Path) -> tuple[dict[str, str], list[Any]]:
        taken.append(next(left))
        return taken[-1], []

    monkeypatch.setattr(policy_folder, "read_folder", reading)
    return taken


@pytest.mark.parametrize(
    ("readings", "in_force", "applied", "read"),
    [
        ([WHOLE, WHOLE], {}, [WHOLE], 2),
        ([HALF, WHOLE, WHOLE], {}, [WHOLE], 3),
        ([WHOLE], WHOLE, [], 1),
        ([HALF, WHOLE], WHOLE, [], 2),
    ],
    ids=["saved at once", "while it is saved", "nothing new", "saved as it was"],
)
async def test_a_folder_is_applied_once_it_is_still(
    monkeypatch: pytest.MonkeyPatch,
    readings: list[dict[str, str]],
    in_force: dict[str, str],
    applied: list[dict[str, str]],
    read: int,
) -> None:
    """Half of a file that is being saved may be a bundle by itself."""
    taken = read_as(monkeypatch, readings)
    desk = Desk(in_force)
    await policy_folder.PolicyFolder(Path("policy"), cast(PolicyDesk, desk)).look()
    assert (desk.applied, len(taken)) == (applied, read)


async def test_a_folder_that_is_never_still_is_told_of_and_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is: half of a file has no rules of the other half."""
    read_as(monkeypatch, [*[HALF, WHOLE] * policy_folder.READINGS_MAX, HALF, HALF])
    desk = Desk({})
    told: list[str] = []
    folder = policy_folder.PolicyFolder(Path("policy"), cast(PolicyDesk, desk))
    monkeypatch.setattr(folder, "_trouble", lambda wrong: told.extend(map(str, wrong)))
    await folder.look()
    assert desk.applied == [HALF]
    assert told[0] == "policy:0: somebody writes here all the time: it is applied once it is still"
