"""Identity reviews over HTTP: what people have to decide about who is who. Settled by the commands `link_identity`,
`unlink_identity` and `close_identity_review` of `POST /v1/customers/{id}/commands`."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import QueryParameter

from actors.rules.identity import IdentityRules
from orchestrator.following import reach
from orchestrator.gateway.http.access import needs
from orchestrator.gateway.http.bodies import IdentityReviewsAnswer
from orchestrator.gateway.reads.reads import AT_LEAST_WITHIN_S, LARGEST, AtLeast, Limit
from orchestrator.gateway.services import HttpRequest, services_of
from protocol.errors import Code, Refusal

Cursor = tuple[Annotated[int, msgspec.Meta(ge=0, le=2**53)], str, str, str]


@get("/v1/identity/reviews", needs=needs("read", "agent"), tags=["reads"])
async def get_identity_reviews(
    request: HttpRequest,
    shared_after: Annotated[
        int,
        QueryParameter(
            ge=0,
            le=LARGEST,
            description="An identity that more customers than this claim is shown as `shared`; 0: as the policy says",
        ),
    ] = 0,
    limit: Limit = 100,
    before: Annotated[str, QueryParameter(description="the `next` of the page before")] = "",
    at_least: AtLeast = 0,
) -> IdentityReviewsAnswer:
    """Open questions of who is who, the newest first: what a channel said of `customer`, whose the identity is now
    (`owner`, empty: nobody's) and by what evidence, and how many customers claim it."""
    here = services_of(request)
    position = await reach(here.archive, at_least, within_s=AT_LEAST_WITHIN_S)
    rules = IdentityRules() if here.policy is None else here.policy.policy.identity
    rows = await here.archive.identity_reviews(
        shared_after=shared_after or rules.shared_after, limit=limit, before=_cursor(before)
    )
    following = _next(rows[-1]) if len(rows) == limit else ""
    return IdentityReviewsAnswer(position=position, reviews=[dict(row) for row in rows], next=following)


_decode_cursor: Callable[[bytes], Cursor] = msgspec.json.Decoder(Cursor).decode


def _next(row: Mapping[str, Any]) -> str:
    """In Base64, since an identity's `+` would not live through an address that is put together carelessly."""
    cursor: Cursor = (row["found_at_ms"], row["customer"], row["identity"], row["other"])
    return urlsafe_b64encode(msgspec.json.encode(cursor)).decode()


def _cursor(before: str) -> Cursor | None:
    if not before:
        return None
    try:
        return _decode_cursor(urlsafe_b64decode(before))
    except (ValueError, msgspec.MsgspecError) as exc:
        raise Refusal(Code.INVALID, "before must be the `next` of an earlier page", field="before") from exc


ROUTES: list[Any] = [get_identity_reviews]
"""What `http.py` serves from here."""
