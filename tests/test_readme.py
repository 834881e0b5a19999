"""The README and the operations page say what is so: commands exist, code runs, settings and metrics are all there."""

import ast
import importlib
import re
import shutil
import subprocess
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import typer

from orchestrator import settings as s
from orchestrator.cli import app as cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()

PREFIXES: dict[type, str] = {
    s.Settings: "",
    s.Http: "http.",
    s.Limits: "limits.",
    s.PolicySettings: "policy.",
    s.EmailAccount: "email.",
    s.TwilioAccount: "twilio.",
    s.GatewayAccount: "gateway.",
}
"""How a table of the operations page names the fields of each part of the settings."""


def fenced(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shell_commands(text: str) -> list[str]:
    """The command lines of the shell blocks, without remarks."""
    lines = (line.partition("  #")[0].strip() for block in fenced(text, "sh") for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def parts(kind: object = s.Settings) -> Iterator[type]:
    """The structs the settings are made of."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        for hint in typing.get_type_hints(kind).values():
            yield from parts(hint)
    elif isinstance(kind, types.UnionType) or typing.get_args(kind):
        for argument in typing.get_args(kind):
            yield from parts(argument)


@pytest.mark.parametrize("command", shell_commands(README))
def test_each_command_of_the_readme_exists(command: str) -> None:
    """`make` knows the target, or `throughline` the command."""
    program, *arguments = command.split()
    if program == "make":
        assert arguments[0] in re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    else:
        assert program == ".venv/bin/throughline"
        assert arguments[0] in typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


def test_make_help_names_every_target() -> None:
    """`make help` is whole, and make reads the file."""
    make = shutil.which("make")
    assert make is not None
    shown = subprocess.run([make, "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    assert all(f"make {target} " in shown for target in targets[1].split())


@pytest.mark.parametrize("text", [README, OPERATIONS], ids=["README", "operations"])
def test_links_lead_to_files(text: str) -> None:
    """No link inside the project is dead."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text)
    folder = ROOT if text is README else ROOT / "docs"
    assert not [link for link in links if not (folder / link).exists()]


@pytest.mark.parametrize("code", fenced(README, "python"))
def test_the_readmes_code_names_what_exists(code: str) -> None:
    """Each import of an example is there; `tests/orchestrator/client` runs the same calls against a server."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            module = importlib.import_module(node.module)
            assert not [alias.name for alias in node.names if not hasattr(module, alias.name)]


def test_every_setting_is_documented_with_its_default() -> None:
    """A row for each field of the settings, with the default where it has a plain one."""
    missing = []
    for part in dict.fromkeys(parts()):
        for field in msgspec.structs.fields(part):
            row = re.search(rf"^\| `{re.escape(PREFIXES[part] + field.name)}` \| (.*?) \|", OPERATIONS, re.MULTILINE)
            if row is None or not _shows_default(row[1], field.default):
                missing.append(PREFIXES[part] + field.name)
    assert not missing


def test_no_setting_is_documented_that_is_not_there() -> None:
    """Rows of settings that were removed are removed."""
    known = {PREFIXES[part] + field.name for part in parts() for field in msgspec.structs.fields(part)}
    rows = set(re.findall(r"^\| `((?:http|limits|policy|email|twilio|gateway)\.[a-z_]+)`", OPERATIONS, re.MULTILINE))
    assert rows <= known


def test_the_example_settings_are_accepted() -> None:
    """The operations page's file is read as it stands."""
    for block in fenced(OPERATIONS, "toml"):
        assert s.parse(tomllib.loads(block)).accounts


def test_every_metric_is_documented() -> None:
    """Each name that the sources give a metric stands in the operations page."""
    sources = [*(ROOT / "orchestrator").rglob("*.py"), *(ROOT / "actors").rglob("*.py")]
    names = {name for file in sources for name in re.findall(r'"(throughline_[a-z_]+)"', file.read_text())}
    assert names
    assert not [name for name in sorted(names) if name not in OPERATIONS]


def _shows_default(cell: str, default: object) -> bool:
    if default is msgspec.NODEFAULT or isinstance(default, (msgspec.Struct, list, dict)):
        return True
    written = msgspec.json.encode(default).decode()
    return f"`{written.removesuffix('.0')}`" in cell
