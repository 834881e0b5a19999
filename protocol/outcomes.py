"""Outcomes: what a gateway client may say became of a `deliver`, on both ends of its connection. Pure."""

from msgspec.structs import replace

from protocol.errors import Code, Refusal
from protocol.frames import Delivered

STATUSES = ("sent", "failed", "refused", "uncertain")
EXTERNAL_ID_MAX = 512
"""Characters of a provider's id of a message, as of an event's; a longer one is refused: half an id is another."""
WORDS_MAX = 300
"""Characters of a provider's code and reason: people read them, and they are cut as the mail's and Twilio's are."""


def checked(frame: Delivered) -> Delivered:
    """An answer as it is kept, in the journal too. Raises `Refusal`."""
    if frame.status not in STATUSES:
        message = f"delivered: status must be one of {', '.join(STATUSES)}"
        raise Refusal(Code.INVALID, message, ref=frame.delivery, field="status")
    if len(frame.external_id) > EXTERNAL_ID_MAX:
        message = f"delivered: external_id has at most {EXTERNAL_ID_MAX} characters"
        raise Refusal(Code.OVER_LIMIT, message, ref=frame.delivery, field="external_id")
    if "\0" in frame.external_id:
        message = "delivered: external_id has a NUL character, which no text has"
        raise Refusal(Code.INVALID, message, ref=frame.delivery, field="external_id")
    return replace(frame, code=_words(frame.code), reason=_words(frame.reason))


def _words(text: str) -> str:
    return text[:WORDS_MAX].replace("\0", " ")
