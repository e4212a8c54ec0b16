"""Keys of renditions, and back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ConfigurationError
from tasks.layout import IMAGE_EXTENSIONS
from tasks.renditions import PLACEHOLDERS, Renditions

TEMPLATES = [
    "previews/{stem}_1000.jpg",
    "{stem}_1000.jpg",
    "{key}.preview.webp",
    "{dir}previews/{base}.jpg",
    "{dir}.previews/{name}",
    "previews/{ext}/{dir}{base}-{ext}.jpg",
    "previews/{below}.jpg",
    "previews/{base}.jpg",
    "{{odd}}/{key}",
]


@pytest.mark.parametrize(
    ("template", "key", "expected"),
    [
        ("previews/{stem}_1000.jpg", "a.jpg", "previews/a_1000.jpg"),
        # Folders are kept: cameras name their files alike in every one of them.
        ("previews/{stem}_1000.jpg", "2024/a b.v2.TIF", "previews/2024/a b.v2_1000.jpg"),
        ("{stem}_1000.jpg", "2024/a.jpg", "2024/a_1000.jpg"),
        ("{key}.webp", "2024/a.jpg", "2024/a.jpg.webp"),
        ("{dir}previews/{base}.jpg", "2024/05/a.nef", "2024/05/previews/a.jpg"),
        ("{dir}previews/{base}.jpg", "a.nef", "previews/a.jpg"),
        ("previews/{below}.jpg", "originals/2024/a.tif", "previews/2024/a.jpg"),
        ("previews/{below}.jpg", "a.tif", None),
        ("previews/{base}.jpg", "00/12/0012345.tif", "previews/0012345.jpg"),
        ("{ext}/{name}", "2024/a.JPG", "JPG/a.JPG"),
        ("{{odd}}/{key}", "한글/사진.jpg", "{odd}/한글/사진.jpg"),
        ("p/{stem}.jpg", ".hidden/no extension", "p/.hidden/no extension.jpg"),
    ],
)
def test_the_rendition_of_a_key(template: str, key: str, expected: str | None) -> None:
    assert Renditions(template).of(key) == expected


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=25)
@given(
    folder=st.sampled_from(["x/", "2024/a b/", "한글/새\n줄/"]),
    base=st.text(min_size=1, max_size=20).filter(lambda text: "/" not in text and not text.startswith(".")),
    ext=st.sampled_from(["jpg", "TIFF", "Png"]),
)
def test_what_a_template_makes_is_known_as_a_rendition(template: str, folder: str, base: str, ext: str) -> None:
    renditions = Renditions(template)
    key = renditions.of(f"{folder}{base}.{ext}")
    assert key is not None
    assert renditions.is_rendition(key)


@pytest.mark.parametrize(
    ("template", "key", "expected"),
    [
        ("previews/{stem}_1000.jpg", "2024/a.jpg", False),
        ("previews/{stem}_1000.jpg", "previews/a.jpg", False),
        ("previews/{stem}_1000.jpg", "previews/2024/a_1000.jpg", True),
        ("previews/{stem}_1000.jpg", "x/previews/a_1000.jpg", False),
        # Beside the originals: what is named so is taken for a rendition, whether there is an original or not.
        ("{stem}_1000.jpg", "2024/a_1000.jpg", True),
        # Where the original's whole name is in it, it has to be an image's.
        ("{key}_1000.jpg", "2024/a_1000.jpg", False),
        ("{key}_1000.jpg", "2024/a.TIF_1000.jpg", True),
        ("{ext}/{ext}-{stem}.jpg", "jpg/tif-a.jpg", False),
        ("{ext}/{ext}-{stem}.jpg", "tif/tif-a.jpg", True),
    ],
)
def test_what_is_named_like_a_rendition(template: str, key: str, expected: bool) -> None:
    assert Renditions(template).is_rendition(key) is expected


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("previews/{steam}.jpg", "{steam} is no placeholder"),
        ("previews/{}.jpg", "{} is no placeholder"),
        ("previews/{0}.jpg", "{0} is no placeholder"),
        ("previews/a.jpg", "names no image"),
        ("", "names no image"),
        ("{dir}{ext}", "names no image"),
        ("{dir}{stem}_1000.jpg", "the folder twice"),
        ("previews/{stem", "braces"),
        ("previews/{stem:>9}.jpg", "format"),
        ("previews/{stem!r}.jpg", "format"),
        ("/previews/{stem}.jpg", "components"),
        ("a//{stem}.jpg", "components"),
        ("a/../{stem}_1.jpg", "components"),
        ("{stem}.jpg", "every image"),
        ("{key}", "every image"),
        ("{dir}{name}", "every image"),
    ],
)
def test_a_template_that_is_none_says_why_and_what_there_is(template: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match="STOCKMETA_RENDITION") as error:
        Renditions(template)
    assert why in str(error.value)
    assert all(f"{{{name}}}" in str(error.value) for name in PLACEHOLDERS)


def test_which_names_are_images_decides_which_are_renditions() -> None:
    Renditions("{stem}.webp", IMAGE_EXTENSIONS - {"webp"})
    with pytest.raises(ConfigurationError, match="every image"):
        Renditions("{stem}.webp")


def test_renditions_do_not_lie_among_the_outputs() -> None:
    renditions = Renditions(".stockmeta/previews/{stem}.jpg")
    with pytest.raises(ConfigurationError, match=r"among the outputs, in \.stockmeta/"):
        renditions.require_outside(".stockmeta/")
    renditions.require_outside("elsewhere/")
    renditions.require_outside("")


@pytest.mark.parametrize("template", ["{key}-{stem}-{base}-{name}.jpg", "{stem}_{base}_{name}.webp"])
def test_a_template_that_would_take_seconds_to_be_recognised_is_refused(template: str) -> None:
    with pytest.raises(ConfigurationError, match="at most 2 placeholders"):
        Renditions(template)
