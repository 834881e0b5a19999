"""By which version the cells decide: who applied one waits for all that can be reached, and for no other."""

import asyncio

from orchestrator.cell_lines.asking import Asking
from orchestrator.cell_lines.deciders import Deciders
from protocol.links import PolicyIs
from tests.orchestrator.lines import KeptLine


def _deciders(count: int) -> tuple[Deciders, list[KeptLine]]:
    asking, lines = Asking(count, None), [KeptLine() for _ in range(count)]
    for index, line in enumerate(lines):
        asking.reached(index, line)
    return Deciders(asking), lines


async def test_who_waits_goes_on_as_the_last_cell_decides_by_it() -> None:
    """A newer version will do."""
    deciders, _ = _deciders(2)
    waiting = asyncio.create_task(deciders.deciding_by(2, within_s=60))
    deciders.said(0, PolicyIs(2, b""))
    await asyncio.sleep(0)
    assert not waiting.done()
    deciders.said(1, PolicyIs(3, b""))
    assert await waiting == []


async def test_who_is_late_is_named() -> None:
    """A cell that cannot be reached is not: it is told first of all as it comes back."""
    deciders, lines = _deciders(3)
    deciders.said(0, PolicyIs(2, b""))
    lines[1].open = False
    assert await deciders.deciding_by(2, within_s=0) == [2]


def test_a_new_life_says_again_what_it_decides_by() -> None:
    """Until then it decides by the settings', as far as is known."""
    deciders, _ = _deciders(1)
    deciders.said(0, PolicyIs(2, b""))
    deciders.forget(0)
    assert deciders.behind(2) == [0]


def test_each_version_is_news_once() -> None:
    """However many cells name it, and whichever comes late."""
    deciders, _ = _deciders(2)
    news: list[int] = []
    deciders.on_newer = lambda said: news.append(said.version)
    for index, version in ((0, 2), (1, 2), (0, 3), (1, 2)):
        deciders.said(index, PolicyIs(version, b""))
    assert (news, deciders.policy) == ([2, 3], 3)
