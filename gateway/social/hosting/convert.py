"""Pictures made into JPEGs, without what a camera wrote about place and time."""

from __future__ import annotations

import io
import warnings

from shared.errors import Invalid

MOST_PIXELS = 40_000_000
"""More is refused before anything is unpacked: a small file can claim any size."""

_QUALITIES = (90, 80, 65, 50)
_WIDTH = 1440


def to_jpeg(data: bytes, *, most_bytes: int, width: int = _WIDTH) -> bytes:
    """The first picture of a file as a JPEG in RGB, upright, no wider than `width`, on white where it lets through.

    Raises:
        Invalid: it is no picture, damaged, too large, or stays larger than `most_bytes`.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "MPO")) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise Invalid(f"it claims {opened.width}x{opened.height}; at most {MOST_PIXELS:,} pixels go")
                upright = ImageOps.exif_transpose(opened)
                whole = upright.convert("RGBA")
    except Invalid:
        raise
    except Exception as error:  # noqa: BLE001 - readers of damaged pictures raise almost anything
        raise Invalid(f"it cannot be read as a picture ({type(error).__name__})") from None
    if whole.width > width:
        whole = whole.resize((width, max(1, round(whole.height * width / whole.width))))
    picture = Image.new("RGB", whole.size, "white")
    picture.paste(whole, mask=whole.getchannel("A"))
    for quality in _QUALITIES:
        # A new picture has neither EXIF nor comments.
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= most_bytes:
            return out.getvalue()
    raise Invalid(f"as a JPEG it stays larger than {most_bytes:,} bytes")
