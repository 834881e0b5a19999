"""Remarks: queues and channels may be any word, so what looks mistyped is asked about."""

from pathlib import Path

import pytest

from actors.policy import Policy
from orchestrator.bundles.folder import copy_default, read_folder
from orchestrator.bundles.making import SetUp, make

GIVEN = SetUp(Policy(), {"mail": ("email", "email"), "chat": ("gateway", "chat")})

TABLE: list[tuple[str, dict[str, str], list[str]]] = [
    (
        "an account's queue",
        {"queues": "chat: claims\nmail: clamis\n", "handoffs": "members:\n  claims: [ann]\n"},
        ["queues.yaml:2: the queue 'clamis' is named nowhere else: is it another one than 'claims'?"],
    ),
    (
        "where an offer goes",
        {"general": "queue_default: service\n", "handoffs": 'kinds:\n  a:\n    to: ["queue:serivce"]\n'},
        ["handoffs.yaml:3: the queue 'serivce' is named nowhere else: is it another one than 'service'?"],
    ),
    (
        "two that are near and named more than once",
        {"queues": "chat: bills\nmail: bill\n", "handoffs": "members: {bill: [], bills: []}\n"},
        [],
    ),
    ("two tiers", {"queues": "chat: tier1\nmail: tier2\n"}, []),
    ("a queue and its lead", {"queues": "chat: claims\nmail: claims-lead\n"}, []),
    (
        "a channel in every place",
        {
            "channels": "emial: {}\n",
            "capture": "templates:\n  - channel: chatt\n",
            "context": "carries:\n  smss: [normal]\nfallback:\n  sms: emial\nswitches:\n  sms to phon: {}\n",
            "correlation": "windows:\n  - {earlier: ap, within: 2h}\n",
        },
        [
            "capture.yaml:2: no account serves a channel 'chatt': did you mean 'chat'?",
            "channels.yaml:1: no account serves a channel 'emial': did you mean 'email'?",
            "context.yaml:2: no account serves a channel 'smss': did you mean 'sms'?",
            "context.yaml:4: no account serves a channel 'emial': did you mean 'email'?",
            "context.yaml:6: no account serves a channel 'phon': did you mean 'phone'?",
            "correlation.yaml:2: no account serves a channel 'ap': did you mean 'app'?",
        ],
    ),
    ("a channel that an account serves", {"accounts": "two:\n  channel: chatt\n", "channels": "chatt: {}\n"}, []),
    ("a channel like none", {"channels": "pigeon: {}\n"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("files", "wanted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_looks_mistyped_is_asked_about(files: dict[str, str], wanted: list[str]) -> None:
    """It is a policy all the same."""
    made = make({f"{name}.yaml": text for name, text in files.items()}, GIVEN)
    assert made.policy is not None, made.wrong
    assert len(made.remarks) == len(wanted), made.remarks
    for said, begins in zip(made.remarks, wanted, strict=True):
        assert str(said).startswith(begins)


@pytest.mark.parametrize("name", ["insurer", "utility"])
def test_the_bundles_that_ship_raise_no_question(name: str, tmp_path: Path) -> None:
    """Neither with the default accounts nor without."""
    copy_default(name, tmp_path / "policy")
    files, _ = read_folder(tmp_path / "policy")
    assert make(files, GIVEN).remarks == []
    assert make(files, SetUp(Policy(), {})).remarks == []
