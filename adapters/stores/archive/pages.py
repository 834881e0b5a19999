"""Pages: what one read gives at most. Rows are asked for by number, and a message alone may have 256 KiB."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

PAGE_BYTES_MAX = 1024 * 1024
"""Of bodies, and what goes over it with the last one. All of a page is held several times over, and is read and written
as JSON on a loop that serves everybody: 20 ms for so much."""


class Page(list[T]):
    """Rows, and whether there is `more` behind them."""

    def __init__(self, rows: Iterable[T] = (), *, more: bool = False) -> None:
        super().__init__(rows)
        self.more = more


def paged(rows: Iterable[T], limit: int, size_of: Callable[[T], int]) -> Page[T]:
    """The first `limit` rows, of which there are no more than that; or up to the one with which they have
    `PAGE_BYTES_MAX`."""
    page, left = Page[T](), PAGE_BYTES_MAX
    for row in rows:
        page.append(row)
        left -= size_of(row)
        if len(page) == limit or left <= 0:
            page.more = True
            break
    return page
