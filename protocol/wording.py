"""Wording: which message of ours it is, where an id alone does not say it. Pure.

A server that was restored from a backup counts on from where the backup ends, and gives the ids of messages that it
lost to others. So what leaves carries a digest of what it says and to whom, and so does what is reported on it.
"""

import re
from hashlib import sha256

_DIGEST = re.compile(r"[0-9a-f]{8}", re.ASCII)


def digest_of(to: str, subject: str, text: str) -> str:
    """The first eight hex digits of SHA-256 over identity, subject and text, with a NUL between them: the same for
    every attempt of a message, over a restore too."""
    said = "\0".join((to, subject, text)).encode("utf-8", "surrogatepass")
    return sha256(said).hexdigest()[:8]


def is_digest(digest: str) -> bool:
    """Whether it is one that `digest_of` could have made."""
    return _DIGEST.fullmatch(digest) is not None
