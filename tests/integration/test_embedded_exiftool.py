"""What is read, against exiftool as an independent reader: its MWG tags follow the same guidelines."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tasks.records import Embedded
from worker.images.embedded import iso_date, read

FILES = Path(__file__).resolve().parents[3] / "shared" / "photos" / "embedded_metadata"
NAMES = sorted(path.name for path in FILES.iterdir()) if FILES.is_dir() else []
pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")

MWG = ("-use", "MWG", "-MWG:all")
OTHERS = (
    "-XMP-dc:Title",
    "-IPTC:ObjectName",
    "-Headline",
    "-XMP-iptcCore:CountryCode",
    "-IPTC:Country-PrimaryLocationCode",
    "-XMP-iptcCore:AltTextAccessibility",
    "-XMP-iptcExt:DigitalSourceType",
    "-XMP-xmp:CreateDate",
)

CAMERA = "a camera or a program wrote it"
LISTED = "exiftool gives the fields of every structure as a list; a picture is in one place"
EXPLAINED: dict[tuple[str, str], tuple[Any, str]] = {
    ("metadata-extractor-images__jpg_Issue_258_(dotnet).jpg", "creators"): (
        ("Creator1 (ref2019.1)", "Creator2 (ref2019.1)"),
        "Exif has the first of the two alone",
    ),
    ("metadata-extractor-images__jpg_Issue_258_(dotnet).jpg", "country_code"): (None, "'R19' is no country"),
    ("metadata-extractor-images__jpg_Issue_258_(dotnet).jpg", "location"): (
        "Sublocation (Location shown1) (ref2019.1)",
        LISTED,
    ),
    ("metadata-extractor-images__jpg_Issue_258_(dotnet).jpg", "city"): ("City (Location shown1) (ref2019.1)", LISTED),
    ("metadata-extractor-images__jpg_Issue_258_(dotnet).jpg", "state"): (
        "Province/State (Location shown1) (ref2019.1)",
        LISTED,
    ),
    ("metadata-extractor-images__jpg_Issue_258_(dotnet).jpg", "country"): (
        "CountryName (Location shown1) (ref2019.1)",
        LISTED,
    ),
    ("metadata-extractor-images__jpg_Issue_266.jpg", "description"): (None, CAMERA),
    ("metadata-extractor-images__jpg_Issue_266.jpg", "creators"): ((), CAMERA),
    ("metadata-extractor-images__jpg_Issue_266.jpg", "keywords"): ((), CAMERA),
    ("metadata-extractor-images__jpg_Nikon_D1X.jpg", "copyright"): (
        "© 2003 Joseph S. Colson",
        "Exif has only 'Copyright,', the camera's empty form",
    ),
    ("metadata-extractor-images__jpg_Olympus_FE230-X790.jpg", "description"): (None, CAMERA),
}


def exiftool(*arguments: str | Path) -> list[dict[str, Any]]:
    done = subprocess.run(["exiftool", "-json", *arguments], capture_output=True, text=True, check=True, timeout=60)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@cache
def independent() -> dict[str, dict[str, Any]]:
    return {Path(found["SourceFile"]).name: found for found in exiftool(*MWG, *OTHERS, FILES)}


def said_by(data: bytes) -> Embedded:
    with Image.open(BytesIO(data)) as image:
        image.load()
        return read(data, image) or Embedded()


def line(value: Any) -> str | None:
    return " ".join(str(value).split()) or None if value is not None else None


def several(value: Any) -> tuple[str, ...]:
    values: Sequence[Any] = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(str(one) for one in values if one != "")


def expected(found: dict[str, Any]) -> Embedded:
    """exiftool's view in our words: texts in one line, dates of ISO 8601."""
    return Embedded(
        title=line(found.get("Title") or found.get("ObjectName")),
        headline=line(found.get("Headline")),
        description=line(found.get("Description")),
        alt_text=line(found.get("AltTextAccessibility")),
        keywords=several(found.get("Keywords")),
        creators=several(found.get("Creator")),
        copyright=line(found.get("Copyright")),
        location=line(found.get("Location")),
        city=line(found.get("City")),
        state=line(found.get("State")),
        country=line(found.get("Country")),
        country_code=line(found.get("CountryCode") or found.get("Country-PrimaryLocationCode")),
        created=iso_date(found.get("DateTimeOriginal") or found.get("CreateDate") or ""),
        digital_source_type=found.get("DigitalSourceType"),
    )


@pytest.mark.skipif(not NAMES, reason="the shared photographs are not here")
@pytest.mark.parametrize("name", NAMES)
def test_real_files_are_read_as_exiftool_reads_them(name: str) -> None:
    said, independently = said_by((FILES / name).read_bytes()), expected(independent()[name])
    for field in Embedded.__dataclass_fields__:
        ours, theirs = getattr(said, field), getattr(independently, field)
        if (name, field) in EXPLAINED:
            assert ours == EXPLAINED[name, field][0]
            assert ours != theirs, "there is nothing to explain"
        else:
            assert ours == theirs, field


def test_nearly_all_of_it_is_there() -> None:
    if not NAMES:
        pytest.skip("the shared photographs are not here")
    assert len(NAMES) == 28
    fields = [
        getattr(expected(independent()[name]), field) for name in NAMES for field in Embedded.__dataclass_fields__
    ]
    assert sum(bool(value) for value in fields) > 150


KOREAN = {
    "MWG:Description": "서울의 궁궐 앞, 아침 — “정문”",
    "MWG:Keywords": ["궁궐", "서울", "아침 햇살"],
    "MWG:Creator": ["김철수", "이영희"],
    "MWG:Copyright": "© 2024 김철수",
    "MWG:City": "서울",
    "MWG:State": "서울특별시",
    "MWG:Country": "대한민국",
    "MWG:Location": "종로구",
    "MWG:DateTimeOriginal": "2024:05:01 09:30:12+09:00",
    "XMP-dc:Title": "광화문",
    "XMP-photoshop:Headline": "문이 열리다",
    "XMP-iptcCore:AltTextAccessibility": "문 앞에 선 사람들",
}


@pytest.mark.parametrize(
    ("kind", "iim"), [("JPEG", False), ("JPEG", True), ("PNG", False), ("WEBP", False), ("TIFF", False), ("TIFF", True)]
)
def test_what_exiftool_writes_is_read(kind: str, iim: bool, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{kind.lower()}"
    Image.linear_gradient("L").convert("RGB").save(path, kind)
    write = ("exiftool", "-q", "-overwrite_original")
    if iim:  # which is not written where there is none
        subprocess.run([*write, "-IPTC:CodedCharacterSet=UTF8", "-IPTC:Urgency=5", path], check=True, timeout=60)
    (tmp_path / "tags.json").write_text(json.dumps([{"SourceFile": str(path), **KOREAN}]), encoding="utf-8")
    subprocess.run([*write, "-use", "MWG", f"-json={tmp_path / 'tags.json'}", path], check=True, timeout=60)
    said = said_by(path.read_bytes())
    assert said == expected(exiftool(*MWG, *OTHERS, path)[0])
    assert said.keywords == ("궁궐", "서울", "아침 햇살")
    assert (said.title, said.city, said.created) == ("광화문", "서울", "2024-05-01T09:30:12+09:00")
