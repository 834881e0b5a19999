"""Reports over HTTP: where context gets lost."""

from typing import Annotated, Any

from litestar import get
from litestar.params import QueryParameter

from orchestrator.gateway.access import needs
from orchestrator.gateway.services import HttpRequest, services_of

Time = Annotated[int, QueryParameter(ge=0, le=2**53, description="Milliseconds since 1970 UTC; 0 is no bound.")]


@get("/v1/reports/context-loss", guards=[needs("read")], tags=["reports"])
async def get_context_loss(request: HttpRequest, from_ms: Time = 0, until_ms: Time = 0) -> dict[str, Any]:
    """Where context was lost: `rows` by measure, channel pair, team, product line and week, each with its `count`, the
    newest `examples`, its `meaning`, and `mend`, the file of the policy bundle to look at. What retention
    dropped is not counted: `retained` says of which kind, before when (`before_ms`), and by which policy version."""
    here = services_of(request)
    position = await here.history.position()
    rows = [*await here.history.losses(from_ms, until_ms)]
    return {"position": position, "rows": rows, "retained": [dict(row) for row in await here.history.retained()]}


ROUTES: list[Any] = [get_context_loss]
"""What `http.py` serves from here."""
