"""A life: one process from its start to its death. What is left of a dead one in memory does nothing any more."""

import asyncio


class Life:
    """`incarnation` is its name on pipes."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.incarnation = f"{name}#{number}"
        self.alive = True

    async def passing(self, seconds: float) -> None:
        """Lets time pass; does not return where the process died meanwhile."""
        if seconds:
            await asyncio.sleep(seconds)
        if not self.alive:
            await self.never()

    async def never(self) -> None:
        """Does not return: the process is dead."""
        await asyncio.get_running_loop().create_future()
