"""The CEL library without its command line: `cel` is what reads expressions and carries them out.

The package loads its shell before all else, with what draws one: 105 of 116 ms and 10 of 13 MiB, in each process that
decides. One module of it is all that is needed, and that one needs nothing of the kind.
"""

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = ["cel"]

_MODULE = "cel.cel"


def _alone() -> ModuleType:
    """That module. Whoever imports the package after all gets it too: it must not be loaded twice."""
    if _MODULE in sys.modules:
        return sys.modules[_MODULE]
    package = find_spec("cel")
    spec = PathFinder.find_spec(_MODULE, package.submodule_search_locations if package is not None else None)
    if spec is None or spec.loader is None:
        return import_module("cel")  # A release that is laid out in another way, or there is none, which is said here.
    sys.modules[_MODULE] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[_MODULE])
    return sys.modules[_MODULE]


if TYPE_CHECKING:
    import cel
else:
    cel = _alone()
