import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tasks.errors import Reason, Rejected
from tasks.layout import FOLDER_KEYS, KeyLimits, Layout, Place, is_image
from tasks.records import ImageRef

GENERATION = "0123456789ab"
REF = ImageRef("photos", "2024/a.jpg")

roots = some.sampled_from(["", ".stockmeta/", "meta/data/"])
buckets = some.text(min_size=1).filter(lambda name: "/" not in name)
keys = some.text(min_size=1) | some.sampled_from(["../a.jpg", "a//b.jpg", "a.json", "x/done/y", "human/x", ".json"])


def test_paths() -> None:
    layout = Layout()
    assert layout.current == ".stockmeta/current.json"
    assert layout.done(GENERATION, REF) == ".stockmeta/0123456789ab/done/photos/2024/a.jpg.json"
    assert layout.failed(GENERATION, REF) == ".stockmeta/0123456789ab/failed/photos/2024/a.jpg.json"
    assert layout.human(REF) == ".stockmeta/human/photos/2024/a.jpg.json"
    assert layout.prefix("done", GENERATION, "photos", "20") == ".stockmeta/0123456789ab/done/photos/20"


@settings(deadline=None)
@given(root=roots, bucket=buckets, key=keys)
def test_bucket_and_key_come_back(root: str, bucket: str, key: str) -> None:
    layout, ref = Layout(root, KeyLimits(None, None)), ImageRef(bucket, key)
    assert layout.parse(layout.done(GENERATION, ref)) == Place("done", GENERATION, bucket, key)
    assert layout.parse(layout.failed(GENERATION, ref)) == Place("failed", GENERATION, bucket, key)
    assert layout.parse(layout.human(ref)) == Place("human", None, bucket, key)


@settings(deadline=None)
@given(root=roots, path=some.text(alphabet="adefhilmnou0123456789/.jsc") | some.text())
def test_parsing_never_fails_and_is_exact(root: str, path: str) -> None:
    layout = Layout(root, KeyLimits(None, None))
    place = layout.parse(root + path)
    if place is not None:
        assert layout.prefix(place.kind, place.generation, place.bucket, place.key) + ".json" == root + path


@pytest.mark.parametrize(
    "path",
    [
        "current.json",
        "0123456789ab/done/photos/a.jpg",
        "0123456789ab/done/photos/.json",
        "0123456789ab/done/photos.json",
        "0123456789ab/human/photos/a.json",
        "0123456789ab/other/photos/a.json",
        "done/photos/a.json",
        "0123/done/photos/a.json",
    ],
)
def test_other_paths_are_not_records(path: str) -> None:
    assert Layout().parse(f".stockmeta/{path}") is None
    assert Layout().parse(path) is None


def test_what_is_not_a_root_a_bucket_or_a_generation() -> None:
    for root in ("meta", "/meta/", "/"):
        with pytest.raises(ValueError, match="root"):
            Layout(root)
    for bucket in ("a/b", ""):
        with pytest.raises(ValueError, match="bucket"):
            Layout().human(ImageRef(bucket, "a.jpg"))
    for generation in ("human", "0123456789aB", "0123456789ab\n", ""):
        with pytest.raises(ValueError, match="generation"):
            Layout().done(generation, REF)


def test_outputs_are_known_by_their_place() -> None:
    assert Layout().is_output(".stockmeta/current.json")
    assert not Layout().is_output("stockmeta/a.jpg")
    assert not Layout().is_output("a/.stockmeta/b.jpg")
    assert not Layout("").is_output("a.jpg")


@pytest.mark.parametrize("letter", ["k", "é", "한"])
def test_a_path_of_1024_bytes_is_the_longest(letter: str) -> None:
    layout = Layout()
    room = 1024 - len(layout.failed(GENERATION, ImageRef("photos", "")).encode())
    key = letter * (room // len(letter.encode()))
    key = "x" * (room - len(key.encode())) + key
    assert len(layout.failed(GENERATION, ImageRef("photos", key)).encode()) == 1024
    for path in (layout.human, lambda ref: layout.done(GENERATION, ref), lambda ref: layout.failed(GENERATION, ref)):
        with pytest.raises(Rejected) as caught:
            path(ImageRef("photos", f"x{key}"))
        assert caught.value.reason is Reason.KEY_TOO_LONG


def test_a_component_of_255_bytes_is_the_longest_in_a_folder() -> None:
    layout = Layout(limits=FOLDER_KEYS)
    layout.check(ImageRef("photos", "d/" * 600 + "k" * 250))
    for key in ("k" * 251, "d" * 256 + "/a.jpg", "한" * 84):
        with pytest.raises(Rejected):
            layout.check(ImageRef("photos", key))


def test_half_a_character_is_no_crash() -> None:
    assert Layout().human(ImageRef("photos", "\ud800"))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a.jpg", True),
        ("a/b.c.JPEG", True),
        ("사진.PnG", True),
        ("a.jpg/b", False),
        ("a.jpg.json", False),
        ("jpg", False),
        (".jpg", False),
        ("a/._b.jpg", False),
        ("a.", False),
        ("", False),
        ("a.svg", False),
    ],
)
def test_images_are_known_by_their_extension(key: str, expected: bool) -> None:
    assert is_image(key) is expected


def test_extensions_are_a_setting() -> None:
    assert is_image("a.SVG", frozenset({"svg"}))
    assert not is_image("a.jpg", frozenset({"svg"}))
