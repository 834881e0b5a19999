"""Names that owners give to what is known of a conversation: context items, topics, kinds of numbers."""

from protocol.inbound import CONTEXT_KEY_MAX


def wrong_name(name: str) -> str:
    """What to write instead; empty where nothing is wrong."""
    if name.strip() == name and name.isprintable() and 0 < len(name) <= CONTEXT_KEY_MAX:
        return ""
    return f"a name is printable, has 1 to {CONTEXT_KEY_MAX} characters, and no blank before it or behind"
