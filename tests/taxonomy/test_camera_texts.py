import time

import pytest

from taxonomy.camera_texts import is_camera_text, is_no_keyword


@pytest.mark.parametrize(
    "text",
    [
        "OLYMPUS DIGITAL CAMERA",
        "olympus digital camera",
        "SONY DSC",
        "SAMSUNG",
        "DCIM\\100MEDIA\\DJI_0001.JPG",
        "Created with GIMP",
        "CREATOR: gd-jpeg v1.0 (using IJG JPEG v80), quality = 85",
        "IMG_1234",
        "IMG_1234.JPG",
        "DSC_0001 (2).jpg",
        "_MG_1234.CR2",
        "DSCN1767",
        "PXL_20240101_101112345.jpg",
        "P1000123",
        "20240101_101112.jpg",
        "null",
        "untitled",
        "Copyright,",
        "...",
        "",
    ],
)
def test_nobody_wrote_it(text: str) -> None:
    assert is_camera_text(text)


@pytest.mark.parametrize(
    "text",
    ["Olympus", "Gate of the palace", "IMG of a cat", "Route 66", "2024", "Samsung headquarters", "The artist",
     "Apollo 11", "A350", "광화문", "Boeing 747-400", "Blue Square Test File - .jpg", "Created with love",
     "P 51 Mustang"],
)  # fmt: skip
def test_somebody_did(text: str) -> None:
    assert not is_camera_text(text)


def test_a_keyword_may_be_what_an_empty_form_says() -> None:
    assert not any(map(is_no_keyword, ("artist", "photographer", "title", "Samsung", "IMG_1234")))
    assert all(map(is_no_keyword, ("null", "(null)", "-", "")))


@pytest.mark.parametrize("text", ["IMG_" + "1" * 190, "DSC" + "_1" * 95, "IMG_123" + "- " * 90, "x" * 8000, "." * 199])
def test_no_text_takes_long(text: str) -> None:
    start = time.process_time()
    for _ in range(100):
        is_camera_text(text + "!")
    assert time.process_time() - start < 0.5
