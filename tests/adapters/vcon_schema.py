"""The unsigned vCon of draft-ietf-vcon-vcon-core-04 as types, from the text of its sections 2.2 to 4.5: what each
parameter is called, what it holds, and what must be there. Nothing beside it passes.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Date = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")]
"""RFC 3339."""
Index = Annotated[int, Meta(ge=0)]
MediaType = Annotated[str, Meta(pattern=r"^[^/\s]+/[^/\s].*$")]
ContentHash = Annotated[str, Meta(pattern=r"^[a-z0-9]+-[A-Za-z0-9_-]+$")]
Encoding = Literal["base64url", "json", "none"]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")]
"""Of version 8, as §4.1.2 recommends."""


class Object(Struct, kw_only=True, forbid_unknown_fields=True):
    """Of each: no parameter that the draft has not."""


class Party(Object, kw_only=True):
    """§4.2."""

    tel: str | UnsetType = UNSET
    sip: str | UnsetType = UNSET
    stir: str | UnsetType = UNSET
    mailto: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    did: str | UnsetType = UNSET
    validation: str | UnsetType = UNSET
    gmlpos: str | UnsetType = UNSET
    civicaddress: dict[str, str] | UnsetType = UNSET
    uuid: str | UnsetType = UNSET
    type: Literal["person", "bot", "organization"] | UnsetType = UNSET
    org: str | UnsetType = UNSET
    dept: str | UnsetType = UNSET


class Content(Object, kw_only=True):
    """§2.3, §2.4: inline, or somewhere else, or left out."""

    mediatype: MediaType | UnsetType = UNSET
    filename: str | UnsetType = UNSET
    body: Any = UNSET
    encoding: Encoding | UnsetType = UNSET
    url: str | UnsetType = UNSET
    content_hash: str | list[ContentHash] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Raises `ValueError` where one of a pair is missing."""
        if self.body is not UNSET and (self.encoding is UNSET or self.mediatype is UNSET):
            raise ValueError("an inline body needs its encoding and its mediatype")
        if self.body is not UNSET and self.encoding != "json" and not isinstance(self.body, str):
            raise ValueError("only a JSON body is no text")
        if (self.url is UNSET) != (self.content_hash is UNSET):
            raise ValueError("a url needs its content_hash")
        # Not `ContentHash | list[ContentHash]`: `tests/test_types.py` says why.
        if isinstance(self.content_hash, str):
            msgspec.convert(self.content_hash, ContentHash)


class Dialog(Content, kw_only=True):
    """§4.3, of the two kinds that have content: the table of §4.3.1.6."""

    type: Literal["text", "recording"]
    start: Date | UnsetType = UNSET
    duration: float | UnsetType = UNSET
    parties: Index | list[Index] | UnsetType = UNSET
    originator: Index | UnsetType = UNSET
    recording_set: Index | UnsetType = UNSET
    session_id: dict[str, str] | UnsetType = UNSET
    party_history: list[Any] | UnsetType = UNSET
    application: str | UnsetType = UNSET
    message_id: str | UnsetType = UNSET


class Attachment(Content, kw_only=True):
    """§4.4."""

    start: Date
    party: Index
    dialog: Index
    purpose: str | UnsetType = UNSET


class VCon(Object, kw_only=True):
    """§4.1, of what this project writes: nothing is redacted, amended or analysed."""

    vcon: Literal["0.4.0"]
    uuid: Uuid
    created_at: Date
    updated_at: Date | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    parties: list[Party] = []
    dialog: list[Dialog] = []
    attachments: list[Attachment] = []


def checked(vcon: dict[str, Any]) -> VCon:
    """The vCon, whose indexes are all of something. Raises `msgspec.ValidationError` or `AssertionError`."""
    made = msgspec.json.decode(msgspec.json.encode(vcon), type=VCon)
    parties, dialogs = range(len(made.parties)), range(len(made.dialog))
    for said in made.dialog:
        listed = said.parties if isinstance(said.parties, list) else []
        assert all(index in parties for index in listed)
    for attachment in made.attachments:
        assert attachment.party in parties
        assert attachment.dialog in dialogs
    return made
