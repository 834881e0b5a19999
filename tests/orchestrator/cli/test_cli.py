"""The command line: its help, its exit codes, what it asks of a server, and its work on the data folder."""

import asyncio
import errno
import json
import os
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from rich.console import Console

from actors.rules.policies import packed
from actors.rules.policy import AccountRules, Policy
from adapters.stores.folder import JOURNAL_FILE
from adapters.stores.journal.sqlite import SqliteJournal
from orchestrator.cli import app as cli
from orchestrator.cli import output
from orchestrator.cli.exits import Exit, Failure
from orchestrator.cli.serve import _Banner, _with_address, say_what_is_wrong, say_who_may_read
from orchestrator.cli.server import Running, find
from orchestrator.cluster.data_folder import locked
from orchestrator.cluster.states import Condition, ProcessState, Told, steady_ms, write_states
from orchestrator.cluster.supervisor import Serving
from orchestrator.settings import EmailAccount, Settings
from orchestrator.tokens import Tokens
from protocol.errors import Code
from protocol.events import AnyEvent, ConversationOpened, IdentityLinked, InteractionStarted, MessageReceived
from protocol.journal import Committed, Unit
from tests.orchestrator.policy.test_kept import journal

HEAVY = ("ray", "litestar", "uvicorn", "aiosmtpd", "orchestrator.cluster", "orchestrator.gateway")


class Outcome:
    """What a command left: its exit code and what it wrote."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it has to be."""
        return json.loads(self.out)


class Shell:
    """Runs commands in this process, in an empty folder and without the environment's own settings."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.folder = folder
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "200")
        for name in ("THROUGHLINE_URL", "THROUGHLINE_TOKEN", "THROUGHLINE_DATA"):
            monkeypatch.delenv(name, raising=False)

    def run(self, line: str) -> Outcome:
        """One command line, without the program's name."""
        self._monkeypatch.setattr(sys, "argv", ["throughline", *shlex.split(line)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self._capsys.readouterr()
        code = ended.value.code
        return Outcome(code if isinstance(code, int) else 0, out, err)


class Answering(ThreadingHTTPServer):
    """A server that answers what it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, str, Any]] = []
        self.status = 200
        self.body: Any = {}
        self.bodies: list[Any] = []
        """Answers to the next requests, before `body`."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.headers.get("Authorization", "")
        self.server.asked.append((self.command, self.path, token, json.loads(body) if body else None))
        answer = json.dumps(self.server.bodies.pop(0) if self.server.bodies else self.server.body).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """A shell in an empty folder."""
    return Shell(monkeypatch, capsys, tmp_path)


@pytest.fixture
def answering(shell: Shell) -> Iterator[Answering]:
    """A server that the shell's folder has a `server.json` of."""
    with Answering() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        (shell.folder / "data").mkdir()
        (shell.folder / "data" / "server.json").write_text(
            json.dumps({"url": server.url, "operator": "tl_operator", "agent": "tl_agent", "gateway": "tl_gateway"})
        )
        yield server
        server.shutdown()
        thread.join()


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words that call it."""
    command = command if command is not None else typer.main.get_command(cli.app)
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(path), command
        return
    for name, child in children.items():
        yield from commands(child, (*path, name))


NAMES = [name for name, _ in commands()]


def test_the_commands_are_those_the_documentation_has() -> None:
    """`docs/operations.md` lists each command, and no other."""
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    documented = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `throughline ")}
    assert documented == {f"throughline {name}" for name in NAMES}


def test_each_exit_code_is_documented() -> None:
    """`docs/operations.md` has a row for each exit code."""
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    assert all(f"\n| {int(code)} | " in text for code in Exit)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself_with_an_example_that_parses(shell: Shell, name: str) -> None:
    """Help ends with an example of this very command, whose options exist."""
    command = dict(commands())[name]
    assert command.help
    assert command.epilog is not None
    example = command.epilog.removeprefix("Example: ")
    assert example.startswith(f"throughline {name}")
    arguments = shlex.split(example)[1 + len(name.split()) :]
    command.make_context(name, arguments, resilient_parsing=False)
    assert "Example:" in shell.run(f"{name} --help").out


def test_help_is_light() -> None:
    """Asking for help loads neither Ray nor a web framework."""
    program = f"import sys, orchestrator.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_it_also_runs_as_a_module() -> None:
    """`python -m orchestrator.cli` is the same program."""
    ran = subprocess.run([sys.executable, "-m", "orchestrator.cli", "nonsense"], capture_output=True, check=False)
    assert ran.returncode == Exit.USAGE


def test_the_default_accounts_are_not_served_where_others_reach_them_by_an_option_either() -> None:
    """`--host` is over the file, and so over what the file was checked for."""
    with pytest.raises(Failure, match=r"http\.host is '0\.0\.0\.0'.*everybody knows") as refused:
        _with_address(Settings(), "0.0.0.0", None)
    assert refused.value.exit_code is Exit.USAGE
    assert _with_address(Settings(accounts=[]), "0.0.0.0", 0).http.host == "0.0.0.0"


def test_without_a_server_it_says_where_it_looked(shell: Shell) -> None:
    """Exit code 3, and the file that is not there."""
    outcome = shell.run("status")
    assert outcome.code == Exit.UNREACHABLE
    assert "server.json" in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize("url", ["localhost:7100", "http://[::1", "ftp://localhost"])
def test_what_is_no_address_is_a_mistake_of_the_command_line(shell: Shell, url: str) -> None:
    """Exit code 2, and how one is written: before anything is said of a token, which would be of no use to it."""
    for token in ("", " --token tl_1_2"):
        outcome = shell.run(f"status --url {url}{token}")
        assert outcome.code == Exit.USAGE
        assert f"{url} is no address of a server: write http://host:port" in outcome.err


def test_a_server_that_is_gone_is_unreachable(shell: Shell, answering: Answering) -> None:
    """A `server.json` that outlived its server leads to exit code 3 too, and to what to do; an address that was given
    says nothing of how it ended."""
    (shell.folder / "data" / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "operator": "t"}))
    outcome = shell.run("status")
    assert outcome.code == Exit.UNREACHABLE
    assert "start it again" in outcome.err
    assert "start it again" not in shell.run("status --url http://127.0.0.1:1 --token t").err
    assert answering.asked == []


def test_a_server_whose_gateway_is_down_is_not_to_be_started_again(shell: Shell, answering: Answering) -> None:
    """Its other processes are there, and a second server would be refused: it is back in a moment."""
    (shell.folder / "data" / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "operator": "t"}))
    with locked(shell.folder / "data"):
        outcome = shell.run("outbox list")
    assert outcome.code == Exit.UNREACHABLE
    assert f"the server is there, process {os.getpid()}: its gateway starts again" in outcome.err
    assert "start it again" not in outcome.err


def test_a_refusal_is_exit_code_1_with_the_wire_code(shell: Shell, answering: Answering) -> None:
    """What the server refused reaches a person as words and a program as JSON on standard error."""
    answering.status, answering.body = 404, {"code": int(Code.NOT_FOUND), "message": "there is no such conversation"}
    assert "there is no such conversation" in shell.run("conversation show cu1-1").err
    outcome = shell.run("conversation show cu1-1 --json")
    assert outcome.code == Exit.REFUSED
    assert json.loads(outcome.err)["error"] == {
        "exit": 1,
        "code": 4207,
        "name": "NOT_FOUND",
        "message": "there is no such conversation",
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [("", "from THROUGHLINE_TOKEN"), (" --token tl_typed", "from --token")],
)
def test_a_refused_token_says_where_it_is_from(
    shell: Shell, answering: Answering, monkeypatch: pytest.MonkeyPatch, options: str, said: str
) -> None:
    """One that an earlier run left in the environment looks like a server that lost its mind."""
    monkeypatch.setenv("THROUGHLINE_TOKEN", "tl_old")
    answering.status, answering.body = 401, {"code": 4010, "message": "the token is unknown"}
    outcome = shell.run(f"status{options}")
    assert outcome.code == Exit.REFUSED
    assert f"the token is unknown (the token is {said})" in outcome.err


@pytest.mark.parametrize("token", ["tl_1_2\r", "tl_1_2 tl_3_4\n", "tl_1_ü"])
def test_a_token_that_is_none_is_a_mistake_of_the_command_line(
    shell: Shell, answering: Answering, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """A file that Windows wrote ends its line in two characters, and the shell leaves one of them."""
    monkeypatch.setenv("THROUGHLINE_TOKEN", token)
    outcome = shell.run("status")
    assert outcome.code == Exit.USAGE
    assert "the token of THROUGHLINE_TOKEN has characters that no token has: copy it again" in outcome.err
    assert answering.asked == []


def test_what_is_no_text_is_a_mistake_of_the_command_line(shell: Shell, answering: Answering) -> None:
    """Typed in a terminal of another coding, a letter comes as a byte that no request and no file can hold."""
    for line in ("customer show \udcfc", "customer link cu1 user:1 --reason M\udcfcller", "token create --name \udcfc"):
        outcome = shell.run(line)
        assert (outcome.code, outcome.out) == (Exit.USAGE, ""), line
        assert "\\udcfc" in outcome.err
        assert "is not UTF-8" in outcome.err
    assert answering.asked == []


def test_status_shows_where_customers_write_to(shell: Shell, answering: Answering) -> None:
    """Its address beside each account."""
    row = {"account": "mail", "kind": "email", "address": "support@throughline.example"}
    answering.body = {"ready": True, "accounts": [row]}
    assert "support@throughline.example" in shell.run("status").out


def test_the_banner_says_where_to_write_to(answering: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    """The address of the server, its tokens, and the mailbox: what the first minutes need. Also in a log file."""
    _Banner(Settings(), as_json=False).show(Serving({"gateway": {"pid": 1}}, {}, 1))
    out = capsys.readouterr().out
    assert f"serving on  {answering.url}\n" in out
    assert "mail to     support@throughline.example, by SMTP on 127.0.0.1:7125\n" in out
    assert re.search(r"terminal:  .* demo\n", out)
    assert max(map(len, out.splitlines())) <= 120
    _Banner(Settings(accounts=[]), as_json=False).show(Serving({"gateway": {"pid": 1}}, {}, 1))
    assert re.search(r"terminal:  .* status\n", capsys.readouterr().out)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
def test_the_banner_names_the_port_that_was_found(
    answering: Answering, capsys: pytest.CaptureFixture[str], listen: str
) -> None:
    """Nobody can write to port 0."""
    settings = Settings(accounts=[EmailAccount(name="mail", address="a@example.org", listen=listen)])
    serving = Serving({"gateway": {"pid": 1}, "channels": {"pid": 2, "smtp:mail": 40_123}}, {}, 1)
    _Banner(settings, as_json=False).show(serving)
    listens = listen.removesuffix("0") + "40123"
    assert f"mail to     a@example.org, by SMTP on {listens}\n" in capsys.readouterr().out
    _Banner(settings, as_json=True).show(serving)
    assert json.loads(capsys.readouterr().out)["mail"] == {"a@example.org": listens}


def test_the_banner_s_command_finds_this_server(answering: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it keeps its data, and to which ports the demo's mails and texts go, it was told."""
    file = Path("a desk.toml")
    Path("data").rename("my data")
    _Banner(Settings(data="my data"), file, as_json=False).show(Serving({"gateway": {"pid": 1}}, {}, 1))
    assert capsys.readouterr().out.count("demo --data 'my data' --settings 'a desk.toml'\n") == 1
    _Banner(Settings(data="my data", accounts=[]), file, as_json=False).show(Serving({"gateway": {"pid": 1}}, {}, 1))
    assert "status --data 'my data'\n" in capsys.readouterr().out


@pytest.mark.parametrize(("command", "asked"), [("check", "/v1/policy/check"), ("diff", "/v1/policy/diff")])
def test_a_bundle_is_looked_at_by_the_server_that_the_settings_are_of(
    shell: Shell, answering: Answering, command: str, asked: str
) -> None:
    """The check said that no server runs; the difference was another server's."""
    (shell.folder / "data").rename(shell.folder / "desk")
    (shell.folder / "desk.toml").write_text('data = "desk"\n')
    (shell.folder / "policy").mkdir()
    (shell.folder / "policy" / "general.yaml").write_text("queue_default: service\n")
    answering.bodies = [[]] if command == "diff" else []
    answering.body = {"wrong": [], "remarks": []}
    outcome = shell.run(f"policy {command} policy --settings desk.toml")
    assert (outcome.code, outcome.err) == (0, "")
    assert asked in [path for _, path, _, _ in answering.asked]


@pytest.mark.parametrize("command", ["serve", "token create", "archive rebuild"])
def test_a_data_folder_to_work_on_is_no_way_to_a_server(shell: Shell, command: str) -> None:
    """`--data` says so where a command works on the folder itself."""
    help_text = " ".join(shell.run(f"{command} --help").out.split())
    assert "The data folder to use" in help_text
    assert "finds the running server" not in help_text


def test_wrong_settings_are_a_usage_error(shell: Shell) -> None:
    """The message names the field, and the file it is in."""
    (shell.folder / "throughline.toml").write_text("[http]\nprot = 7100\n")
    outcome = shell.run("token list")
    assert outcome.code == Exit.USAGE
    assert "prot" in outcome.err
    assert "throughline.toml" in outcome.err


def test_a_store_that_is_for_tests_serves_nobody(shell: Shell) -> None:
    """Said before anything starts, as every other wrong setting is."""
    (shell.folder / "throughline.toml").write_text('store = "memory"\n')
    outcome = shell.run("serve --port 0")
    assert (outcome.code, "write sqlite" in outcome.err) == (Exit.USAGE, True)
    assert not (shell.folder / "data").exists()


REQUESTS = [
    ("status", "GET", "/v1/status", None),
    (
        "customer link cu1 mailto:ann@example.org",
        "POST",
        "/v1/customers/cu1/commands",
        {"command": {"do": "link_identity", "identity": "mailto:ann@example.org", "evidence": "agent"}},
    ),
    (
        "customer link cu1 user:42 --evidence login --confidence 99",
        "POST",
        "/v1/customers/cu1/commands",
        {"command": {"do": "link_identity", "identity": "user:42", "evidence": "login", "confidence": 99}},
    ),
    (
        "customer unlink cu1 web:7 --reason sold",
        "POST",
        "/v1/customers/cu1/commands",
        {"command": {"do": "unlink_identity", "identity": "web:7", "reason": "sold"}},
    ),
    *(
        (
            f"customer {verb} cu1 cu2 --reason called",
            "POST",
            "/v1/customers/cu1/commands",
            {"command": {"do": f"{verb}_customers", "other": "cu2", "reason": "called"}},
        )
        for verb in ("merge", "unmerge")
    ),
    ("customer show cu1", "GET", "/v1/customers/cu1/journey", None),
    ("customer reviews", "GET", "/v1/identity/reviews?shared_after=0&limit=100", None),
    ("customer reviews --shared-after 2", "GET", "/v1/identity/reviews?shared_after=2&limit=100", None),
    (
        "customer close-review cu1 web:7 --other cu2 --reason shop",
        "POST",
        "/v1/customers/cu1/commands",
        {"command": {"do": "close_identity_review", "identity": "web:7", "other": "cu2", "reason": "shop"}},
    ),
    (
        "timeline cu1 --search bill --channel sms --type NoteAdded --since 1970-01-01T00:00:01+00:00 --limit 5",
        "GET",
        "/v1/customers/cu1/timeline?q=bill&channel=sms&types=NoteAdded&limit=5&from_ms=1000",
        None,
    ),
    (
        "report context-loss --since 1970-01-01T00:00:01+00:00 --until 1970-01-01T00:00:02+00:00",
        "GET",
        "/v1/reports/context-loss?from_ms=1000&until_ms=2000",
        None,
    ),
    (
        "report context-loss --week 2026-11-25 --channel sms --team bills --product-line motor",
        "GET",
        "/v1/reports/context-loss?week=2026-11-25&channel=sms&team=bills&product_line=motor",
        None,
    ),
    (
        "report findings --state open --state changed",
        "GET",
        "/v1/reports/context-loss/findings?states=open%2Cchanged&limit=100",
        None,
    ),
    ("report runs --limit 5", "GET", "/v1/reports/context-loss/runs?limit=5", None),
    ("report show report-3", "GET", "/v1/reports/context-loss/findings/report-3", None),
    ("report run --id r1", "POST", "/v1/reports/context-loss/runs", {"id": "r1"}),
    (
        "report resolve report-3 --version 7",
        "POST",
        "/v1/reports/context-loss/findings/report-3/resolve",
        {"version": 7, "id": ""},
    ),
    (
        "report dismiss report-3 --reason tests",
        "POST",
        "/v1/reports/context-loss/findings/report-3/dismiss",
        {"reason": "tests", "id": ""},
    ),
    ("quarantine list --account mail", "GET", "/v1/quarantine?account=mail&limit=100", None),
    ("quarantine show q1", "GET", "/v1/quarantine/q1", None),
    ("quarantine replay q1", "POST", "/v1/quarantine/q1/replay", {}),
    (
        "quarantine list --code 4200 --field contract --rule capture:chat --waiting",
        "GET",
        "/v1/quarantine?code=4200&field=contract&rule=capture%3Achat&waiting=true&limit=100",
        None,
    ),
    (
        "quarantine replay q1 --identity tel:+447700900123 --identity user:1",
        "POST",
        "/v1/quarantine/q1/replay",
        {"identities": ["tel:+447700900123", "user:1"]},
    ),
    (
        "quarantine erase q1 --reason asked --when-stopped --yes",
        "POST",
        "/v1/quarantine/q1/erasure",
        {"reason": "asked"},
    ),
    ("quarantine keep q1", "POST", "/v1/quarantine/q1/erasure/withdraw", {}),
    ("quarantine replay q1 --customer cu1", "POST", "/v1/quarantine/q1/replay", {"customer": "cu1"}),
    ("quarantine replay q1 --customer x:Ann", "POST", "/v1/quarantine/q1/replay", {"customer": "x:Ann"}),
    ("outbox list --state dead --state uncertain", "GET", "/v1/outbox?states=dead%2Cuncertain&limit=100", None),
    ("outbox replay cu1-1.3", "POST", "/v1/outbox/cu1-1.3/replay", {}),
    ("outbox settle cu1-1.3 --external-id SM1", "POST", "/v1/outbox/cu1-1.3/settle", {"external_id": "SM1"}),
    (
        "outbox settle cu1-1.3 --not-sent",
        "POST",
        "/v1/outbox/cu1-1.3/settle",
        {"external_id": "", "left": False},
    ),
]
"""Command line → method, path, body."""


@pytest.mark.parametrize(("line", "method", "path", "body"), REQUESTS)
def test_a_command_asks_the_server(
    shell: Shell, answering: Answering, line: str, method: str, path: str, body: Any
) -> None:
    """Each command is one request with the operator's token, and `--json` prints the answer as it came."""
    answering.body = {"seen": [1, "é"]}
    outcome = shell.run(f"{line} --json")
    assert (outcome.code, outcome.json) == (Exit.DONE, {"seen": [1, "é"]})
    assert answering.asked == [(method, path, "Bearer tl_operator", body)]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("customer show tel:+447700900123", "/v1/customers/cu1/journey"),
        ("timeline tel:+447700900123", "/v1/customers/cu1/timeline?limit=50"),
        ("customer unlink tel:+447700900123 web:7", "/v1/customers/cu1/commands"),
        ("customer merge cu1 tel:+447700900123", "/v1/customers/cu1/commands"),
        ("customer erase tel:+447700900123 --reason asked --when-stopped --yes", "/v1/customers/cu1/erasure"),
        ("customer keep tel:+447700900123", "/v1/customers/cu1/erasure/withdraw"),
    ],
)
def test_an_address_does_where_a_customer_is_meant(shell: Shell, answering: Answering, line: str, path: str) -> None:
    """Who works at a desk knows the number that rang, and no id."""
    answering.bodies = [{"customer": "cu1"}]
    assert shell.run(f"{line} --json").code == Exit.DONE
    assert [asked[1] for asked in answering.asked] == ["/v1/context?identity=tel%3A%2B447700900123", path]


def test_what_looks_mistyped_is_asked_about_once_it_is_applied(shell: Shell, answering: Answering) -> None:
    """Who does not check first must hear of a queue that nobody watches."""
    (shell.folder / "queues.yaml").write_text("mail: clamis\n")
    remark = {"file": "queues.yaml", "line": 1, "text": "is it another one than 'claims'?"}
    answering.bodies = [{"valid": True, "wrong": [], "remarks": [remark]}, {"version": 2, "late": []}]
    outcome = shell.run("policy apply .")
    assert outcome.code == Exit.DONE
    assert "open keep the version" not in outcome.out
    assert [asked[1] for asked in answering.asked] == ["/v1/policy/check", "/v1/policy"]
    assert "queues.yaml:1" in outcome.out


def test_the_difference_says_what_becomes_of_a_line_that_changes_its_channel(
    shell: Shell, answering: Answering
) -> None:
    """Of what the server has in force, and of another folder; a program is given the rules alone."""
    for name, channel in (("old", "sms"), ("new", "whatsapp")):
        (shell.folder / name).mkdir()
        (shell.folder / name / "accounts.yaml").write_text(f"line:\n  channel: {channel}\n")
    row = {"rule": "accounts.yaml: line.channel", "before": "sms", "after": "whatsapp"}
    remark = {"file": "accounts.yaml", "line": 2, "text": "account line is a line of sms now"}
    answering.bodies = [[row], {"valid": True, "wrong": [], "remarks": [remark]}]
    for options in ("", "--against old"):
        out = shell.run(f"policy diff new {options}").out
        assert "line.channel" in out
        assert "accounts.yaml:2" in out
        assert "account line is a line of sms now" in " ".join(out.split())
    assert json.loads(shell.run("policy diff new --against old --json").out)[0] == row


def test_that_open_conversations_are_pinned_is_said(shell: Shell, answering: Answering) -> None:
    """Who tries the new rule in a chat that is open would look for a mistake that is none."""
    answering.body = {"version": 2, "late": [], "live_conversations": "pinned"}
    assert "open keep the version" in shell.run("policy rollback 1").out


def test_that_a_folder_is_watched_is_said(shell: Shell, answering: Answering) -> None:
    """Who goes back in a hurry would find the old rules in force again at the next save."""
    answering.body = {"version": 2, "late": [], "watched": "/etc/policy"}
    out = shell.run("policy rollback 1").out
    assert "follows /etc/policy" in out
    assert "throughline policy show 2 --to NEW" in out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,text\r\n1,Grüße\r\n2,für\r\n".encode("cp1252"), "line 2: this is not UTF-8, from byte 13 of the file on"),
        ("id,text\n1,Grüße\n".encode("utf-16"), "this is UTF-16"),
        ("id,text\n1,Grüße\n".encode("utf-16-be").join((b"\xfe\xff", b"")), "this is UTF-16"),
    ],
)
def test_a_file_in_another_charset_is_told_where(shell: Shell, content: bytes, said: str) -> None:
    """And what to do: that there is a byte 0xfc in position 13 helps nobody."""
    (shell.folder / "past.csv").write_bytes(content)
    outcome = shell.run("import past.csv --account mail")
    assert outcome.code == Exit.USAGE
    assert outcome.err == f"throughline: past.csv: {said}: save the file as UTF-8 (spreadsheets call it `CSV UTF-8`)\n"


@pytest.mark.parametrize(("name", "content"), [("past.csv", ""), ("past.csv", "id,identity,at\n"), ("past.json", "[]")])
def test_a_file_without_a_contact_is_no_import(shell: Shell, answering: Answering, name: str, content: str) -> None:
    """It is more likely the wrong file than a past without contacts."""
    (shell.folder / name).write_text(content)
    outcome = shell.run(f"import {name} --account mail --channel email")
    assert (outcome.code, answering.asked) == (Exit.USAGE, [])
    assert f"{name}: there is no contact in it" in outcome.err


def test_a_file_that_is_not_there_is_said_to_be_missing(shell: Shell, answering: Answering) -> None:
    """And not taken for one of another encoding."""
    outcome = shell.run("import none.csv --account chat")
    assert (outcome.code, answering.asked) == (Exit.USAGE, [])
    assert "none.csv: it cannot be read: No such file or directory" in outcome.err


def test_what_is_refused_is_told_with_its_field_once(shell: Shell, answering: Answering) -> None:
    """Some messages begin with it."""
    (shell.folder / "past.csv").write_text("id,identity,at\n7,user:1,1700000000000\n")
    refused = {"id": "7", "status": "refused", "code": 4200}
    answering.body = [
        refused | {"field": "data.messages", "message": "data.messages has a NUL character"},
        refused | {"field": "identities", "message": "an identity is written kind:value"},
        refused | {"field": "", "message": "the body has more than 9 bytes"},
    ]
    assert shell.run("import past.csv --account mail").err.splitlines()[-3:] == [
        "7: data.messages has a NUL character",
        "7: identities: an identity is written kind:value",
        "7: refused: the body has more than 9 bytes",
    ]


def test_a_contact_that_is_too_large_does_not_keep_the_others_out(shell: Shell, answering: Answering) -> None:
    """What a request cannot hold is asked for contact by contact, and told as any that is refused."""
    (shell.folder / "past.csv").write_text("id,identity,at\n7,user:1,1700000000000\n8,user:2,1700000000000\n")
    answering.status = 413
    answering.body = {"code": int(Code.TOO_LARGE), "message": "the body has more than 9 bytes"}
    outcome = shell.run("import past.csv --account mail --channel email")
    assert outcome.code == Exit.REFUSED
    assert [[event["id"] for event in asked[3]["events"]] for asked in answering.asked] == [["7", "8"], ["7"], ["8"]]
    for id in ("7", "8"):
        assert f"{id}: refused: the body has more than 9 bytes" in outcome.err


def test_what_is_not_there_is_named(shell: Shell, answering: Answering) -> None:
    """Of two ids on a line it says which one was mistyped."""
    answering.status = 404
    answering.body = {"code": int(Code.NOT_FOUND), "message": "there is no such customer", "ref": "cu8"}
    assert "there is no such customer: cu8" in shell.run("customer merge cu1 cu8").err
    answering.body = {"code": int(Code.NOT_FOUND), "message": "no undelivered message cu1-1.3", "ref": "9de7cea70b33"}
    assert shell.run("outbox settle cu1-1.3").err.rstrip().endswith("no undelivered message cu1-1.3")


def test_an_edited_event_is_read_from_a_file(shell: Shell, answering: Answering) -> None:
    """What is no JSON object is said before the server is asked."""
    file = shell.folder / "event.json"
    file.write_text('{"id": "m-1"}')
    assert shell.run(f"quarantine replay q1 --event {file}").code == Exit.DONE
    assert answering.asked[0][3] == {"event": {"id": "m-1"}}
    for content, said in (("{", "not JSON"), ("[]", "one JSON object")):
        file.write_text(content)
        outcome = shell.run(f"quarantine replay q1 --event {file}")
        assert outcome.code == Exit.USAGE
        assert said in outcome.err
    assert shell.run(f"quarantine replay q1 --event {shell.folder / 'none'}").code == Exit.USAGE
    assert len(answering.asked) == 1


def test_the_event_in_an_input_is_printed_to_be_edited(shell: Shell, answering: Answering) -> None:
    """As the file that `replay --event` reads; where none can be read, that is said."""
    answering.body = {"quarantine": "q1", "event": {"id": "m-1"}, "text": "x", "raw": "eA=="}
    outcome = shell.run("quarantine show q1 --event")
    assert (outcome.code, json.loads(outcome.out)) == (Exit.DONE, {"id": "m-1"})
    answering.body = {"quarantine": "q1", "event": None}
    assert shell.run("quarantine show q1 --event").code == Exit.REFUSED


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("timeline cu1 --since 2026-11-26 --until 2026-11-25", "--until lies before --since"),
        ("report context-loss --since 2026-11-26 --until 2026-11-25", "--until lies before --since"),
        ("quarantine list --newer-than 1h --older-than 2h", "what is --older-than that is not --newer-than this"),
    ],
)
def test_a_time_that_ends_before_it_begins_is_a_mistake(
    shell: Shell, answering: Answering, command: str, fault: str
) -> None:
    """And no question to which the answer is nothing."""
    outcome = shell.run(command)
    assert outcome.code == Exit.USAGE
    assert f"{fault}: there is nothing in between" in outcome.err
    assert answering.asked == []


def test_quarantine_is_listed_by_age(shell: Shell, answering: Answering) -> None:
    """Ages become times by this machine's clock."""
    assert shell.run("quarantine list --older-than 1h --newer-than 2d").code == Exit.DONE
    asked = dict(re.findall(r"(\w+_ms)=(\d+)", answering.asked[0][1]))
    assert int(asked["until_ms"]) - int(asked["since_ms"]) == pytest.approx(47 * 3_600_000, abs=60_000)
    outcome = shell.run("quarantine list --older-than soon")
    assert outcome.code == Exit.USAGE
    assert "--older-than" in outcome.err


def test_a_path_cannot_be_left_through_an_id(shell: Shell, answering: Answering) -> None:
    """An id with slashes stays one part of the path."""
    shell.run("quarantine show ../status --json")
    assert answering.asked[0][1] == "/v1/quarantine/..%2Fstatus"


def test_status_of_a_server_that_is_not_ready_is_exit_code_1(shell: Shell, answering: Answering) -> None:
    """A script can wait for a server that works, and a person reads what is missing."""
    answering.body = {"ready": False, "reasons": ["cell 0 is not reached"], "counts": {"event": 7}}
    outcome = shell.run("status")
    assert outcome.code == Exit.REFUSED
    assert "cell 0 is not reached" in outcome.out
    assert "counts.event" in outcome.out
    answering.body = {"ready": True}
    assert shell.run("status --json").code == Exit.DONE


def test_status_says_what_is_wrong_first_and_then_how_each_process_is(shell: Shell, answering: Answering) -> None:
    """A line each, with the time it has been so."""
    processes = {
        "journal": {"condition": "up", "seconds": 93_784, "deaths": 0, "reason": ""},
        "archive": {"condition": "starting", "seconds": 72, "deaths": 3, "reason": "disk is full"},
    }
    answering.body = {"ready": False, "reasons": ["archive: restarting for 72 s"], "processes": processes}
    lines = [" ".join(line.split()) for line in shell.run("status").out.splitlines()]
    assert lines[0] == "✗ archive: restarting for 72 s"
    assert "process condition for deaths reason" in lines
    assert "journal up 1 d 2 h 0" in lines
    assert "archive starting 1 min 12 s 3 disk is full" in lines


def test_status_of_a_gateway_that_hangs_is_the_nodes(
    shell: Shell, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the run folder that `server.json` names."""
    monkeypatch.setattr("orchestrator.cli.status.ANSWER_WITHIN_S", 0.05)
    run, file = shell.folder / "run", shell.folder / "data" / "server.json"
    run.mkdir()
    silent = ProcessState(Condition.SILENT, steady_ms() - 7_000)
    write_states(run, Told(steady_ms(), {"gateway": silent, "journal": ProcessState(Condition.UP, steady_ms())}))
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        file.write_text(json.dumps({**json.loads(file.read_text()), "url": url, "run": str(run)}))
        outcome = shell.run("status")
    assert outcome.code == Exit.UNREACHABLE
    assert outcome.out.startswith("✗ gateway: not answering for 7 s")
    assert "its gateway hangs" in outcome.err


def test_a_conversation_is_shown_with_all_its_events(shell: Shell, answering: Answering) -> None:
    """Pages are followed to the end, so that the events are all there."""
    first = {"status": "open", "events": [{"seq": 1}, {"seq": 2}], "next_after": 2}
    answering.bodies = [first, {"status": "open", "events": [{"seq": 3}], "next_after": 0}]
    shown = shell.run("conversation show cu1-1 --json").json
    assert shown == {"status": "open", "events": [{"seq": 1}, {"seq": 2}, {"seq": 3}]}
    assert [path for _, path, _, _ in answering.asked] == [
        "/v1/conversations/cu1-1",
        "/v1/conversations/cu1-1?after=2",
    ]


def test_a_customer_is_shown_with_all_their_conversations(shell: Shell, answering: Answering) -> None:
    """Pages are followed to the end."""
    first = {"customer": "cu1", "conversations": [{"conversation": "cu1-1"}], "next": "5,cu1-1"}
    answering.bodies = [first, {"customer": "cu1", "conversations": [{"conversation": "cu1-2"}], "next": ""}]
    shown = shell.run("customer show cu1 --json").json
    assert shown == {"customer": "cu1", "conversations": [{"conversation": "cu1-1"}, {"conversation": "cu1-2"}]}
    assert [path for _, path, _, _ in answering.asked] == [
        "/v1/customers/cu1/journey",
        "/v1/customers/cu1/journey?after=5%2Ccu1-1",
    ]


def test_the_outbox_is_a_table_of_its_rows(shell: Shell, answering: Answering) -> None:
    """Columns are those of the archive's rows; into a pipe each row is one line."""
    answering.body = [
        {
            "delivery": "cu7q2mzj4xk5w3n6ab-1.12",
            "state": "dead",
            "channel": "email",
            "account": "mail",
            "recipient": "mailto:ann@example.org",
            "attempt": 8,
            "queued_at_ms": 1_800_000_000_000,
            "next_at_ms": None,
            "code": "550",
            "reason": "a reason of some length that the relay gave for it, " * 5,
        }
    ]
    header, row = shell.run("outbox list").out.splitlines()
    assert " ".join(header.split()) == "delivery state channel account recipient attempt queued at next at code reason"
    assert "mailto:ann@example.org" in row
    assert "2027-01-1" in row
    assert row.rstrip().endswith("gave for it,")


def test_a_row_that_a_terminal_is_too_narrow_for_is_a_block(
    shell: Shell, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns every value is whole, and what is longer than a line goes on in the next."""
    monkeypatch.setattr(output, "console", lambda: Console(highlight=False, soft_wrap=True, width=80))
    row = {
        "delivery": "cu7q2mzj4xk5w3n6ab-1.12",
        "state": "uncertain",
        "recipient": "mailto:somebody.with.a.long.name@example.org",
        "queued_at_ms": 1_800_000_000_000,
        "code": "550",
        "reason": "a reason of some length that the relay gave for it, " * 3,
    }
    answering.body = [row, row]
    lines = shell.run("outbox list").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if not line.startswith(" ")] == [row["delivery"]] * 2
    assert [line.split() for line in lines[1:3]] == [["state", row["state"]], ["recipient", row["recipient"]]]


def test_an_export_is_for_its_owner_alone(shell: Shell, answering: Answering) -> None:
    """It has all that a customer said, and shells let others read what they make. What is there already stays."""
    answering.body = {"vcon": "0.4.0"}
    before = os.umask(0o022)
    try:
        assert shell.run("export cu1-1 --out bill.vcon").code == Exit.DONE
    finally:
        os.umask(before)
    file = shell.folder / "bill.vcon"
    assert (file.stat().st_mode & 0o777, json.loads(file.read_text())) == (0o600, answering.body)
    again = shell.run("export cu1-1 --out bill.vcon")
    assert (again.code, "File exists" in again.err) == (Exit.USAGE, True)


def test_events_are_folded_where_a_terminal_is_too_narrow(
    shell: Shell, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns no line breaks in a word or an id; what fits is one line, as into a pipe."""
    words = "I still wait for the bill of March, and nobody tells me when it is to come " * 2
    event = {"seq": 5, "type": "MessageReceived", "at_ms": 0, "channel": "email", "actor": "customer", "text": words}
    taken = {"seq": 6, "type": "OwnerChanged", "at_ms": 0, "actor": "agent:ann", "owner": "ann"}
    place = {"stream": "cu7q2mzj4xk5w3n6ab-1", "happened_at_ms": 0, "found": "", **event, "event": event}
    whole = {"conversation": "cu7q2mzj4xk5w3n6ab-1", "events": [event, taken], "next_after": 0}
    answering.bodies = [whole, {"entries": [place], "next": ""}]
    monkeypatch.setattr(output, "console", lambda: Console(highlight=False, soft_wrap=True, width=80))
    for line in ("conversation show cu7q2mzj4xk5w3n6ab-1", "timeline cu7q2mzj4xk5w3n6ab"):
        shown = shell.run(line).out
        assert max(map(len, shown.splitlines())) <= 80
        assert words.strip() in " ".join(shown.split())
        assert ("cu7q2mzj4xk5w3n6ab-1.5  I still" in shown) is line.startswith("timeline")
        assert shown.count("agent:ann        ann\n") == (not line.startswith("timeline"))


def test_what_is_kept_for_ever_is_said_so(shell: Shell, answering: Answering) -> None:
    """And not shown as kept for no day; an hour is no part of a day there."""
    kept_days = {"journal": 90.0, "dead_letters": 0.0, "quarantine_open": 0.042}
    answering.body = {"ready": True, "retention": {"kept_days": kept_days}}
    shown = shell.run("status").out
    assert re.search(r"kept_days\.journal +90 *\n", shown)
    assert re.search(r"kept_days\.dead_letters +for ever *\n", shown)
    assert re.search(r"kept_days\.quarantine_open +1 h *\n", shown)


def test_customers_words_are_printed_as_words(shell: Shell, answering: Answering) -> None:
    """Square brackets in a message are no markup."""
    answering.body = {
        "conversation": "cu1-1",
        "events": [{"seq": 1, "type": "MessageReceived", "at_ms": 0, "text": "[red]pay[/red] [link=x]"}],
        "next_after": 0,
    }
    assert "[red]pay[/red] [link=x]" in shell.run("conversation show cu1-1").out


HOSTILE = "a\x1b[2J\x1b]52;c;cm0gLXJm\x07b\x9b31m\u202ec"
"""Clears the screen, puts a command into the clipboard, changes colours by one character, turns the writing round."""


def test_what_a_customer_wrote_gives_a_terminal_no_orders(shell: Shell, answering: Answering) -> None:
    """Its words stay; a program gets all of it, escaped."""
    answering.body = {
        "conversation": "cu1-1",
        "subject": HOSTILE,
        "events": [{"seq": 1, "type": "MessageReceived", "at_ms": 0, "text": HOSTILE}],
        "next_after": 0,
    }
    shown = shell.run("conversation show cu1-1")
    assert shown.out.count("a[2J]52;c;cm0gLXJmb31mc") == 2
    written = shell.run("conversation show cu1-1 --json")
    assert written.json["subject"] == HOSTILE
    assert not set("\x1b\x07\x9b\u202e") & set(shown.out + written.out)


def test_what_came_in_late_is_shown_with_its_own_time(shell: Shell, answering: Answering) -> None:
    """Beside the time it came in at; the timeline has it where it happened."""
    sent, came = 1_700_000_000_000, 1_700_007_200_000
    said = {"type": "MessageReceived", "at_ms": came, "provider_ms": sent, "text": "My bill"}
    answering.bodies = [
        {"conversation": "cu1-1", "events": [{"seq": 1, **said}], "next_after": 0},
        {
            "entries": [
                {"stream": "cu1-1", "seq": 1, "type": "MessageReceived", "at_ms": came, "happened_at_ms": sent}
                | {"channel": "sms", "actor": "customer", "found": "", "event": said}
            ],
            "next": "",
        },
    ]
    shown = shell.run("conversation show cu1-1").out
    assert f"(of {output.local_time(sent)}) My bill" in " ".join(shown.split())
    line = shell.run("timeline cu1").out
    assert line.startswith(output.local_time(sent))


def test_an_address_is_taken_from_options_then_environment_then_the_data_folder(tmp_path: Path) -> None:
    """And a token is shown to no other server than its own."""
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://here:1", "operator": "kept"}))
    environ = {"THROUGHLINE_URL": "http://there:2/", "THROUGHLINE_TOKEN": "env"}
    assert find(url="", token="", data=tmp_path, environ={}).operator == "kept"
    assert find(url="", token="", data=tmp_path, environ=environ) == Running(
        url="http://there:2", operator="env", agent="env", gateway="env", token_from="THROUGHLINE_TOKEN"
    )
    assert find(url="http://opt:3", token="opt", data=tmp_path, environ=environ).url == "http://opt:3"
    with pytest.raises(Exception, match="give --token too"):
        find(url="http://there:2", token="", data=tmp_path, environ={})


def test_a_server_that_starts_is_not_taken_for_none(shell: Shell) -> None:
    """What it writes for its clients is there only once it serves; whoever asks before is not to start another."""
    with locked(shell.folder / "data"):
        starting = shell.run("status")
    assert starting.code == Exit.UNREACHABLE
    assert f"is starting or stopping, or another command works there, process {os.getpid()}" in starting.err
    assert "ask again" in starting.err


def test_tokens_are_made_listed_and_taken_away(shell: Shell) -> None:
    """A created token opens what it says until it is revoked, and its secret is shown once."""
    made = shell.run("token create --name ann --scope agent --scope read --expires 90d --json").json
    tokens = Tokens(shell.folder / "data" / "tokens.json", now_ms=lambda: made["created_at_ms"])
    assert tokens.check(made["token"]).scopes == ["agent", "read"]
    assert made["expires_at_ms"] - made["created_at_ms"] == pytest.approx(90 * 86_400_000, abs=60_000)
    listed = shell.run("token list")
    assert made["id"] in listed.out
    assert made["token"] not in listed.out
    assert shell.run(f"token revoke {made['id']}").code == Exit.DONE
    assert shell.run("token list --json").json == []
    assert shell.run(f"token revoke {made['id']}").code == Exit.REFUSED


def test_a_token_alone_is_what_standard_output_gets(shell: Shell) -> None:
    """`$(throughline token create …)` works in a script."""
    assert shell.run("token create --name x --scope read").out.startswith("tl_")


SHOP = '[[accounts]]\nkind = "gateway"\nname = "shop"\n'


@pytest.mark.parametrize(
    ("scopes", "said"),
    [
        ("--scope gateway:nowhere", "no account nowhere is in the settings or in the policy in force: there are shop."),
        ("--scope gateway:sohp --scope gateway:shop", "no account sohp is in"),
        ("--scope gateway:sohp", "did you mean shop? The token opens nothing there until one is."),
        ("--scope gateway:shop --scope gateway:* --scope agent", ""),
    ],
)
def test_a_token_for_an_account_that_nobody_knows_is_made_with_a_warning(shell: Shell, scopes: str, said: str) -> None:
    """There may be one later; who reads the token alone, or JSON, gets just that."""
    (shell.folder / "throughline.toml").write_text(SHOP)
    outcome = shell.run(f"token create --name x {scopes}")
    assert (outcome.code, outcome.out[:3], outcome.out.count("\n")) == (Exit.DONE, "tl_", 1)
    assert (said in outcome.err, "Warning" in outcome.err) == (True, bool(said))
    assert outcome.err.count("Warning") <= 1
    assert shell.run(f"token create --name y {scopes} --json").json["name"] == "y"


def test_an_account_of_a_bundle_is_known_with_a_server_and_without(shell: Shell, answering: Answering) -> None:
    """By what the server says, else by the journal; where neither can be asked nothing is said."""
    (shell.folder / "throughline.toml").write_text(SHOP)
    data = shell.folder / "data"
    asyncio.run(journal(data, packed(Policy(accounts={"pager": AccountRules(channel="sms")}))))
    create = "token create --name x --scope gateway:pager --scope gateway:page"
    answering.body = {"accounts": [{"account": "page"}]}
    assert shell.run(create).err.count("Warning: no account pager is in") == 1
    assert answering.asked[-1][1:3] == ("/v1/status", "Bearer tl_operator")
    answering.status = 503
    outcome = shell.run(create)
    assert (outcome.code, "Warning" in outcome.err) == (Exit.DONE, False)
    (data / "server.json").unlink()
    assert shell.run(create).err.count("Warning: no account page is in") == 1
    (data / JOURNAL_FILE).write_bytes(b"no database")
    outcome = shell.run(create)
    assert (outcome.code, "Warning" in outcome.err) == (Exit.DONE, False)


@pytest.mark.parametrize("options", ["--name x --scope everything", "--name 'a b' --scope read"])
def test_a_token_of_no_known_scope_or_name_is_refused(shell: Shell, options: str) -> None:
    """The message says what to write."""
    outcome = shell.run(f"token create {options}")
    assert outcome.code == Exit.REFUSED
    assert outcome.err


@pytest.mark.parametrize("expires", ["90", "0d", "1y", "-1d"])
def test_a_lifetime_is_a_number_and_a_unit(shell: Shell, expires: str) -> None:
    """Anything else is a usage error."""
    assert shell.run(f"token create --name x --scope read --expires={expires}").code == Exit.USAGE


def test_an_archive_is_not_rebuilt_where_there_is_no_journal(shell: Shell) -> None:
    """An empty folder stays empty."""
    outcome = shell.run("archive rebuild --data nowhere")
    assert outcome.code == Exit.DATA
    assert not (shell.folder / "nowhere").exists()


async def _journal_with_a_conversation(folder: Path) -> None:
    """What a server leaves behind: one customer, one conversation, one message."""
    events: list[tuple[str, AnyEvent]] = [
        ("cu1", IdentityLinked(at_ms=1, identity="web:v1", evidence="first_contact")),
        ("cu1-1", ConversationOpened(at_ms=1, customer="cu1", queue="default")),
        ("cu1-1", InteractionStarted(at_ms=1, interaction=1, channel="chat", account="chat", identity="web:v1")),
        (
            "cu1-1",
            MessageReceived(
                at_ms=1,
                interaction=1,
                channel="chat",
                identity="web:v1",
                source="s",
                id="1",
                provider_ms=1,
                text="Hello",
            ),
        ),
    ]
    seqs: Counter[str] = Counter()
    entries = []
    for stream, event in events:
        seqs[stream] += 1
        entries.append([stream, seqs[stream], event])
    journal = SqliteJournal(folder / "journal.sqlite", new_generation=lambda: "g1")
    await journal.open()
    (fence,) = await journal.raise_fences(["shard:1"])
    unit = Unit(
        scope="shard:1",
        epoch=fence.epoch,
        batch=1,
        customer="cu1",
        at_ms=1,
        identities=["web:v1"],
        entries=len(entries),
        body=msgspec.msgpack.encode(entries),
    )
    assert await journal.commit([unit]) == [Committed(1)]
    await journal.close()


def test_an_archive_is_made_anew_from_the_journal(shell: Shell) -> None:
    """What the journal has is queryable again, whatever the archive was."""
    folder = shell.folder / "data"
    folder.mkdir()
    asyncio.run(_journal_with_a_conversation(folder))
    assert shell.run("archive rebuild --json").json == {"data": "./data", "events": 4}
    with closing(sqlite3.connect(f"file:{folder}/archive.sqlite?mode=ro", uri=True)) as archive:
        assert archive.execute("SELECT text FROM message").fetchall() == [("Hello",)]
    # And once more: it is the same archive afterwards.
    assert "4 events" in shell.run("archive rebuild").out


def test_an_archive_is_not_rebuilt_under_a_running_server(shell: Shell) -> None:
    """The data folder's lock says so, with the process that holds it."""
    folder = shell.folder / "data"
    with locked(folder):
        (folder / "journal.sqlite").touch()
        outcome = shell.run("archive rebuild")
    assert outcome.code == Exit.DATA
    assert "in use" in outcome.err


def test_a_newer_versions_data_folder_is_refused_before_anything_starts(shell: Shell) -> None:
    """Exit code 4, with what to do; Ray was not started for it, nor was the file changed."""
    folder = shell.folder / "data"
    folder.mkdir()
    asyncio.run(_journal_with_a_conversation(folder))
    with closing(sqlite3.connect(folder / "journal.sqlite")) as journal:
        journal.execute("PRAGMA user_version = 99")
    before = (folder / "journal.sqlite").read_bytes()
    outcome = shell.run("serve --port 0")
    assert outcome.code == Exit.DATA
    assert "schema version 99, written by a newer Throughline" in " ".join(outcome.err.split())
    assert not (folder / "log" / "node.log").exists()
    assert (folder / "journal.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "told"),
    [("serve --port {}", "is in use, perhaps by another Throughline; set http.port"),
     ("serve --port 0 --settings mail.toml", "account 'mail': cannot listen on '127.0.0.1:{}'")],
)  # fmt: skip
def test_a_taken_port_is_told_before_anything_starts(shell: Shell, line: str, told: str) -> None:
    """In the words of the setting, and in milliseconds: Ray was not started for it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        mail = f'accounts = [{{kind = "email", name = "mail", address = "a@b.example", listen = "127.0.0.1:{port}"}}]'
        (shell.folder / "mail.toml").write_text(mail)
        outcome = shell.run(line.format(port))
    assert outcome.code == Exit.REFUSED
    assert told.format(port) in " ".join(outcome.err.split())
    assert not (shell.folder / "data" / "log" / "node.log").exists()


@pytest.mark.parametrize(
    ("line", "code"),
    [("serve --data file", Exit.DATA), ("serve --data file/below", Exit.DATA), ("status --data file", Exit.DATA),
     ("token create --name x --scope read --data file", Exit.DATA), ("token list --data file/below", Exit.DATA)],
)  # fmt: skip
def test_a_folder_that_cannot_be_one_is_named_without_a_trace(shell: Shell, line: str, code: Exit) -> None:
    """A file in its place stands for a folder of somebody else's, which the super-user who tests may write to."""
    (shell.folder / "file").touch()
    outcome = shell.run(line)
    assert outcome.code == code
    assert outcome.err.splitlines()[-1].startswith("throughline: ")
    assert "file" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("missing", [Path(cli.__file__).with_name("part.json"), Path("elsewhere/part.json")])
def test_a_missing_file_of_no_data_folder_shows_where(
    shell: Shell, missing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is nothing that the operator has a part in, so the trace is not hidden."""
    monkeypatch.setattr(Tokens, "list", lambda tokens: missing.read_text())
    with pytest.raises(FileNotFoundError, match=r"part\.json"):
        shell.run("token list")


def test_another_users_file_is_told_with_what_to_do(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mostly a server was started once by the super-user, who may write everything, as the one who tests may."""
    tokens = shell.folder / "data" / "tokens.json"
    tokens.parent.mkdir()
    tokens.touch()

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tokens))

    monkeypatch.setattr(Tokens, "list", refuse)
    outcome = shell.run("token list")
    assert outcome.code == Exit.DATA
    assert "tokens.json" in outcome.err
    assert "run this as that one, or chown it" in outcome.err


def test_a_full_disk_is_told_without_a_trace(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails names no file."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    outcome = shell.run("token create --name ann --scope agent")
    assert outcome.code == Exit.DATA
    assert "data: No space left on device; make room there" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_folder_without_a_journal_is_not_made_one(shell: Shell) -> None:
    """Exit code 4, and no archive of nothing."""
    (shell.folder / "data").mkdir()
    assert shell.run("archive rebuild").code == Exit.DATA
    assert not (shell.folder / "data" / "archive.sqlite").exists()


def test_a_search_in_quarantine_goes_on_to_its_last_page(shell: Shell, answering: Answering) -> None:
    """A page may have found nothing; what was not looked into is said."""
    row = {"quarantine": "form.1", "stream": "account:form", "received_ms": 1}
    pages = [
        {"found": [row], "too_large": ["mail.9"], "next": "7,mail.9"},
        {"found": [], "too_large": [], "next": "6,form.3"},
        {"found": [{**row, "quarantine": "form.2"}], "too_large": [], "next": ""},
    ]
    answering.bodies = [*pages, *pages]
    outcome = shell.run("quarantine search --text baker --address x:Ann --account form --limit 9 --json")
    assert [each["quarantine"] for each in outcome.json["found"]] == ["form.1", "form.2"]
    assert outcome.json["too_large"] == ["mail.9"]
    asked = "/v1/quarantine/search?text=baker&address=x%3AAnn&account=form&limit="
    assert [path for _, path, *_ in answering.asked] == [
        f"{asked}9",
        f"{asked}8&before=7%2Cmail.9",
        f"{asked}8&before=6%2Cform.3",
    ]
    outcome = shell.run("quarantine search --text baker --limit 1")
    assert ("form.1" in outcome.out, "form.2" in outcome.out, "mail.9" in outcome.err) == (True, False, True)


def test_nobody_is_erased_without_a_reason_a_yes_or_a_journal(shell: Shell) -> None:
    """Each is said before anything is touched."""
    for line in ("customer erase cu1", "quarantine erase q.1"):
        assert shell.run(line).code == Exit.USAGE
        assert shell.run(f"{line} --reason ' '").code == Exit.USAGE
        assert shell.run(f"{line} --reason asked --data nowhere --yes").code == Exit.DATA
        assert not (shell.folder / "nowhere").exists()


def test_a_look_before_an_erasure_is_of_a_stopped_server(shell: Shell) -> None:
    """It wants no reason, since nothing is done."""
    assert shell.run("customer erase cu1 --dry-run --when-stopped").code == Exit.USAGE
    assert shell.run("customer erase cu1 --dry-run --data nowhere").code == Exit.DATA
    assert not (shell.folder / "nowhere").exists()


def test_who_would_erase_beside_a_server_is_told_of_the_other_way(shell: Shell) -> None:
    """A server is not stopped at noon for it."""
    with locked(shell.folder / "data"):
        (shell.folder / "data" / "journal.sqlite").touch()
        outcome = shell.run("customer erase cu1 --reason asked --yes")
    assert outcome.code == Exit.DATA
    assert "stop that one first; or have it done as that one stops, with --when-stopped" in " ".join(
        outcome.err.split()
    )


def test_who_is_asked_whether_to_erase_is_told_whom(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the id, which is what is erased, and the address that was given."""

    async def meant(settings: Settings, who: str) -> str:
        return "cu1"

    (shell.folder / "data").mkdir()
    (shell.folder / "data" / "journal.sqlite").touch()
    monkeypatch.setattr("orchestrator.erasure.erasing.customer_meant", meant)
    monkeypatch.setattr("typer.confirm", lambda text, **_: asked.append(text))
    asked: list[str] = []
    for who in ("cu1", "tel:+447700900123"):
        outcome = shell.run(f"customer erase {who} --reason asked")
        assert (outcome.code, "nothing was erased" in outcome.err) == (Exit.REFUSED, True)
    assert asked == ["Erase cu1 for ever?", "Erase cu1, who has tel:+447700900123, for ever?"]


def test_the_report_is_a_table_csv_or_json(shell: Shell, answering: Answering) -> None:
    """The same rows; in CSV nothing a person named is a formula."""
    row = {"measure": "quarantined", "count": 2, "channels": "=chat", "team": "", "product": "", "week": "2026-11-23"}
    more = {"occasions": 9, "mend": "capture.yaml", "rule": "templates[chat]", "meaning": "nobody sees it"}
    answering.body = {"position": 1, "rows": [{**row, "examples": ["q1", "q2"], **more}]}
    assert shell.run("report context-loss --csv").out.splitlines() == [
        "measure,count,occasions,channels,team,product,week,examples,mend,rule",
        "quarantined,2,9,'=chat,,,2026-11-23,q1 q2,capture.yaml,templates[chat]",
    ]
    table = shell.run("report context-loss").out
    assert [asked[1] for asked in answering.asked] == ["/v1/reports/context-loss"] * 2
    assert all(word in table for word in ("quarantined", "q1, q2", "capture.yaml", "nobody sees it"))
    assert shell.run("report context-loss --json").json["rows"][0]["count"] == 2
    assert shell.run("report context-loss --json --csv").code == Exit.USAGE


def test_a_product_line_has_its_title_in_tables_alone(shell: Shell, answering: Answering) -> None:
    """Beside the name, which `--product-line` takes; in CSV the name, for whoever counts on."""
    row = {"measure": "quarantined", "product": "motor", "meaning": "", "channels": "", "team": "", "week": ""}
    rows = {"rows": [{**row, "count": 1, "occasions": 1, "examples": [], "mend": "", "rule": ""}]}
    labels = {"topics": [], "intents": [], "product_lines": [{"name": "motor", "title": "Cars"}], "segments": []}
    answering.bodies = [rows, labels]
    assert "Cars (motor)" in shell.run("report context-loss --product-line motor").out
    answering.bodies = [rows]
    assert ",motor," in shell.run("report context-loss --csv").out


def test_serve_says_what_is_wrong_with_its_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, line and what to write: the server runs by the rules before, and nobody would look into its log."""
    (tmp_path / "queues.yaml").write_text("default: service\nqueus: [service]\n")
    (tmp_path / "channels.yaml").write_text("sms:\n  rest_after: soon\n")
    say_what_is_wrong(Settings(policy_folder=str(tmp_path)))
    said = capsys.readouterr().err
    assert "is not put in force until this is mended" in said
    assert "channels.yaml:2" in said
    (tmp_path / "channels.yaml").write_text("sms:\n  rest_after: 1h\nemail: {}\nchat: {}\n")
    (tmp_path / "queues.yaml").unlink()
    say_what_is_wrong(Settings(policy_folder=str(tmp_path)))
    assert capsys.readouterr().err == ""
    (tmp_path / "context.yaml").write_text("fallback:\n  sms: sms\n")
    say_what_is_wrong(Settings(policy_folder=str(tmp_path)))
    said = " ".join(capsys.readouterr().err.split())
    assert "is put in force. Was this meant? context.yaml:2: sms falls back on itself" in said


def test_a_restored_folder_that_others_can_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A backup is copied under anybody's umask; what the server makes itself is its owner's alone."""
    folder = tmp_path / "data"
    say_who_may_read(folder)
    folder.mkdir(mode=0o700)
    (folder / "journal.sqlite").touch(mode=0o600)
    (folder / "journal.sqlite").chmod(0o644)
    say_who_may_read(folder)
    folder.chmod(0o755)
    (folder / "journal.sqlite").chmod(0o600)
    say_who_may_read(folder)
    assert capsys.readouterr().err == ""
    (folder / "journal.sqlite").chmod(0o644)
    say_who_may_read(folder)
    assert f"chmod -R go= {folder}" in capsys.readouterr().err
