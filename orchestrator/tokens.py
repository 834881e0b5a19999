"""Tokens: who may come in, and for what. Owns the tokens file (`data/tokens.json`, mode 600).

A token reads `tl_<id>_<secret>`. The file keeps the secret's SHA-256 only. No slow password hash is needed: a slow hash
makes guessing a *human's* choice expensive, and this secret is 256 random bits, which nobody can guess at any speed.

    scope               opens
    agent               the agents' WebSocket, conversations over HTTP, commands
    gateway:<account>   events of that channel account and its deliveries; `gateway:*` of every account
    read                every HTTP read
    metrics             /metrics and /readyz
    operator            all of HTTP: reads, commands, quarantine, outbox, metrics

The CLI writes the file while the server reads it: writers hold a lock beside it and replace it whole, readers notice.
"""

import base64
import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestrator.whole_files import write_whole
from protocol.errors import Code, Refusal, ThroughlineError

SECRET_BYTES = 32
ID_BYTES = 6
"""Twelve hex digits: an id is no secret, it only must not repeat within one file."""
TOKENS_MAX = 10_000
"""Tokens in one file; it is read whole."""
TEXT_MAX = 200
"""Characters of a presented token that are looked at: ours have 80."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""A name stands in the journal (`agent:<name>`) and in inboxes (`owner:<name>`)."""
SCOPE = re.compile(r"agent|read|metrics|operator|gateway:(\*|[A-Za-z0-9][A-Za-z0-9._-]{0,63})")

_TEXT = re.compile(r"tl_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODY = "0" * 64
"""Compared against where the id is unknown, so that an unknown id takes as long as a wrong secret."""


class TokenError(ThroughlineError):
    """The tokens file or a request to change it is wrong; the message says what to write."""


class Token(Struct, kw_only=True, frozen=True):
    """What is kept of one token."""

    id: str
    name: str
    scopes: list[str]
    sha256: str
    """Lower-case hex of the secret's hash."""
    created_ms: int
    expires_ms: int = 0
    """0: never."""

    @property
    def operator(self) -> bool:
        """Whether it opens all of HTTP."""
        return "operator" in self.scopes

    def covers(self, *scopes: str) -> bool:
        """Whether it has one of these scopes."""
        return any(scope in self.scopes for scope in scopes)

    @property
    def accounts(self) -> list[str]:
        """The channel accounts that its scopes name, whether there are such or not; `*` where that is all."""
        return [scope.removeprefix("gateway:") for scope in self.scopes if scope.startswith("gateway:")]

    def speaks_for(self, account: str) -> bool:
        """Whether it may send this channel account's events and take its deliveries."""
        return "gateway:*" in self.scopes or f"gateway:{account}" in self.scopes


class _File(Struct, kw_only=True):
    tokens: list[Token] = []


def mint(
    scopes: Sequence[str],
    name: str,
    *,
    now_ms: int,
    expires_ms: int = 0,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[str, Token]:
    """Makes a token: its text, which is nowhere else, and what to keep of it. Raises `TokenError`."""
    if not NAME.fullmatch(name):
        raise TokenError("a token's name has 1 to 64 letters, digits, dots, dashes, underscores or @")
    if not scopes:
        raise TokenError("a token needs a scope: agent, gateway:<account>, gateway:*, read, metrics or operator")
    for scope in scopes:
        if not SCOPE.fullmatch(scope):
            raise TokenError(
                f"{scope!r} is no scope; write agent, gateway:<account>, gateway:*, read, metrics or operator"
            )
    if expires_ms and expires_ms <= now_ms:
        raise TokenError("a token must expire in the future")
    identifier = random_bytes(ID_BYTES).hex()
    secret = base64.urlsafe_b64encode(random_bytes(SECRET_BYTES)).decode().rstrip("=")
    token = Token(
        id=identifier,
        name=name,
        scopes=list(dict.fromkeys(scopes)),
        sha256=_hash(secret),
        created_ms=now_ms,
        expires_ms=expires_ms,
    )
    return f"tl_{identifier}_{secret}", token


class Tokens:
    """The tokens of one data folder. `held` are more that live in memory only, such as a start's fresh ones."""

    def __init__(self, path: Path, *, now_ms: Callable[[], int], held: Sequence[Token] = ()) -> None:
        self._path = path
        self._now_ms = now_ms
        self._held = {token.id: token for token in held}
        self._kept: dict[str, Token] = {}
        self._seen: tuple[int, int, int] | None = None

    def create(self, scopes: Sequence[str], name: str, *, expires_ms: int = 0) -> tuple[str, Token]:
        """Adds a token and returns its text, which cannot be shown again. Raises `TokenError`."""
        text, token = mint(scopes, name, now_ms=self._now_ms(), expires_ms=expires_ms)
        with self._changing() as file:
            if len(file.tokens) >= TOKENS_MAX:
                raise TokenError(f"the tokens file holds {TOKENS_MAX} tokens; revoke some first")
            file.tokens.append(token)
        return text, token

    def revoke(self, id: str) -> Token:
        """Takes a token away, at once for new requests. Raises `TokenError` where there is none."""
        with self._changing() as file:
            for token in file.tokens:
                if token.id == id:
                    file.tokens.remove(token)
                    return token
            raise TokenError(f"there is no token {id!r}; `throughline token list` shows all")

    def list(self) -> Sequence[Token]:
        """Every token of the file, oldest first."""
        self._refresh()
        return sorted(self._kept.values(), key=lambda token: (token.created_ms, token.id))

    def check(self, text: str) -> Token:
        """Whose token this is. Raises `Refusal` (`UNAUTHENTICATED`), which never says what part was wrong."""
        if not text:
            raise Refusal(Code.UNAUTHENTICATED, "a token is needed: send Authorization: Bearer tl_…")
        parts = _TEXT.fullmatch(text[:TEXT_MAX])
        if parts is None:
            raise Refusal(Code.UNAUTHENTICATED, "the token is not of the form tl_<id>_<secret>")
        token = self._find(parts[1])
        same = hmac.compare_digest(_hash(parts[2]), token.sha256 if token else _NOBODY)
        if token is None or not same or self._expired(token):
            raise Refusal(Code.UNAUTHENTICATED, "the token is unknown, expired or revoked")
        return token

    def holds(self, token: Token) -> bool:
        """Whether a token that was checked before still opens anything: neither revoked nor expired since."""
        return self._find(token.id) == token and not self._expired(token)

    def _expired(self, token: Token) -> bool:
        return 0 < token.expires_ms <= self._now_ms()

    def _find(self, id: str) -> Token | None:
        self._refresh()
        return self._held.get(id) or self._kept.get(id)

    def _refresh(self) -> None:
        """Reads the file again where it was replaced: a replaced file is another inode."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._kept, self._seen = {}, None
            return
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            self._kept = {token.id: token for token in self._read().tokens}
            self._seen = seen

    def _read(self) -> _File:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except msgspec.DecodeError as exc:
            raise TokenError(
                f"{self._path.name} is damaged: {exc}; restore it, or remove it and create tokens anew"
            ) from exc

    @contextmanager
    def _changing(self) -> Iterator[_File]:
        """The file's content, written back when the block ends well. One writer at a time, across processes."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            file = self._read()
            yield file
            write_whole(self._path, msgspec.json.format(msgspec.json.encode(file)))
        finally:
            os.close(lock)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
