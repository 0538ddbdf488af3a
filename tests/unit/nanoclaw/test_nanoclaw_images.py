import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanoclaw.images import Picture, read_picture
from tests.support import pictures

ALL = {
    "png": (pictures.png(2, 3), Picture("image/png", 2, 3)),
    "jpeg": (pictures.jpeg(3, 5), Picture("image/jpeg", 3, 5)),
    "gif": (pictures.gif(4, 6), Picture("image/gif", 4, 6)),
    "webp": (pictures.webp(7, 8), Picture("image/webp", 7, 8)),
    "webp-lossy": (pictures.webp_lossy(9, 10), Picture("image/webp", 9, 10)),
    "webp-extended": (pictures.webp_extended(11, 12), Picture("image/webp", 11, 12)),
}


@pytest.mark.parametrize("kind", ALL)
def test_a_sound_picture_is_known_by_its_bytes(kind):
    data, picture = ALL[kind]
    assert read_picture(data) == picture
    assert picture.is_showable


@pytest.mark.parametrize("kind", ALL)
def test_half_a_picture_is_none(kind):
    data, _ = ALL[kind]
    for length in range(len(data)):
        assert read_picture(data[:length]) is None


def test_a_png_with_one_wrong_bit_is_none():
    data = bytearray(pictures.png())
    for place in range(8, len(data)):
        broken = bytearray(data)
        broken[place] ^= 1
        assert read_picture(bytes(broken)) is None


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg/>", b"BM" + b"\0" * 60, b"%PDF-1.7", b"\xff\xd8", b"RIFF"])
def test_anything_else_is_none(data):
    assert read_picture(data) is None


@given(st.sampled_from(list(ALL)), st.binary(max_size=40), st.integers(0, 60))
def test_no_garbage_breaks_the_reader(kind, garbage, place):
    data, _ = ALL[kind]
    read_picture(data[:place] + garbage + data[place:])
    read_picture(data[:12] + garbage)


@pytest.mark.parametrize(("width", "height", "shown"), [(2000, 1, True), (2001, 1, False), (0, 5, False)])
def test_what_the_api_would_not_take_is_not_shown(width, height, shown):
    assert Picture("image/png", width, height).is_showable is shown
