"""The customer of one run: new addresses each time, so that a demo can be repeated on the same data."""

import re
from collections.abc import Callable
from random import Random

from msgspec import Struct

NAMES = ("Ann", "Ben", "Cleo", "Dev", "Eva", "Finn", "Gita", "Hugo", "Ines", "Jon")
TRIES_MAX = 1000
"""Numbers tried before giving up: reserved ones are few, and a data folder may have seen many demos."""
_WEB = re.compile(r"web:throughline-demo-[0-9a-f]{6,8}", re.ASCII)


class Customer(Struct, kw_only=True, frozen=True):
    """One person and their addresses, in the spelling the server keeps them in."""

    name: str
    web: str
    """The anonymous id their browser carries."""
    mail: str
    number: str
    """E.164."""

    @property
    def identities(self) -> list[str]:
        """What the chat, which checked them when they signed in, vouches for; its own id first."""
        return [f"web:{self.web}", f"mailto:{self.mail}", f"tel:{self.number}"]


def was_met(identity: str) -> bool:
    """Whether it is the chat's id of a customer of some run, and of nobody else."""
    return _WEB.fullmatch(identity) is not None


def meet(random: Random, *, known: Callable[[str], bool]) -> Customer:
    """A customer of whom `known`, asked with an identity, says no. Raises `LookupError` where all numbers are taken."""
    name = random.choice(NAMES)
    tag = f"{random.randrange(36**6):06x}"
    for _ in range(TRIES_MAX):
        number = _number(random)
        if not known(f"tel:{number}"):
            mail = f"{name.lower()}.{tag}@customer.example"
            return Customer(name=name, web=f"throughline-demo-{tag}", mail=mail, number=number)
    raise LookupError("every number tried belongs to a customer already; use a fresh data folder")


def _number(random: Random) -> str:
    """A number that rings nowhere: 555-0100 to 555-0199 of any area code are kept for fiction (ATIS-0300115)."""
    return f"+1{random.randrange(201, 990)}55501{random.randrange(100):02d}"
