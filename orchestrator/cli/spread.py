"""Options that go together: to a command one parameter of a struct, to typer each of its fields an option."""

from collections.abc import Callable, Iterator
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar, get_type_hints

import msgspec
import typer
from msgspec import Struct

F = TypeVar("F", bound=Callable[..., None])


class Commands(typer.Typer):
    """Typer's, whose commands may have such parameters."""

    def command(self, name: str | None = None, **given: Any) -> Callable[[F], F]:
        """As `typer.Typer.command`."""
        add = super().command(name, **given)

        def added(command: F) -> F:
            add(spread(command))
            return command

        return added


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer is to see it: an option for each field of the structs among its parameters."""
    hints = get_type_hints(command, include_extras=True)
    sets = {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Struct)}
    parameters: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        parameters += _options(sets[name]) if name in sets else [parameter.replace(annotation=hints[name])]

    @wraps(command)
    def with_sets(**given: Any) -> None:
        made = {name: of(**{key: given.pop(key) for key in of.__struct_fields__}) for name, of in sets.items()}
        command(**made, **given)

    with_sets.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # typer asks for it.
    with_sets.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_sets


def _options(of: type[Struct]) -> Iterator[Parameter]:
    types = get_type_hints(of, include_extras=True)
    for field in msgspec.structs.fields(of):
        assert field.default is not msgspec.NODEFAULT, f"{of.__name__}.{field.name}: an option needs a plain default"
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=types[field.name])
