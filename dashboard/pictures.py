"""Pictures in messages: what of one a page can show. Pure.

A page shows a picture that the message itself holds, and loads none from elsewhere.
"""

import re
from dataclasses import dataclass
from typing import Any

_KINDS = ("image_url", "input_image", "image")
_HELD = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp|avif);base64,[A-Za-z0-9+/=_-]+", re.IGNORECASE)
_LINK = re.compile(r"https?://[^\s]+", re.IGNORECASE)


@dataclass(frozen=True)
class Picture:
    """A picture: itself as a data URL, or the address where it is; neither if a page can show neither."""

    held: str = ""
    link: str = ""


def picture_of(part: Any) -> Picture | None:
    """The picture of a part of a message, as OpenAI and Anthropic write them; None if the part is none."""
    if not isinstance(part, dict) or part.get("type") not in _KINDS:
        return None
    address = part.get("image_url")
    if isinstance(address, dict):
        address = address.get("url")
    if isinstance(source := part.get("source"), dict):
        held = f"data:{source.get('media_type')};base64,{source.get('data')}"
        address = held if source.get("type") == "base64" else source.get("url")
    if not isinstance(address, str):
        return Picture()
    if _HELD.fullmatch(address):
        return Picture(held=address)
    return Picture(link=address) if _LINK.fullmatch(address) else Picture()
