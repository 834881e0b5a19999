"""Reading a bundle's texts: into values of the types that the rules have, or into everything that is wrong with them.

What may stand in a file is what the types in `actors.rules.policy` say, and nothing here knows a rule by name:

    Policy.handoffs: HandoffRules      handoffs.yaml, whose keys are the struct's fields
    Policy.channels: dict[str, …]      channels.yaml, whose keys are free
    all other fields of Policy         general.yaml
    a field `rest_after_ms`            the key `rest_after`, and a duration in words

Errors are collected, each with its line and with what to write instead. Where a value is wrong, what holds it is left
out, so that one mistake is told once.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_type_hints

import yaml
from msgspec import Struct
from yaml.reader import ReaderError

from actors.rules.policy import Policy
from orchestrator.bundles.kinds import kind_of
from orchestrator.bundles.scalars import ABSENT
from orchestrator.bundles.trees import OutOfBounds, too_much, tree_of
from orchestrator.bundles.unreadable import half_sign, in_words, no_code, no_sign
from orchestrator.bundles.values import Reader

GENERAL = "general.yaml"
OWN = ("version", "earlier", "channel_of", "former", "provider_max")
"""Fields of the policy that no file says."""


class Wrong(Struct, frozen=True, order=True):
    """Something is wrong at this line, and what to write instead."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class Texts(Struct, frozen=True):
    """What was read: the policy's fields that the files give, where each value stands, and what is wrong."""

    fields: dict[str, Any]
    lines: dict[tuple[str, ...], tuple[str, int]]
    wrong: list[Wrong]

    def line_of(self, path: tuple[str, ...]) -> tuple[str, int]:
        """Where the value at a path stands, or the nearest around it: the subject first, then its keys."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, (GENERAL, 1))


def subjects() -> dict[str, Any]:
    """File → the type of what it holds, for each field of the policy that has a file of its own."""
    return {f"{name}.yaml": hint for name, hint in _hints().items() if kind_of(hint) in ("struct", "dict")}


def general() -> dict[str, Any]:
    """The fields that stand in `general.yaml`, and their types."""
    return {name: hint for name, hint in _hints().items() if f"{name}.yaml" not in subjects()}


def _hints() -> dict[str, Any]:
    hints = get_type_hints(Policy, include_extras=True)
    return {name: hint for name, hint in hints.items() if name not in OWN}


def read(files: Mapping[str, str]) -> Texts:
    """Reads all of them."""
    said = Texts({}, {}, [])
    known = subjects()
    for file, text in sorted(files.items()):
        if file != GENERAL and file not in known:
            said.wrong.append(Wrong(file, 1, _no_such_file(file, [GENERAL, *known])))
            continue
        node = _composed(file, text, said)
        if node is None:
            continue
        reader = Reader(
            # mypy infers no type of a lambda with a default.
            lambda path, line, file=file: said.lines.setdefault(path, (file, line)),  # type: ignore[misc]
            lambda line, words, file=file: said.wrong.append(Wrong(file, line, words)),  # type: ignore[misc]
        )
        if file == GENERAL:
            said.fields.update(reader.fields(node, general(), ()) or {})
        else:
            subject = file.removesuffix(".yaml")
            value = reader.value(node, known[file], (subject,))
            if value is not ABSENT:
                said.fields[subject] = value
    said.wrong.sort()
    return said


def _composed(file: str, text: str, said: Texts) -> yaml.Node | None:
    """The file's tree; None where there is none, or nothing in it."""
    try:
        node = tree_of(text)
    except OutOfBounds as exc:
        said.wrong.append(Wrong(file, exc.line, f"this cannot be read: {exc}"))
        return None
    except yaml.MarkedYAMLError as exc:
        said.wrong.append(Wrong(file, *in_words(exc, text)))
        return None
    except ReaderError as exc:
        said.wrong.append(Wrong(file, *no_sign(exc, text)))
        return None
    except (ValueError, OverflowError):
        said.wrong.append(Wrong(file, *no_code(text)))
        return None
    if node is not None and (much := too_much(node)):
        said.wrong.append(Wrong(file, 1, much))
        return None
    if node is not None and (half := half_sign(node, text)):
        said.wrong.append(Wrong(file, *half))
        return None
    return node


def _no_such_file(file: str, known: list[str]) -> str:
    near = get_close_matches(file, known, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"a bundle has no such file: {meant}There are {', '.join(sorted(known))}"
