"""Where a person stands: what accounts quarantined names them, however it spells their address."""

import pytest

from protocol import events as ev
from tests.adapters.stores.archive.test_conformance import ANN, Archive, archive
from tests.adapters.stores.story import Story

__all__ = ["archive"]  # The fixture, for both kinds of archive.

ACCOUNT = "account:form"
FILES = {"a" * 64: b"From: Ann <ann@example.org>", "b" * 64: b"From: bob@example.org"}


async def named(archive: Archive, identity: str, *raws: bytes) -> list[int]:
    """Which of these quarantined inputs, counted from 1, are Ann's to forget, who has the identity."""
    story = Story()
    story.meet(ANN, identity, "form", "hello")
    for n, raw in enumerate(raws, start=1):
        refused = ev.InputQuarantined(
            at_ms=0, quarantine=f"form.{n}", account="form", source="s", id=str(n), code=4200, field="f",
            reason="r", raw=raw, received_ms=1,
        )  # fmt: skip
        story.unit(ACCOUNT, (ACCOUNT, refused))
    await archive.follow(story)
    found = await archive.reader.mentions_of(ANN, FILES.__getitem__, "DE")
    assert {event.stream for event in found} <= {ACCOUNT}
    return [event.seq for event in found]


@pytest.mark.parametrize(
    ("identity", "raw"),
    [
        ("mailto:ann@xn--exmple-cua.org", '{"from": "ann@exämple.org"}'),
        ("mailto:ann@xn--exmple-cua.org", '{"from": "Ann@EXÄMPLE.org"}'),
        ("mailto:ann@xn--exmple-cua.org", '{"from": "ann@exa\u0308mple.org"}'),
        ("mailto:ann@xn--exmple-cua.org", r'{"from": "ann@ex\u00E4mple.org"}'),
        ("mailto:ann@xn--exmple-cua.org", '{"from": "ann@XN--exmple-cua.org"}'),
        ("mailto:ann@example.org", "From: Ann <Ann@Example.org>\r\n"),
        ("mailto:ann@xn--7l3i.jp", r'{"from": "ann@\ud842\udfb7.jp"}'),
        ("mailto:jos\u00e9@example.org", r'{"from": "JOSE\u0301@example.org"}'),
        ("x:ann_smith", '{"from": "@Ann_Smith"}'),
        ("x:Änn_Smith", '{"from": "@Änn_Smith"}'),
        ("messenger:AbCdE", '{"from": "AbCdE"}'),
        ("tel:+447700900123", '{"from": "+447700900123"}'),
    ],
)
async def test_an_address_is_found_in_any_of_its_spellings(archive: Archive, identity: str, raw: str) -> None:
    """A form sends it as it was typed, and JSON may escape its letters."""
    assert await named(archive, identity, b"nobody", raw.encode()) == [2]


async def test_a_mail_that_lies_in_a_file_is_looked_through(archive: Archive) -> None:
    """Where it is one; what only looks like its name is not."""
    raws = [f'{{"message_sha256":"{name}","size_bytes":9}}'.encode() for name in FILES]
    assert await named(archive, "mailto:ann@example.org", *raws, b'{"message_sha256":"../a"}') == [1]


async def test_what_capitals_tell_apart_is_somebody_elses(archive: Archive) -> None:
    """Ids that networks give out are others with other capitals."""
    assert await named(archive, "messenger:AbCdE", b'{"from": "abcde"}', b'{"from": "AbCdE"}') == [2]


async def test_input_that_is_no_text_is_looked_through(archive: Archive) -> None:
    """Bytes that are no UTF-8, and half a letter, hide nothing of what is beside them."""
    assert await named(archive, "mailto:ann@example.org", b"\xff\x00\\ud83d ann@example.org", b"\xff\\ud83d") == [1]
