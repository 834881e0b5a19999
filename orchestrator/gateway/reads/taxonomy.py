"""The taxonomy in force over HTTP: what contacts can be about, with the titles that people call it by.

Facts and views have names alone. Whoever shows them to people asks here once, and again on meeting a name that is new.
"""

from typing import Any

from litestar import get
from msgspec import Struct

from actors.rules.taxonomy import Label
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.services import HttpRequest, services_of
from protocol.errors import Code, Refusal

_READERS = needs("read", "agent")


class LabelAnswer(Struct, kw_only=True, frozen=True):
    """One label. `name` is what events, views and filters have; `title` as people call it, the name where the policy
    has no title."""

    name: str
    title: str


class TaxonomyAnswer(Struct, kw_only=True, frozen=True):
    """The taxonomy of a policy version, each list in the order of the bundle. `keys` are the kinds of numbers that name
    one matter."""

    version: int
    topics: list[LabelAnswer]
    intents: list[LabelAnswer]
    product_lines: list[LabelAnswer]
    segments: list[LabelAnswer]
    keys: list[str]


@get("/v1/taxonomy", needs=_READERS, tags=["policy"])
async def get_taxonomy(request: HttpRequest) -> TaxonomyAnswer:
    """What contacts can be about by the policy in force, with titles. A name that is not here is of an earlier
    version: show it as it is."""
    desk = services_of(request).policy
    if desk is None:
        raise Refusal(Code.UNAVAILABLE, "this gateway has no policy desk")
    taxonomy = desk.policy.taxonomy
    return TaxonomyAnswer(
        version=desk.policy.version,
        topics=_titled(taxonomy.topics),
        intents=_titled(taxonomy.intents),
        product_lines=_titled(taxonomy.product_lines),
        segments=_titled(taxonomy.segments),
        keys=[*taxonomy.keys],
    )


def _titled(labels: dict[str, Label]) -> list[LabelAnswer]:
    return [LabelAnswer(name=name, title=label.title or name) for name, label in labels.items()]


ROUTES: list[Any] = [get_taxonomy]
"""What `http.py` serves from here."""
