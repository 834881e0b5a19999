"""The layers are a test: who may import whom, where Ray may be named, what pure code may not touch."""

import ast
import itertools
import re
import sys
import tomllib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("protocol", "actors", "adapters", "orchestrator", "benchmarks")

ALLOWED: dict[str, frozenset[str]] = {
    "protocol": frozenset({"protocol"}),
    "actors": frozenset({"actors", "protocol"}),
    "adapters": frozenset({"adapters", "protocol"}),
    "orchestrator": frozenset({"orchestrator", "actors", "adapters", "protocol"}),
    "benchmarks": frozenset({"benchmarks", "orchestrator", "actors", "adapters", "protocol"}),
}
"""Which of our packages a package may import: DESIGN's arrows, protocol ← actors ← orchestrator and
protocol ← adapters ← orchestrator. Tests may import everything, nothing imports tests."""

SHELLS = frozenset(
    {
        "archive/archive",
        "archive/retention",
        "cells/cell",
        "cells/committing",
        "cells/concluding",
        "cells/gathering",
        "cells/loading",
        "cells/loads",
        "fault",
        "journal/journal",
        "journal/stretch",
        "outbox",
        "seats/seat",
        "seats/usher",
    }
)
"""Files of `actors` that wait, log and keep time; what the others decide, a simulation replays."""

IMPURE = frozenset(
    {
        "aiosqlite",
        "asyncio",
        "datetime",
        "http",
        "httpx",
        "logging",
        "os",
        "pathlib",
        "random",
        "secrets",
        "socket",
        "sqlite3",
        "structlog",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "uuid",
    }
)
"""Clocks, randomness, I/O and logging: pure code gets what it needs of them as arguments."""

NAMELESS = frozenset({"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "base", "core"})
"""Names that say nothing: a file is named by its subject."""

MAPPED = (
    "actors",
    "actors/archive",
    "actors/capture",
    "actors/cells",
    "actors/commands",
    "actors/context",
    "actors/decisions",
    "actors/erasure",
    "actors/handoffs",
    "actors/identity",
    "actors/inbound",
    "actors/journal",
    "actors/own_streams",
    "actors/rules",
    "actors/seats",
    "actors/state",
    "actors/tags",
    "actors/way_out",
    "adapters",
    "adapters/channels/email",
    "adapters/channels/twilio",
    "adapters/stores",
    "adapters/stores/archive",
    "adapters/stores/journal",
    "benchmarks",
    "benchmarks/commands",
    "benchmarks/figures",
    "benchmarks/inputs",
    "benchmarks/load",
    "benchmarks/reports",
    "benchmarks/scenarios",
    "orchestrator",
    "orchestrator/bundles",
    "orchestrator/cell_lines",
    "orchestrator/cli",
    "orchestrator/client",
    "orchestrator/cluster",
    "orchestrator/demo",
    "orchestrator/feed",
    "orchestrator/gateway",
    "orchestrator/gateway/bounded",
    "orchestrator/gateway/health",
    "orchestrator/gateway/http",
    "orchestrator/gateway/incoming",
    "orchestrator/gateway/operations",
    "orchestrator/gateway/reads",
    "orchestrator/gateway/websockets",
    "orchestrator/parts",
    "orchestrator/pipes",
    "orchestrator/policy",
    "orchestrator/settings",
    "orchestrator/way_in",
    "protocol",
)
"""Folders of more files than one sees at a glance: each draws its order where its docstring is."""

RAY_HOME = "orchestrator/cluster"
"""The only place that imports Ray; classes elsewhere are plain, so that each also runs in one process."""


TASKS = {
    "actors/fault.py Tasks.begin": "for what nobody awaits: the owner's fault hears what it raises",
    "orchestrator/client/connection.py Line._speak": "end with the socket, whose silence the client hears",
    "orchestrator/client/connection.py Line.start": "awaited by `close`; its end is said to the client",
    "orchestrator/cluster/host.py serve_with": "what runs beside it is watched by `first_of`",
    "orchestrator/cluster/node_line.py NodeLine._answer": "logs; the node ends a process that does not drain in time",
    "orchestrator/cluster/node_line.py NodeLine.serves": "the node ends a process that does not answer",
    "orchestrator/cluster/node_process.py NodeProcess.__init__": "awaited by `ended`, which the supervisor waits for",
    "orchestrator/cluster/supervisor.py _Supervisor._stay_with": "awaited there",
    "orchestrator/gateway/listener.py Listener.start": "awaited there until it is up, and by `stop`",
    "orchestrator/gateway/websockets/websocket.py WebSockets._serve": "ends the connection at a bug; awaited there",
    "orchestrator/inprocess.py InProcess._follow_usher": "awaited there",
    "orchestrator/inprocess.py InProcess._start": "awaited by the stop of a server in one process, which tests have",
    "orchestrator/inprocess.py InProcess.start": "likewise",
    "orchestrator/parts/ending.py first_of": "awaited there",
    "orchestrator/parts/ending.py until": "awaited there",
    "orchestrator/parts/gateway.py GatewayPart.start": "watched by `first_of` in `run`",
}
"""By function: who hears what a task raises that is made there and not in a `TaskGroup`. One that nobody hears leaves
its state half-done, and somebody waiting: what nobody awaits is begun with `actors.fault.Tasks`."""

CALLBACKS = {
    "actors/fault.py Tasks.begin": "is itself what hears a task",
    "orchestrator/client/connection.py Line.later": "hears what it calls, and ends with it",
    "orchestrator/cluster/supervisor.py _set_by_signals": "sets an event",
    "orchestrator/gateway/bounded/http.py BoundedHttp": "counts for uvicorn; a reading that raises closes it",
    "orchestrator/gateway/bounded/websocket.py BoundedWebSocket": "likewise, for its engine",
    "orchestrator/gateway/websockets/connection.py Connection.close": "drops the socket, and touches nothing else",
    "orchestrator/gateway/websockets/websocket.py WebSockets._write_soon": "hears each, and drops its socket",
    "orchestrator/pipes/memory.py MemoryWire.write": "tells the owner of the pipe that it feeds",
    "orchestrator/pipes/unix.py _SocketWire": "tells the pipe's owner",
    "adapters/stores/read_pool.py _End.comes": "says that a read is over, and touches nothing else",
    "adapters/channels/email/smtp.py Busy": "writes one line and closes",
    "adapters/channels/email/smtp.py Connection": "counts for aiosmtpd; a reading that raises closes it",
    "adapters/channels/email/smtp.py Connection._ends_in": "says why, or drops the socket, and touches nothing else",
}
"""By function, or by class where it is a protocol of a socket: who hears what a loop's callback raises there. The
others give the loop `guarded`, with who hears it: a loop only logs what it calls, and its owner would live on
half-done."""


def sources(*packages: str) -> list[Path]:
    """Every Python file of the packages, by its path from the root."""
    return sorted(file.relative_to(ROOT) for package in packages for file in (ROOT / package).rglob("*.py"))


class Module(NamedTuple):
    """What a file is looked at for; its tree is large, and to make it takes milliseconds."""

    is_documented: bool
    imports: tuple[tuple[int, str], ...]
    """The line and the full name of everything that it imports, also inside functions."""


@cache
def module(file: Path) -> Module:
    """Read once, whichever tests ask."""
    tree = ast.parse((ROOT / file).read_text(), str(file))
    return Module(ast.get_docstring(tree) is not None, tuple(_imports(file, tree)))


def _imports(file: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative imports hide the layer"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def tree_with(file: Path, names: Collection[str]) -> ast.Module:
    """The tree of a file, empty where none of the names stands in its text."""
    text = (ROOT / file).read_text()
    return ast.parse(text if any(name in text for name in names) else "", str(file))


def offences(files: list[Path], forbidden: frozenset[str]) -> list[str]:
    """`file:line imports name` for each import whose first part is forbidden."""
    return [
        f"{file}:{line} imports {name}"
        for file in files
        for line, name in module(file).imports
        if name.partition(".")[0] in forbidden
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_layers_below_it(package: str) -> None:
    """Arrows point one way; actors and adapters never meet."""
    forbidden = frozenset((*PACKAGES, "tests")) - ALLOWED[package]
    assert not offences(sources(package), forbidden)


def module_of(file: Path) -> str:
    """The name under which a file is imported."""
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def imported(file: Path, modules: frozenset[str]) -> tuple[set[str], set[str]]:
    """Which of our `modules` a file imports as it is loaded, and which for types alone."""
    loaded: set[str] = set()
    for_types: set[str] = set()
    for node in ast.parse((ROOT / file).read_text(), str(file)).body:
        guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for each in node.body if isinstance(node, ast.If) and guarded else [node]:
            if isinstance(each, ast.ImportFrom):
                names = {f"{each.module}.{alias.name}" for alias in each.names}
                (for_types if guarded else loaded).update(
                    name if name in modules else name.rpartition(".")[0] for name in names
                )
    return loaded & modules, for_types & modules


def reached_from(module: str, edges: dict[str, set[str]]) -> set[str]:
    """All that is loaded where a module is; itself where that is a circle."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        new = edges[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached


def test_imports_make_no_circle() -> None:
    """Whatever is loaded first, it finds the others whole. What is imported for types alone is what would close one;
    commands alone do so for another reason: asking one for help shall load nothing."""
    files = {module_of(file): file for file in sources(*PACKAGES)}
    found = {module: imported(file, frozenset(files)) for module, file in files.items()}
    edges = {module: loaded for module, (loaded, _) in found.items()}
    assert [module for module in edges if module in reached_from(module, edges)] == []
    needless = [
        f"{module} imports {other} for types alone"
        for module, (_, for_types) in found.items()
        for other in for_types
        if not module.startswith("orchestrator.cli.") and module not in reached_from(other, edges)
    ]
    assert needless == []


def test_ray_is_imported_in_one_place() -> None:
    """Actor classes know nothing of what hosts them."""
    outside = [file for file in sources(*PACKAGES) if not file.as_posix().startswith(RAY_HOME)]
    assert not offences(outside, frozenset({"ray"}))


def test_pure_modules_touch_neither_clock_nor_randomness_nor_io() -> None:
    """What decides gets time, randomness and data as arguments."""
    shells = {Path("actors") / f"{name}.py" for name in SHELLS}
    files = sources("protocol", "actors")
    assert shells <= {*files}
    assert not offences([file for file in files if file not in shells], IMPURE)


def test_the_sdk_stands_on_the_protocol_alone() -> None:
    """A client's program loads nothing of the server."""
    outside = [
        f"{file}:{line} imports {name}"
        for file in sources("orchestrator/client")
        for line, name in module(file).imports
        if name.startswith(("orchestrator.", "actors.", "adapters.")) and not name.startswith("orchestrator.client")
    ]
    assert not outside


def tasks_made(file: Path) -> Iterator[str]:
    """The functions of `file` that make a task of their own: `file Class.function`."""

    def walk(node: ast.AST, within: tuple[str, ...], groups: frozenset[str]) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from walk(child, (*within, child.name), _task_groups(child))
                continue
            if isinstance(child, ast.Call) and _makes_task(child.func, groups):
                yield f"{file.as_posix()} {'.'.join(within)}"
            yield from walk(child, within, groups)

    return walk(tree_with(file, _MAKERS), (), frozenset())


def _makes_task(called: ast.expr, groups: frozenset[str]) -> bool:
    if not isinstance(called, ast.Attribute):
        return isinstance(called, ast.Name) and called.id in _MAKERS
    return called.attr in _MAKERS and not (isinstance(called.value, ast.Name) and called.value.id in groups)


_MAKERS = frozenset({"create_task", "ensure_future", "run_coroutine_threadsafe", "Task"})


def _task_groups(function: ast.AST) -> frozenset[str]:
    """The names that a function has for task groups: opened in it, or given to it as such."""
    opened = {
        item.optional_vars.id
        for node in ast.walk(function)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name) and ast.unparse(item.context_expr) == "asyncio.TaskGroup()"
    }
    given = {
        node.arg
        for node in ast.walk(function)
        if isinstance(node, ast.arg) and node.annotation and ast.unparse(node.annotation) == "asyncio.TaskGroup"
    }
    return frozenset(opened | given)


def test_what_a_task_raises_is_heard() -> None:
    """Each place that makes one is known, with who hears it; the others begin theirs with `Tasks`, or in a group."""
    fakes = "adapters/channels/fakes/"
    made = {each for file in sources(*PACKAGES[:-1]) for each in tasks_made(file) if not each.startswith(fakes)}
    assert made == TASKS.keys()


def callbacks_given(file: Path) -> Iterator[str]:
    """The functions of `file` that give a loop something to call that is not guarded, and its protocols of sockets."""

    def walk(node: ast.AST, within: tuple[str, ...]) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            place = f"{file.as_posix()} {'.'.join(within)}"
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                if child.name in _PROTOCOL_CALLS:
                    yield place
                yield from walk(child, (*within, child.name))
                continue
            if isinstance(child, ast.Call) and _gives_unguarded(child):
                yield place
            yield from walk(child, within)

    return walk(tree_with(file, {*_CALLERS, *_PROTOCOL_CALLS}), ())


def _gives_unguarded(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or (place := _CALLERS.get(call.func.attr)) is None:
        return False
    return ast.unparse(call.args[place]).rpartition(".")[2] != "guarded"


_CALLERS = {
    "add_done_callback": 0,
    "add_reader": 1,
    "add_signal_handler": 1,
    "add_writer": 1,
    "call_at": 1,
    "call_later": 1,
    "call_soon": 0,
    "call_soon_threadsafe": 0,
}
"""What gives a loop, or a future, something to call, by which of its arguments."""
_PROTOCOL_CALLS = frozenset({"connection_lost", "connection_made", "data_received", "eof_received"})


def test_what_a_callback_raises_is_heard() -> None:
    """Each that a loop calls is guarded, or known with who hears it."""
    fakes = "adapters/channels/fakes/"
    given = {each for file in sources(*PACKAGES[:-1]) for each in callbacks_given(file) if not each.startswith(fakes)}
    assert given == CALLBACKS.keys()


def test_no_query_numbers_its_parameters() -> None:
    """`?1` with a sequence: Python 3.12.0 to 3.12.3 warn of it wrongly. Whoever needs one twice names it."""
    query, numbered = re.compile(r"\b(SELECT|VALUES|UPDATE|DELETE)\b"), re.compile(r"[ (=<>]\?[1-9]\b")
    texts = {file: (ROOT / file).read_text() for file in sources(*PACKAGES)}
    queries = {file: text for file, text in texts.items() if query.search(text)}
    assert Path("adapters/stores/archive/loads.py") in queries
    assert not [file for file, text in queries.items() if numbered.search(text)]


def events_logged(file: Path) -> Iterator[tuple[int, str]]:
    """The line and the name of each event that `file` logs; whatever is put together has no name that can be looked
    for."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(), str(file))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "_log"
        ):
            yield node.lineno, str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else ""


def test_what_is_logged_has_a_fixed_name_of_one_form() -> None:
    """`<part>.<what happened>`, by a logger that every file calls `_log`."""
    form = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*")
    logging = [file for file in sources(*PACKAGES) if "structlog.get_logger(" in (ROOT / file).read_text()]
    logged = {file: [*events_logged(file)] for file in logging}
    assert [file for file, events in logged.items() if not events] == []
    assert [
        f"{f}:{line} {name!r}" for f, events in logged.items() for line, name in events if not form.fullmatch(name)
    ] == []


def named_in(text: str) -> Iterator[str]:
    """What a text in backticks names of ours: files, with some of their folders or none, and modules with what is in
    them."""
    yield from re.findall(r"`((?:\w+/)*[a-z]\w*\.py)`", text)
    yield from re.findall(rf"`((?:{'|'.join((*PACKAGES, 'tests'))})(?:\.\w+)+)`", text)


def is_there(name: str, files: list[Path]) -> bool:
    """Whether there is such a file, or module or package: of a dotted name the rest is what it has."""
    if name.endswith(".py"):
        return any(f"/{file.as_posix()}".endswith(f"/{name}") for file in files)
    modules = {module_of(file) for file in files}
    _, *ends = itertools.accumulate(name.split("."), "{}.{}".format)
    return any(end in modules for end in ends)


def test_what_docstrings_comments_and_pages_name_is_there() -> None:
    """Whoever follows a name finds the file, also after it was moved."""
    files = sources(*PACKAGES, "tests")
    pages = [page.relative_to(ROOT) for page in (ROOT / "docs").glob("*.md")]
    named = {(file, name) for file in (*files, *pages) for name in named_in((ROOT / file).read_text())}
    lost = {f"{file} names {name}" for file, name in named if not is_there(name, files)}
    # The design's own word, where it is said what stands in its place.
    assert lost == {"docs/architecture.md names orchestrator/cluster.py"}


def test_files_are_named_by_their_subject() -> None:
    """No file is called `utils`, `common` or `manager`."""
    assert not [file for file in sources(*PACKAGES, "tests") if file.stem in NAMELESS]


@pytest.mark.parametrize("package", MAPPED)
def test_each_module_stands_in_its_packages_map(package: str) -> None:
    """Nobody has to guess where to begin."""
    described = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text())) or ""
    drawn = {*re.findall(r"\w+", described.partition("\n\n")[2])}
    inside = {file.stem for file in (ROOT / package).glob("*.py")} - {"__init__", "__main__"}
    assert (inside | {each.parent.name for each in (ROOT / package).glob("*/__init__.py")}) - drawn == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_lie_where_what_they_test_does(package: str) -> None:
    """In the folder of its package each, and of its module where it is named as one is."""
    homes: dict[str, set[Path]] = {}
    for file in sources(package):
        homes.setdefault(file.stem, set()).add(file.parent)
    tests = [file.relative_to(ROOT / "tests") for file in (ROOT / "tests" / package).rglob("test_*.py")]
    assert tests
    assert [file for file in tests if not (ROOT / file.parent / "__init__.py").exists()] == []
    assert [file for file in tests if file.parent not in homes.get(file.stem[5:], {file.parent})] == []


def test_every_module_says_what_it_owns() -> None:
    """Each module begins with a docstring."""
    silent = [
        file.as_posix()
        for file in sources(*PACKAGES, "tests")
        if not module(file).is_documented and (ROOT / file).read_text().strip()
    ]
    assert not silent


def ignored(file: Path) -> Iterator[str]:
    """The lines where an error of mypy is ignored without its code, or without a reason: behind it or, of one or
    several lines that it is ignored in, in a comment above."""
    lines = (ROOT / file).read_text().splitlines()
    for number, line in enumerate(lines):
        if (found := re.search(r"#\stype:\signore(\[[a-z, -]+\])?", line)) is None:
            continue
        above = next((each for each in reversed(lines[:number]) if not re.search(r"#\stype:\signore", each)), "")
        is_said = line[found.end() :].startswith("  # ") or above.strip().startswith("# ")
        if not (found[1] and is_said):
            yield f"{file}:{number + 1}"


def test_all_is_typed_and_what_is_not_has_a_reason() -> None:
    """mypy reads the packages and the tests, nothing is exempted but libraries without types, and where an error is
    ignored stand its code and why."""
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert mypy["strict"] is True
    assert (mypy["packages"], mypy.get("exclude")) == ([*PACKAGES, "tests"], None)
    assert [each.keys() - {"module"} for each in mypy["overrides"]] == [{"ignore_missing_imports"}]
    assert not [line for file in sources(*PACKAGES, "tests") for line in ignored(file)]


def test_the_wheel_holds_each_package_typed_and_no_tests() -> None:
    """Each package of the wheel says that it is typed, and `pyproject.toml` lists just these."""
    text = (ROOT / "pyproject.toml").read_text()
    listed = ", ".join(f'"{name}"' for name in ("orchestrator", "actors", "adapters", "protocol", "benchmarks"))
    assert f"packages = [{listed}]" in text
    assert all((ROOT / package / "py.typed").exists() for package in PACKAGES)


def test_every_third_party_import_is_a_dependency_with_a_pin() -> None:
    """What the code imports is declared, and `constraints.txt` pins it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    declared = {_name(line) for line in itertools.chain(project["dependencies"], *extras)}
    pinned = {_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")}
    used = {
        name.partition(".")[0]
        for file in sources(*PACKAGES, "tests")
        for _, name in module(file).imports
        if name.partition(".")[0] not in sys.stdlib_module_names | {*PACKAGES, "tests"}
    }
    assert {DISTRIBUTIONS.get(module, module.replace("_", "-")) for module in used} <= declared
    assert declared - {"throughline"} <= pinned  # Its own extras stand in `dev`.


DISTRIBUTIONS = {
    "cel": "common-expression-language",
    "hdrh": "hdrhistogram",
    "mailparser_reply": "mail-parser-reply",
    "re2": "google-re2",
    "xdist": "pytest-xdist",
    "yaml": "pyyaml",
}
"""Distributions that are not named as their module is."""


def _name(requirement: str) -> str:
    for separator in "<>=!~ ;[":
        requirement = requirement.partition(separator)[0]
    return requirement.lower().replace("_", "-")
