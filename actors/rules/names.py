"""Names that operators and owners give: to accounts, to channels and queues, and to what is known of a conversation:
items, topics, numbers.
"""

from typing import Annotated

from msgspec import Meta, ValidationError, convert

from protocol.inbound import CONTEXT_KEY_MAX

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")]
"""An account's: it stands in URLs, in tokens' scopes, in streams (`account:<name>`) and in quarantine's ids."""
Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^(?!\s)[^\x00-\x1f\x7f-\x9f\u2028\u2029]*(?<!\s)\Z")]
"""A name that people choose: one that has a blank before it or behind, which nobody sees, would be another one."""


def wrong_name(name: str) -> str:
    """What to write instead; empty where nothing is wrong."""
    if name.strip() == name and name.isprintable() and 0 < len(name) <= CONTEXT_KEY_MAX:
        return ""
    return f"a name is printable, has 1 to {CONTEXT_KEY_MAX} characters, and no blank before it or behind"


def is_word(name: str) -> bool:
    """Whether it may be called so: a queue that is named in the middle of something else."""
    try:
        convert(name, Word)
    except ValidationError:
        return False
    return True
