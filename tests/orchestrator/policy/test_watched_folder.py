"""The watched folder: what is applied of one in which somebody is writing."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from orchestrator.bundles.making import Made
from orchestrator.bundles.reading import Wrong
from orchestrator.policy import watched_folder
from orchestrator.policy.desk import PolicyDesk

WHOLE = {"general.yaml": "attempts_max: 3\nbackoff: 3s\n"}
HALF = {"general.yaml": "attempts_max: 3\n"}


class Desk:
    """Has one version in force, and notes what is applied."""

    def __init__(self, in_force: Mapping[str, str]) -> None:
        self.policy = SimpleNamespace(version=1)
        self.in_force = in_force
        self.troubles: list[Any] = []
        self.applied: list[Mapping[str, str]] = []
        self.made = Made(None, [])
        """What a check finds of any bundle."""
        self.remarked: tuple[int, list[Wrong]] = (0, [])

    async def version(self, version: int) -> Any:
        """Its files."""
        return SimpleNamespace(files=self.in_force)

    async def check(self, files: Mapping[str, str]) -> Any:
        """Every half is a bundle, too."""
        return self.made

    async def check_in_force(self) -> Any:
        """Likewise."""
        return self.made

    def remark(self, version: int, remarks: list[Wrong]) -> bool:
        """As the real one."""
        news, self.remarked = (version, remarks) != self.remarked, (version, remarks)
        return news

    async def apply(self, files: Mapping[str, str], **_: Any) -> Any:
        """It is in force."""
        self.applied.append(files)
        self.in_force = files
        self.policy.version += 1
        return SimpleNamespace(version=self.policy.version)


def read_as(monkeypatch: pytest.MonkeyPatch, readings: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """What was read of a folder that says one of these after the other, without waiting."""
    monkeypatch.setattr(watched_folder, "STILL_S", 0)
    monkeypatch.setattr(watched_folder, "AGAIN_S", 0)
    left = iter(readings)
    taken: list[dict[str, str]] = []

    def reading(_: Path) -> tuple[dict[str, str], list[Any]]:
        taken.append(next(left))
        return taken[-1], []

    monkeypatch.setattr(watched_folder, "read_folder", reading)
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
    await watched_folder.PolicyFolder(Path("policy"), cast(PolicyDesk, desk)).look()
    assert (desk.applied, len(taken)) == (applied, read)


async def test_a_folder_that_is_never_still_is_told_of_and_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is: half of a file has no rules of the other half."""
    read_as(monkeypatch, [*[HALF, WHOLE] * watched_folder.READINGS_MAX, HALF, HALF])
    desk = Desk({})
    told: list[str] = []
    folder = watched_folder.PolicyFolder(Path("policy"), cast(PolicyDesk, desk))
    monkeypatch.setattr(folder, "_trouble", lambda wrong: told.extend(map(str, wrong)))
    await folder.look()
    assert desk.applied == [HALF]
    assert told[0] == "policy:0: somebody writes here all the time: it is applied once it is still"


async def test_what_was_perhaps_not_meant_is_told_once_and_stays_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a line that changes its channel a check says nothing any more once that is in force; who looks later has to
    find it all the same."""
    read_as(monkeypatch, [WHOLE, WHOLE, WHOLE, WHOLE, HALF, HALF])
    desk = Desk(HALF)
    moved, mistyped = Wrong("accounts.yaml", 2, "a line of sms now"), Wrong("queues.yaml", 1, "did you mean")
    folder = watched_folder.PolicyFolder(Path("policy"), cast(PolicyDesk, desk))
    with capture_logs() as logs:
        desk.made = Made(None, [], [moved, mistyped])
        await folder.look()
        desk.made = Made(None, [], [mistyped])
        await folder.look()
        await folder.look()
    assert desk.remarked == (2, [moved, mistyped])
    told = [log for log in logs if log["event"] == "policy.folder_remarks"]
    assert [(log["log_level"], log["version"], log["remarks"]) for log in told] == [
        ("warning", 2, ["accounts.yaml:2: a line of sms now", "queues.yaml:1: did you mean"])
    ]
    desk.made = Made(None, [])
    with capture_logs() as logs:
        await folder.look()
    assert (desk.remarked, [log["event"] for log in logs]) == ((3, []), ["policy.folder_applied"])


async def test_what_is_in_force_already_as_a_server_starts_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a check would: whoever applied it may not have looked."""
    read_as(monkeypatch, [WHOLE])
    desk = Desk(WHOLE)
    desk.made = Made(None, [], [mistyped := Wrong("queues.yaml", 1, "did you mean")])
    await watched_folder.PolicyFolder(Path("policy"), cast(PolicyDesk, desk)).look()
    assert (desk.remarked, desk.applied) == ((1, [mistyped]), [])
