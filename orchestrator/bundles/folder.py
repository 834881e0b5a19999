"""A bundle's folder: its files in and out. Only `*.yaml` count; a README may lie beside them."""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

from actors.own_streams.applying import BUNDLE_BYTES_MAX
from orchestrator.bundles.reading import GENERAL, Wrong, subjects
from protocol.errors import ThroughlineError

SHIPPED = Path(__file__).parent
DEFAULTS = ("insurer", "utility")
"""The bundles that ship, each a service desk of that trade."""

EMPTY = (
    "this file is empty, as one is that could not be saved: write it again, or delete it where the settings' rules are "
    "meant; a remark alone (# …) is no rule and no mistake"
)
"""Taken for a bundle's file it would be one without any rule, and so close each account it had."""
BOM = b"\xef\xbb\xbf"
"""What some editors begin a file of UTF-8 with, also an empty one."""
_DOCUMENTS = frozenset(
    {"", ".txt", ".text", ".rtf", ".doc", ".docx", ".odt", ".csv", ".xls", ".xlsx", ".ods", ".json", ".toml"}
)
"""Endings of what was to be a bundle's file, saved as something else. A copy's, such as `.bak`, is none of them."""
_NEARLY = re.compile(r"([^.].*?)\.ya?ml(?:\.txt)?", re.IGNORECASE)
"""Files that were to be a bundle's: some editors put an ending of theirs behind."""


class BundleError(ThroughlineError):
    """The folder cannot be read as a bundle at all; the message says what to do."""


def read_folder(folder: Path) -> tuple[dict[str, str], list[Wrong]]:
    """The texts by name, and what cannot be read of them. Raises `BundleError`."""
    if not folder.is_dir():
        raise BundleError(f"{folder} is no folder: give the one that holds the bundle's YAML files")
    files: dict[str, str] = {}
    wrong: list[Wrong] = []
    sizes: dict[str, int] = {}
    try:
        paths = sorted(folder.iterdir())
        names = {path.name for path in paths}
        for path in paths:
            if (remark := _not_looked_at(path, names)) is not None:
                wrong.append(remark)
            if path.suffix != ".yaml" or path.name.startswith("."):
                continue
            body = _body_of(path)
            if isinstance(body, Wrong):
                wrong.append(body)
                continue
            sizes[path.name] = len(body)
            if sum(sizes.values()) > BUNDLE_BYTES_MAX:
                longest = max(sizes, key=sizes.__getitem__)
                raise BundleError(
                    f"{folder}: the files have over {BUNDLE_BYTES_MAX} bytes, and a bundle has no more: shorten or "
                    f"take away {longest}, the longest"
                )
            try:
                files[path.name] = body.decode()
            except UnicodeDecodeError as exc:
                line = body.count(b"\n", 0, exc.start) + 1
                wrong.append(Wrong(path.name, line, "this is not UTF-8: save the file as UTF-8 text"))
    except OSError as exc:
        raise BundleError(f"{folder} cannot be read: {exc.strerror}") from exc
    if not files and not wrong:
        # Taken for a bundle it would be one without any rule: all accounts closed, everything as the settings say.
        inside = next(iter(sorted(folder.glob("*/*.yaml"))), None)
        meant = f"; did you mean {inside.parent}?" if inside is not None else ""
        raise BundleError(f"{folder} holds no bundle: there is no .yaml file in it{meant}")
    return files, wrong


def _not_looked_at(path: Path, names: Collection[str]) -> Wrong | None:
    """That a file was to be a bundle's, and is none by its name; None where it is, or was to be nothing."""
    if (nearly := _NEARLY.fullmatch(path.name)) and path.suffix != ".yaml":
        return Wrong(path.name, 1, f"this file is not looked at: rename it to {nearly[1]}.yaml")
    if (meant := _meant_by(path)) and meant not in names:
        return Wrong(path.name, 1, f"this file is not looked at: save it as plain text, as {meant}")
    return None


def _body_of(path: Path) -> bytes | Wrong:
    """What is in a file; of one that is longer than a bundle, such as an export, as much as says so."""
    try:
        with path.open("rb") as file:
            body = file.read(BUNDLE_BYTES_MAX + 1)
    except OSError as exc:
        return Wrong(path.name, 1, f"this cannot be read: {exc.strerror}; take it away, or mend it")
    return body if body.removeprefix(BOM).strip() else Wrong(path.name, 1, EMPTY)


def _meant_by(path: Path) -> str:
    """The bundle's file that a document was to be, by its name: without it the settings' rules would hold, and nobody
    would say so. Empty for others."""
    first, dot, ending = path.name.strip().partition(".")
    meant = f"{first.strip().lower()}.yaml"
    known = meant in subjects() or meant == GENERAL
    return meant if known and f"{dot}{ending}".lower().removeprefix(".yaml") in _DOCUMENTS and path.is_file() else ""


def copy_default(name: str, folder: Path) -> list[str]:
    """Copies a bundle that ships into a folder that is empty or not there; returns the files. Raises `BundleError`."""
    if name not in DEFAULTS:
        raise BundleError(f"there is no bundle {name!r}: write one of {', '.join(DEFAULTS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"{folder} has something in it already: give a new folder, so that nothing is overwritten")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted((SHIPPED / name).glob("*.yaml")):
            shutil.copyfile(path, folder / path.name)
    except OSError as exc:
        raise BundleError(f"{folder} cannot be written: {exc.strerror}") from exc
    return sorted(path.name for path in folder.glob("*.yaml"))
