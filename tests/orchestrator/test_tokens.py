"""Tokens: what the file keeps, who is let in, and what happens when the file changes under a running server."""

import errno
import hashlib
import json
import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.tokens import TokenError, Tokens, mint
from protocol.errors import Code, Refusal


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    """The time, in the test's hands."""
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Tokens:
    """A data folder's tokens; none yet."""
    return Tokens(tmp_path / "data" / "tokens.json", now_ms=clock)


def test_a_created_token_opens_what_it_names(tokens: Tokens) -> None:
    """The text that `create` returns is checked back to the same name and scopes."""
    text, _ = tokens.create(["agent", "gateway:chat"], "ann")
    token = tokens.check(text)
    assert (token.name, token.scopes) == ("ann", ["agent", "gateway:chat"])
    assert token.covers("agent")
    assert token.speaks_for("chat")
    assert not token.speaks_for("mail")
    assert not token.operator


def test_the_star_speaks_for_every_account(tokens: Tokens) -> None:
    """`gateway:*` covers accounts that are configured later."""
    text, _ = tokens.create(["gateway:*"], "bridge")
    assert tokens.check(text).speaks_for("anything")


def test_one_of_the_scopes_that_open_something_is_enough(tokens: Tokens) -> None:
    """What several kinds of people may do asks for any of theirs."""
    _, token = tokens.create(["read"], "ann")
    assert token.covers("agent", "read", "operator")
    assert not token.covers("agent", "operator")


def test_tokens_are_listed_as_they_were_made(tokens: Tokens, clock: Clock) -> None:
    """Their ids are random, and a clock may be put back."""
    for ms, name in ((3, "third"), (1, "first"), (2, "second")):
        clock.ms = ms
        tokens.create(["agent"], name)
    assert [token.name for token in tokens.list()] == ["first", "second", "third"]


def test_a_full_file_takes_no_more_until_one_is_revoked(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read whole, so it is bounded."""
    monkeypatch.setattr("orchestrator.tokens.TOKENS_MAX", 2)
    (_, first), (_, second) = tokens.create(["agent"], "first"), tokens.create(["agent"], "second")
    with pytest.raises(TokenError, match="revoke some first"):
        tokens.create(["agent"], "third")
    assert {token.id for token in tokens.list()} == {first.id, second.id}
    tokens.revoke(first.id)
    tokens.create(["agent"], "third")
    assert [token.name for token in tokens.list() if token.id != second.id] == ["third"]


def test_the_file_keeps_the_hash_alone_and_is_the_owners(tokens: Tokens, tmp_path: Path) -> None:
    """Who reads the file cannot come in with it, and nobody but the owner reads it."""
    text, token = tokens.create(["agent"], "ann")
    path = tmp_path / "data" / "tokens.json"
    secret = text.split("_", 2)[2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret not in path.read_text()
    assert json.loads(path.read_text())["tokens"][0]["sha256"] == hashlib.sha256(secret.encode()).hexdigest()
    assert token.sha256 in path.read_text()


@pytest.mark.parametrize(
    "text",
    ["", "x", "tl_", "tl_000000000000_" + "A" * 43, "Bearer tl_1_2", "tl_" + "é" * 12 + "_" + "A" * 43, "tl_" * 5000],
)
def test_a_wrong_token_is_unauthenticated(tokens: Tokens, text: str) -> None:
    """Whatever is wrong with it, the code is the same."""
    tokens.create(["agent"], "ann")
    with pytest.raises(Refusal) as refused:
        tokens.check(text)
    assert refused.value.code is Code.UNAUTHENTICATED


def test_another_secret_under_a_known_id_is_refused(tokens: Tokens) -> None:
    """The id alone opens nothing."""
    text, _ = tokens.create(["agent"], "ann")
    with pytest.raises(Refusal):
        tokens.check(text[:-1] + ("A" if text[-1] != "A" else "B"))


def test_revoking_works_across_processes(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    """What the CLI's process changes, the server's sees at its next check."""
    server = Tokens(tmp_path / "data" / "tokens.json", now_ms=clock)
    text, token = tokens.create(["agent"], "ann")
    _, other = tokens.create(["agent"], "bob")
    assert server.check(text) == token
    assert server.holds(token)
    assert tokens.revoke(token.id) == token
    assert not server.holds(token)
    assert server.holds(other)
    with pytest.raises(Refusal):
        server.check(text)


def test_without_its_file_no_token_opens_anything(tokens: Tokens, tmp_path: Path) -> None:
    """Who takes the file away has revoked them all; until it is put back."""
    text, token = tokens.create(["agent"], "ann")
    assert tokens.check(text) == token
    path = tmp_path / "data" / "tokens.json"
    path.rename(path.with_suffix(".away"))
    with pytest.raises(Refusal):
        tokens.check(text)
    assert tokens.list() == []
    path.with_suffix(".away").rename(path)
    assert tokens.check(text) == token


def test_a_file_that_nobody_replaced_is_read_once(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at for every request, and may hold thousands."""
    text, _ = tokens.create(["agent"], "ann")
    reads: list[Path] = []
    read_bytes = Path.read_bytes

    def noted(path: Path) -> bytes:
        reads.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    for _ in range(3):
        tokens.check(text)
    assert len(reads) == 1
    tokens.create(["agent"], "bob")
    reads.clear()
    for _ in range(3):
        tokens.check(text)
    assert len(reads) == 1


def test_those_who_change_the_file_at_once_do_not_undo_each_other(tmp_path: Path, clock: Clock) -> None:
    """Each writes all the others' tokens back, or one would be lost that somebody was given."""
    path = tmp_path / "tokens.json"

    def make(writer: int) -> list[str]:
        own = Tokens(path, now_ms=clock)
        return [own.create(["agent"], f"w{writer}.{n}")[0] for n in range(8)]

    with ThreadPoolExecutor(4) as pool:
        made = [text for texts in pool.map(make, range(4)) for text in texts]
    tokens = Tokens(path, now_ms=clock)
    assert len({tokens.check(text).name for text in made}) == 32


def test_what_a_crash_left_beside_the_file_is_in_nobodys_way(tokens: Tokens, tmp_path: Path) -> None:
    """Half a file that was being written, which is the next writer's to replace."""
    text, token = tokens.create(["agent"], "ann")
    (tmp_path / "data" / "tokens.json.new").write_text('{"tok')
    other, _ = tokens.create(["agent"], "bob")
    assert tokens.check(text) == token
    assert tokens.check(other).name == "bob"
    assert not (tmp_path / "data" / "tokens.json.new").exists()


@pytest.mark.parametrize("step", ["write", "sync"])
def test_a_full_disk_changes_nothing(
    tokens: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Those that there are stay, and half a file is not left to fill it."""
    text, token = tokens.create(["agent"], "ann")
    with monkeypatch.context() as patched:
        if step == "sync":
            patched.setattr("orchestrator.whole_files.os.fsync", _full)
            with pytest.raises(OSError, match="No space"):
                tokens.create(["agent"], "bob")
        else:
            usual = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, usual[1]))
            try:
                with pytest.raises(OSError, match="File too large"):
                    tokens.create(["agent"], "bob")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert sorted(each.name for each in (tmp_path / "data").iterdir()) == ["tokens.json", "tokens.lock"]
    assert tokens.check(text) == token
    assert [each.name for each in tokens.list()] == ["ann"]


def _full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_token_expires(tokens: Tokens, clock: Clock) -> None:
    """From `expires_ms` on it opens nothing, also where it was checked before."""
    text, token = tokens.create(["agent"], "ann", expires_ms=clock.ms + 10)
    assert tokens.check(text) == token
    clock.ms += 10
    assert not tokens.holds(token)
    with pytest.raises(Refusal):
        tokens.check(text)


def test_held_tokens_live_in_memory_only(tmp_path: Path, clock: Clock) -> None:
    """A start's fresh tokens need no file and leave none."""
    text, token = mint(["operator"], "cli", now_ms=clock.ms)
    tokens = Tokens(tmp_path / "tokens.json", now_ms=clock, held=[token])
    assert tokens.check(text).operator
    assert tokens.list() == []
    assert not (tmp_path / "tokens.json").exists()


@pytest.mark.parametrize(
    ("scopes", "name", "said"),
    [
        ([], "ann", "needs a scope: agent"),
        (["admin"], "ann", "'admin' is no scope; write agent"),
        (["agent", "gateway:"], "ann", "'gateway:' is no scope; write agent"),
        (["agent"], "", "name has 1 to 64 letters"),
        (["agent"], "a b", "name has 1 to 64 letters"),
    ],
)
def test_a_bad_request_says_what_to_write(tokens: Tokens, scopes: list[str], name: str, said: str) -> None:
    """Unknown scopes and unusable names are refused before anything is written."""
    with pytest.raises(TokenError, match=said):
        tokens.create(scopes, name)
    assert tokens.list() == []


def test_a_token_does_not_begin_expired(tokens: Tokens, clock: Clock) -> None:
    """A time in the past is a mistake."""
    with pytest.raises(TokenError, match="future"):
        tokens.create(["agent"], "ann", expires_ms=clock.ms)


def test_revoking_nothing_is_an_error(tokens: Tokens) -> None:
    """The message says where to look."""
    with pytest.raises(TokenError, match="token list"):
        tokens.revoke("abc")


def test_a_damaged_file_is_named(tokens: Tokens, tmp_path: Path) -> None:
    """Nobody is let in by guesswork."""
    tokens.create(["agent"], "ann")
    (tmp_path / "data" / "tokens.json").write_text("{")
    with pytest.raises(TokenError, match=r"tokens\.json is damaged"):
        tokens.list()
