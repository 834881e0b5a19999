"""Lengths of texts, as those count who limit them. Pure."""


def utf16_length(text: str) -> int:
    """Characters in UTF-16 units: an emoji is two. So count Twilio (error 21617) and what runs in a browser."""
    return len(text) + sum(character > "\uffff" for character in text)
