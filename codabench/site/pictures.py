"""Pictures that people give: decoded with care, made small, written anew without what cameras add to them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from codabench.core.errors import Invalid, MissingExtra

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_BYTES = 10 * 1024**2
MOST_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "GIF", "WEBP")

WRONG = "Give a picture: PNG, JPEG, GIF or WebP, up to 10 MiB and 50 million pixels."


def square(data: bytes, side: int, *, field: str = "photo") -> bytes:
    """The middle of a picture as a square PNG of so many pixels; smaller ones are made larger.

    Parameters
    ----------
    field
        Which one is wrong, if it is.

    Raises
    ------
    Invalid
        ``CB802``: it is no picture, or too large.
    MissingExtra
        ``CB370``: the extra ``web`` is not installed.
    """
    picture = _read(data, field)
    from PIL import ImageOps

    return _written(ImageOps.fit(picture, (side, side)))


def narrow(data: bytes, width: int, *, field: str = "logo") -> bytes:
    """A picture as a PNG of at most so many pixels in width (platform.md O86); else as `square`."""
    picture = _read(data, field)
    if picture.width > width:
        picture = picture.resize((width, max(1, round(picture.height * width / picture.width))))
    return _written(picture)


def _read(data: bytes, field: str) -> Image:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        hint = "pip install codabench[web]"
        raise MissingExtra("Pillow, which reads pictures, is not installed", hint=hint) from error
    if not 0 < len(data) <= MOST_BYTES:
        raise Invalid({field: WRONG})
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        if picture.width * picture.height > MOST_PIXELS:
            raise Invalid({field: WRONG})
        picture.draft("RGB", (1024, 1024))  # a large JPEG is decoded small
        # As it is to be seen, whichever way up the camera was.
        return ImageOps.exif_transpose(picture).convert("RGBA")
    except Invalid:
        raise
    except (OSError, ValueError, ArithmeticError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise Invalid({field: WRONG}) from error


def _written(picture: Image) -> bytes:
    into = io.BytesIO()
    picture.save(into, "PNG")  # pixels alone: places and names of cameras were in what was read
    return into.getvalue()
