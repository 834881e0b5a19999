"""Writes the documents that are made from the types: `python -m orchestrator.documents docs`.

`tests/test_protocol_docs.py` fails while a committed one differs from what this writes.
"""

import json
import sys
from pathlib import Path
from typing import Any

from protocol.describe import asyncapi, fill, schemas


def documents(folder: Path) -> dict[Path, str]:
    """Returns what each generated file of `folder` should hold, by path."""
    page = folder / "protocol.md"
    made = {folder / "schemas" / f"{name}.json": _json(schema) for name, schema in schemas().items()}
    return {**made, folder / "asyncapi.json": _json(asyncapi()), page: fill(page.read_text(encoding="utf-8"))}


def main(folder: str) -> None:
    """Writes them."""
    for path, text in documents(Path(folder)).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main(sys.argv[1])
