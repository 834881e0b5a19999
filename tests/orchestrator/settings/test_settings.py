"""Settings: what an operator writes is checked before anything starts, and the message names the field."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.settings import Settings, SettingsError
from orchestrator.settings.file import load, parse

MAIL = {"kind": "email", "name": "mail", "address": "support@example.org"}
TWILIO = {"kind": "twilio", "name": "sms", "number": "+447700900000", "account_sid": "AC1", "auth_token": "12345"}


def account(**fields: Any) -> dict[str, Any]:
    """Settings with one mail account."""
    return {"accounts": [{**MAIL, **fields}]}


def webhook(**fields: Any) -> dict[str, Any]:
    """Settings with one webhook."""
    return {"webhooks": [{"name": "crm", "url": "https://x", "secret": "whsec_" + "A" * 32, **fields}]}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"cells": -3}, "cells: .*>= 0"),
        ({"cells": 257}, "cells: .*<= 256"),
        ({"region": "ZZZ"}, "region is 'ZZZ'.*such as GB"),
        ({"region": "gb"}, "region is 'gb'.*in capitals"),
        ({"log_level": "loud"}, "log_level: .*'loud'.*debug, info, warning, error"),
        ({"store": "paper"}, "store: .*sqlite, memory"),
        ({"durability": "none"}, "durability: .*full, process"),
        ({"data": ""}, "data: "),
        ({"retention_days": -1}, "retention_days: .*>= 0"),
        ({"retention_days": float("nan")}, "retention_days: "),
        ({"retention_days": float("inf")}, "retention_days: "),
        ({"limits": {"gateway_credits": -1}}, r"limits\.gateway_credits: .*>= 1"),
        ({"limits": {"drain_s": -0.5}}, r"limits\.drain_s: .*>= 0"),
        ({"limits": {"agent_queue_bytes": 0}}, r"limits\.agent_queue_bytes: "),
        ({"limits": {"watches_max": True}}, r"limits\.watches_max: .*bool"),
        ({"http": {"port": 99999}}, r"http\.port: .*<= 65535"),
        ({"http": {"strangers_per_address": -1}}, r"http\.strangers_per_address: .*>= 0"),
        ({"http": {"proxies": ["10.0.0.2", "10.0.0.0/33"]}}, r"http\.proxies: '10\.0\.0\.0/33' is .*; write 10\.0"),
        ({"http": {"connections_max": 0}}, r"http\.connections_max: .*>= 1"),
        ({"http": {"origins": "https://x"}}, r"http\.origins: "),
        ({"policy": {"uncertain": {"sms": "banana"}}}, r"policy\.uncertain.*'banana'.*retry, hold"),
        ({"policy": {"rest_after_s": {"": 1}}}, r"policy\.rest_after_s.*>= 1"),
        ({"policy": {"uncertain": {"sms ": "hold"}}}, r"policy\.uncertain.*matching regex"),
        ({"policy": {"rest_after_s": {"sms": -1}}}, r"policy\.rest_after_s.*>= 0"),
        ({"policy": {"attempts_max": 0}}, r"policy\.attempts_max: .*>= 1"),
        ({"policy": {"backoff_s": "soon"}}, r"policy\.backoff_s: "),
        (account(relay_tls="maybe"), r"accounts\[0\]\.relay_tls: .*none, starttls, tls"),
        (account(name="a/b"), r"accounts\[0\]\.name: .*letters and digits"),
        (account(name=""), r"accounts\[0\]\.name: "),
        (account(name="mail\n"), r"accounts\[0\]\.name: "),
        (account(name="-mail"), r"accounts\[0\]\.name: "),
        (account(name="m" * 65), r"accounts\[0\]\.name: "),
        (account(address="support"), r"accounts\[0\]\.address: .*mail address"),
        (account(message_bytes_max=-1), r"accounts\[0\]\.message_bytes_max: "),
        (account(kind="fax"), r"accounts\[0\]\.kind: .*email, twilio, gateway"),
        ({"accounts": [MAIL, MAIL]}, "account names must be unique; .*mail"),
        ({"webhooks": webhook()["webhooks"] * 2}, "webhooks' names must be unique; .*crm"),
        (
            {"webhooks": [*webhook()["webhooks"], *webhook(name="Crm")["webhooks"]]},
            r"capitals; \['Crm', 'crm'\] do not",
        ),
        ({"colour": "red"}, "`colour`; known are accounts, .*webhooks$"),
        ({"placment": "pooled"}, r"`placment`; did you mean placement\?"),
        ({"http": {"prot": 7100}}, r"http: .*`prot`; did you mean port\?"),
        ({"port": 7100}, r"`port`; did you mean http\.port\? It stands under \[http\]"),
        (webhook(attempts_max=16), r"webhooks\[0\]: .*`attempts_max`; did you mean retry_s\? Its last wait"),
        (webhook(backoff_s=2), r"`backoff_s`; did you mean retry_s\?"),
        (webhook(backoff_max_s=2), r"`backoff_max_s`; did you mean retry_s\?"),
        ({"http": {"durability": "full"}}, "http: .*`durability`; it stands above all sections"),
        (webhook(secret="whsec_" + "A" * 33), "webhook 'crm': secret: write whsec_"),
        (webhook(secret_before="whsec_" + "A" * 33), "webhook 'crm': secret_before: write whsec_"),
        ({"accounts": [TWILIO | {"auth_token": ""}]}, r"accounts\[0\]\.auth_token: .*>= 1"),
        ({"accounts": [TWILIO | {"account_sid": ""}]}, r"accounts\[0\]\.account_sid: .*>= 1"),
        ({"http": {"host": "0.0.0.0"}}, "http.host is '0.0.0.0'.*'sms' has the demo's auth_token"),
        ({"http": {"host": "::"}}, "http.host is '::'.*everybody knows"),
        ({"http": {"host": "desk.example.org"}}, "accounts of your own, or accounts = "),
        (account(adress="a@b.org"), r"accounts\[0\]: .*`adress`; did you mean address\?"),
    ],
)
def test_what_makes_no_sense_is_refused(raw: dict[str, Any], said: str) -> None:
    """Before anything starts, and not by some part's crash hours later."""
    with pytest.raises(SettingsError, match=f"^settings: .*{said}"):
        parse(raw)


def test_a_port_that_others_reach_has_accounts_of_ones_own() -> None:
    """Or none. On loopback the demo's may stay."""
    for accounts in ([TWILIO], []):
        assert parse({"http": {"host": "0.0.0.0"}, "accounts": accounts}).http.host == "0.0.0.0"
    for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        assert parse({"http": {"host": host}}).accounts == Settings().accounts


def test_an_account_may_be_called_what_urls_and_streams_can_carry() -> None:
    """Letters, digits, hyphen and underscore; 64 of them."""
    for name in ("a", "Mail-2_b", "7", "m" * 64):
        assert parse(account(name=name)).accounts[0].name == name


def test_the_defaults_pass_their_own_check() -> None:
    """Each value is in its range; the run folder's copy is read through the same types."""
    assert parse({}) == Settings()
    assert msgspec.json.decode(msgspec.json.encode(Settings()), type=Settings) == Settings()


@pytest.mark.parametrize("content", [b"cells = ", b"\xff\xfe", b"cells = 1\ncells = 2\n"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes) -> None:
    """The message has the file's name."""
    file = tmp_path / "throughline.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"throughline\.toml is not TOML"):
        load(file, {})


def test_a_file_may_begin_with_an_editors_mark(tmp_path: Path) -> None:
    """As Windows' editors save it."""
    file = tmp_path / "throughline.toml"
    file.write_bytes("\ufeffcells = 3\r\ndata = 'Schäden'\r\n".encode())
    assert (load(file, {}).cells, load(file, {}).data) == (3, "Schäden")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A folder in its place, for one."""
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path, {})


@pytest.mark.parametrize("environ", [{"THROUGHLINE_CELLS": "-3"}, {"THROUGHLINE_HTTP_PORT": "99999"}])
def test_the_environment_is_checked_as_the_file_is(tmp_path: Path, environ: dict[str, str]) -> None:
    """It is no way around the ranges, and it is named beside the file, in which nothing may be wrong."""
    file = tmp_path / "throughline.toml"
    file.touch()
    with pytest.raises(SettingsError, match=r"cells: |http\.port: ") as refused:
        load(file, environ)
    assert f"(read from {file}, {', '.join(environ)})" in str(refused.value)


_KNOWN = st.sampled_from(
    [*Settings.__struct_fields__, "port", "kind", "name", "email", "gateway", "uncertain", "drain_s", "address"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _KNOWN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KNOWN | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_KNOWN, _VALUES, max_size=6))
def test_whatever_a_file_says_is_read_or_refused(raw: dict[str, Any]) -> None:
    """Nothing but `SettingsError` is raised, and what passes can be written down for the processes and read again."""
    try:
        settings = parse(raw)
    except SettingsError:
        return
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings
