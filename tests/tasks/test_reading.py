"""Renditions instead of originals, on the shipped store and the real decoding, in this process."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.budget import Budget
from tasks.errors import Reason, Rejected, Replaced, Unavailable, Vanished
from tasks.observe import Silent
from tasks.ports import Decoded, Fetched, Start, Stat
from tasks.reading import MOST, START, Reader, Reading
from tasks.records import ImageRef
from tasks.renditions import Renditions
from tests.conftest import jpeg
from worker.encoders.fake import FakeEncoder
from worker.images.decode import Limits, decode
from worker.storage.local import LocalStore
from worker.storage.memory import MemoryStore

KEY, RENDITION = "2024/a.jpg", "previews/2024/a_1000.jpg"
REF = ImageRef("photos", KEY)
LARGE, SMALL = (1200, 800), (300, 200)


class Inline:
    """Decodes where it is called."""

    def submit(self, body: bytes | Path, original: Start | None = None) -> "Future[Decoded]":
        future: Future[Decoded] = Future()
        try:
            future.set_result(decode(body, FakeEncoder.preprocess, Limits(), original=original))
        except Rejected as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        pass


class Watched(MemoryStore):
    """Says what was asked of it, and lets something happen before the start of an object is read."""

    def __init__(self) -> None:
        super().__init__("photos")
        self.asked: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def fetch(self, key: str, etag: str | None = None, *, most: int | None = None) -> Fetched:
        self.asked.append(f"get {key}")
        if key.startswith("away"):
            raise Unavailable("the store did not answer")
        return super().fetch(key, etag, most=most)

    def fetch_start(self, key: str, length: int, *, etag: str) -> bytes:
        self.asked.append(f"start {key}")
        self.meanwhile()
        found = self.read(key)
        if found is None:
            raise Vanished("it is gone")
        if found[1] != etag:
            raise Replaced("it was replaced")
        return found[0][:length]

    def age(self, key: str, seconds: float) -> None:
        """Make an object older."""
        self._modified[key] -= seconds


class Told(Silent):
    def __init__(self) -> None:
        self.results: Counter[str] = Counter()

    def rendition(self, result: str) -> None:
        self.results[result] += 1


def original(size: tuple[int, int] = LARGE) -> bytes:
    return jpeg("red", size, comment=b"x" * 50_000)


@pytest.fixture
def source() -> Watched:
    """An original that is red, and a rendition that is blue: so the pixels tell which of them was read."""
    store = Watched()
    store.put(KEY, original(), if_match=None)
    store.put(RENDITION, jpeg("blue", SMALL), if_match=None)
    return store


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def reader(told: Told) -> Reader:
    return Reader(Inline(), 10 << 20, Budget(1 << 30), told, Renditions("previews/{stem}_1000.jpg"))


def read(reader: Reader, source: MemoryStore, key: str = KEY) -> Reading:
    return reader.read(ImageRef("photos", key), source.stat(key), source)


def colour(reading: Reading) -> str:
    red, _, blue = np.mean(reading.pixels, axis=(0, 1))
    return "red" if red > blue else "blue"


def overwrite(store: MemoryStore, key: str, data: bytes) -> None:
    found = store.read(key)
    store.put(key, data, if_match=found[1] if found else None)


def test_the_rendition_is_read_and_the_record_speaks_of_the_original(
    reader: Reader, source: Watched, told: Told
) -> None:
    stat = source.stat(KEY)
    source.asked.clear()
    reading = reader.read(REF, stat, source)
    assert colour(reading) == "blue"
    image = reading.image
    assert (image.bucket, image.key, image.etag, image.bytes) == ("photos", KEY, stat.etag, stat.size)
    assert (image.width, image.height, image.stored_width, image.stored_height) == (*LARGE, *LARGE)
    assert (image.format, image.sha256, image.rendition) == ("JPEG", None, RENDITION)
    assert source.asked == [f"get {RENDITION}", f"start {KEY}"]
    assert told.results == {"used": 1}
    assert set(reader.clock.milliseconds) == {"fetch", "decode"}


def test_without_a_template_the_original_is_read(reader: Reader, source: Watched) -> None:
    object.__setattr__(reader, "renditions", None)
    reading = read(reader, source)
    assert colour(reading) == "red"
    assert reading.image.rendition is None
    assert reading.image.sha256 == hashlib.sha256(original()).hexdigest()


def spoil(data: bytes | None) -> Callable[[Watched], None]:
    """Another rendition, or none."""

    def change(store: Watched) -> None:
        if data is None:
            store.delete(RENDITION, if_match=store.stat(RENDITION).etag)
        else:
            overwrite(store, RENDITION, data)

    return change


@pytest.mark.parametrize(
    ("change", "result"),
    [
        (spoil(None), "missing"),
        (lambda store: store.age(RENDITION, 1.5), "older"),
        (lambda store: overwrite(store, KEY, original()), "older"),
        (spoil(b""), "unfit"),
        (spoil(b"no picture"), "unfit"),
        (spoil(jpeg("blue", SMALL)[:500]), "unfit"),
        (spoil(jpeg("blue", (FakeEncoder.preprocess.size - 1, 20))), "unfit"),
        # Of another shape it is of another picture, or not turned as its original is displayed.
        (spoil(jpeg("blue", (200, 300))), "unfit"),
        (spoil(jpeg("blue", (300, 230))), "unfit"),
        (spoil(jpeg("blue", SMALL) + bytes(MOST)), "unfit"),
    ],
    ids=["missing", "older", "of an older original", "empty", "text", "cut", "tiny", "turned", "cropped", "huge"],
)
def test_what_does_not_stand_for_the_original_is_not_used(
    reader: Reader, source: Watched, told: Told, change: Callable[[Watched], None], result: str
) -> None:
    change(source)
    reading = read(reader, source)
    assert colour(reading) == "red"
    assert reading.image.rendition is None
    assert reading.image.sha256
    assert told.results == {result: 1}


def test_where_the_store_does_not_say_when_the_original_is_read(reader: Reader, source: Watched) -> None:
    stat = source.stat(KEY)._replace(modified=None)
    assert colour(reader.read(REF, stat, source)) == "red"


@pytest.mark.parametrize("size", [(300, 200), (600, 401), (599, 400), (450, 303)])
def test_a_pixel_of_rounding_is_the_same_shape(reader: Reader, source: Watched, size: tuple[int, int]) -> None:
    overwrite(source, RENDITION, jpeg("blue", size))
    assert colour(read(reader, source)) == "blue"


def test_an_original_that_is_turned_has_a_rendition_that_is_not(reader: Reader, source: Watched) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "Waves at Haeundae"
    overwrite(source, KEY, jpeg("red", LARGE, exif=exif))
    overwrite(source, RENDITION, jpeg("blue", SMALL[::-1]))
    reading = read(reader, source)
    assert colour(reading) == "blue"
    assert (reading.image.width, reading.image.height) == LARGE[::-1]
    assert (reading.image.stored_width, reading.image.stored_height) == LARGE
    assert reading.visual.orientation == "portrait"
    assert reading.embedded is not None
    assert reading.embedded.description == "Waves at Haeundae"


def test_what_the_rendition_says_of_itself_does_not_count(reader: Reader, source: Watched) -> None:
    exif = Image.Exif()
    exif[0x010E] = "A preview made by some program"
    overwrite(source, RENDITION, jpeg("blue", SMALL, exif=exif))
    assert read(reader, source).embedded is None


def test_an_original_that_cannot_be_read_itself_has_a_good_rendition(reader: Reader, source: Watched) -> None:
    overwrite(source, KEY, b"8BPS\0\1" + os.urandom(1 << 20))
    overwrite(source, RENDITION, jpeg("blue", SMALL))
    reading = read(reader, source)
    assert colour(reading) == "blue"
    image = reading.image
    assert (image.width, image.height, image.format, image.sha256) == (None, None, None, None)
    assert (image.bytes, image.rendition, reading.embedded) == ((1 << 20) + 6, RENDITION, None)
    spoil(None)(source)
    with pytest.raises(Rejected) as rejected:
        read(reader, source)
    assert rejected.value.reason is Reason.UNSUPPORTED


def test_the_limit_of_bytes_is_for_what_is_read(reader: Reader, source: Watched) -> None:
    object.__setattr__(reader, "max_bytes", 40_000)
    assert source.stat(KEY).size > 40_000
    assert colour(read(reader, source)) == "blue"
    object.__setattr__(reader, "max_bytes", 1000)
    with pytest.raises(Rejected) as rejected:
        read(reader, source)
    assert rejected.value.reason is Reason.TOO_MANY_BYTES


def test_an_empty_original_is_no_picture(reader: Reader, source: Watched) -> None:
    overwrite(source, KEY, b"")
    overwrite(source, RENDITION, jpeg("blue", SMALL))
    with pytest.raises(Rejected) as rejected:
        read(reader, source)
    assert rejected.value.reason is Reason.EMPTY


def test_a_jpeg_whose_headers_go_on_is_read_whole(reader: Reader, source: Watched, told: Told) -> None:
    """What people wrote may lie behind them."""
    long = b"".join(b"\xff\xe2\xff\xff" + bytes(0xFFFF - 2) for _ in range(START // 0xFFFF + 1))
    data = jpeg("red", LARGE)
    overwrite(source, KEY, data[:2] + long + data[2:])
    overwrite(source, RENDITION, jpeg("blue", SMALL))
    assert colour(read(reader, source)) == "red"
    assert told.results == {"unfit": 1}


def test_an_original_that_goes_or_changes_meanwhile_is_noticed(reader: Reader, source: Watched) -> None:
    stat = source.stat(KEY)
    source.meanwhile = lambda: overwrite(source, KEY, jpeg("yellow", LARGE))
    with pytest.raises(Replaced):
        reader.read(REF, stat, source)
    stat = source.stat(KEY)
    overwrite(source, RENDITION, jpeg("blue", SMALL))
    source.meanwhile = lambda: source.delete(KEY, if_match=stat.etag)
    with pytest.raises(Vanished):
        reader.read(REF, stat, source)


def test_a_store_that_does_not_answer_is_no_missing_rendition(reader: Reader, source: Watched) -> None:
    object.__setattr__(reader, "renditions", Renditions("away/{stem}.jpg"))
    with pytest.raises(Unavailable):
        read(reader, source)


def test_in_a_folder_times_decide_too(reader: Reader, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "2024").mkdir(parents=True)
    (folder / "previews/2024").mkdir(parents=True)
    (folder / KEY).write_bytes(original())
    (folder / RENDITION).write_bytes(jpeg("blue", SMALL))
    os.utime(folder / KEY, (1000, 1000))
    os.utime(folder / RENDITION, (1001, 1001))
    store = LocalStore(folder)
    assert colour(reader.read(REF, store.stat(KEY), store)) == "blue"
    (folder / KEY).write_bytes(original())
    assert colour(reader.read(REF, store.stat(KEY), store)) == "red"
    replaced = Stat(KEY, '"of before"', 5, 0.0)
    with pytest.raises(Replaced):
        reader.read(REF, replaced, store)


def test_other_formats_say_how_large_they_are(reader: Reader, source: Watched) -> None:
    noise = Image.effect_noise((720, 480), 90).convert("RGB")
    options = {"TIFF": {"compression": "tiff_lzw"}, "WEBP": {"quality": 98}, "AVIF": {"quality": 98, "speed": 10}}
    for kind in ("PNG", "WEBP", "TIFF", "GIF", "AVIF"):
        file = BytesIO()
        noise.save(file, kind, **options.get(kind, {}))
        assert file.tell() > START
        overwrite(source, KEY, file.getvalue())
        overwrite(source, RENDITION, jpeg("blue", SMALL))
        image = read(reader, source).image
        assert image.rendition == RENDITION
        # The directory of such a TIFF lies behind its picture, as libtiff writes it.
        expected = (None, None, None) if kind == "TIFF" else (720, 480, kind)
        assert (image.width, image.height, image.format) == expected
