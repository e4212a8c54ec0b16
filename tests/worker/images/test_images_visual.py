from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tasks.ports import Preprocess
from tasks.records import Visual
from worker.images.decode import decode

Save = Callable[..., bytes]


def seen(body: bytes) -> Visual:
    return decode(body, Preprocess(224)).visual


def bits(one: Visual, other: Visual) -> int:
    return (int(one.phash, 16) ^ int(other.phash, 16)).bit_count()


def test_near_duplicates_differ_in_few_bits_and_others_in_many(photo: Image.Image, save: Save) -> None:
    original = seen(save(photo))
    assert len(original.phash) == 16
    for copy in (
        save(photo, "JPEG", quality=40),
        save(photo.resize((1600, 1200)), "JPEG"),
        save(photo.resize((200, 150))),
        save(ImageEnhance.Brightness(photo).enhance(0.8)),
    ):
        assert bits(original, seen(copy)) <= 6
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8))
    assert bits(original, seen(save(noise))) > 16
    assert bits(original, seen(save(photo.transpose(Image.Transpose.ROTATE_90)))) > 16


def test_a_plain_surface_has_no_hash_but_zero(save: Save) -> None:
    assert seen(save(Image.new("RGB", (300, 200), (10, 200, 30)))).phash == "0" * 16


def test_colours_come_with_their_shares(save: Save) -> None:
    image = Image.new("RGB", (400, 400), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 100, 400))
    first, second = seen(save(image)).colors
    assert first.share == pytest.approx(0.75, abs=0.03)
    assert second.share == pytest.approx(0.25, abs=0.03)
    assert first.hex[1:3] > "f0"
    assert second.hex[5:7] > "f0"


def test_never_more_than_five_colours_largest_first(photo: Image.Image, save: Save) -> None:
    shares = [color.share for color in seen(save(photo)).colors]
    assert 2 <= len(shares) <= 5
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1.001


@pytest.mark.parametrize(
    ("size", "orientation"),
    [((100, 100), "square"), ((100, 96), "square"), ((100, 90), "landscape"), ((90, 100), "portrait")],
)
def test_orientation(save: Save, size: tuple[int, int], orientation: str) -> None:
    assert seen(save(Image.new("RGB", size))).orientation == orientation
