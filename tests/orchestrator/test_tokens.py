"""Tokens: what the file keeps, who is let in, and what happens when the file changes under a running server."""

import hashlib
import json
import stat
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
    assert server.check(text) == token
    tokens.revoke(token.id)
    assert not server.holds(token)
    with pytest.raises(Refusal):
        server.check(text)


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
    ("scopes", "name"), [([], "ann"), (["admin"], "ann"), (["gateway:"], "ann"), (["agent"], ""), (["agent"], "a b")]
)
def test_a_bad_request_says_what_to_write(tokens: Tokens, scopes: list[str], name: str) -> None:
    """Unknown scopes and unusable names are refused before anything is written."""
    with pytest.raises(TokenError):
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
