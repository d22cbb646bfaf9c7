"""Thumbnails come from data, so only what is a small raster image by its address gets through."""

import re

# Not SVG, which is a document and not an image, and nothing that would be fetched.
_RASTER = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")
_LARGEST = 200_000


def safe_thumbnail(address: str | None) -> str | None:
    """The address if it is a raster image held in the page itself, else None."""
    if address is None or len(address) > _LARGEST or not _RASTER.fullmatch(address):
        return None
    return address
