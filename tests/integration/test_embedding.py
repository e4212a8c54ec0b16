"""Metadata in files, written through exiftool and read by it: every field, every format, nothing else changed."""

import hashlib
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tasks.errors import ConfigurationError, Crashed, Rejected
from worker.encoders.fake import FakeEncoder
from worker.images.decode import decode
from worker.metadata import exiftool as module
from worker.metadata.beside import beside
from worker.metadata.embed import SUFFIXES, BesideOnly, embed
from worker.metadata.exiftool import Blocks, ExifTool
from worker.metadata.fields import LISTS, Values
from worker.metadata.merge import Elsewhere, Merge
from worker.metadata.xmp import Packet

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")

KINDS = {suffix: kind for kind, suffix in SUFFIXES.items()}
TITLE, LINES = '한글 <b>"title"</b> & more', "First line\n둘째 줄\n-charset=utf8"
KEYWORDS = ["dog", "개", "#comment", "-execute", "@args", "a=b", "${inode}", "%f", "\\n", "😀", "it's"]
VALUES = Values(
    texts={
        "title": {"x-default": TITLE, "en": TITLE, "ko": "제목"},
        "headline": {"x-default": TITLE},
        "description": {"x-default": LINES},
        "alt_text": {"x-default": "A dog", "ko": "개 한 마리"},
    },
    lists={
        "keywords": KEYWORDS,
        "hierarchy": ["animal|mammal|dog"],
        "scene": ["011000"],
        "subject_code": ["06000000"],
    },
)
WRITTEN = {
    "XMP-dc:Title": {"x-default": TITLE, "en": TITLE, "ko": "제목"},
    "XMP-photoshop:Headline": TITLE,
    "XMP-dc:Description": LINES,
    "XMP-iptcCore:AltTextAccessibility": {"x-default": "A dog", "ko": "개 한 마리"},
    "XMP-dc:Subject": KEYWORDS,
    "XMP-lr:HierarchicalSubject": ["animal|mammal|dog"],
    "XMP-iptcCore:Scene": ["011000"],
    "XMP-iptcCore:SubjectCode": ["06000000"],
}


@pytest.fixture(scope="module")
def tool() -> Iterator[ExifTool]:
    with ExifTool() as running:
        yield running


def dump(path: Path, *options: str) -> dict[str, Any]:
    """What exiftool, another process of it, reads: texts by language as mappings."""
    (found,) = dumps(path, *options).values()
    return found


def dumps(path: Path, *options: str) -> dict[str, dict[str, Any]]:
    """The same of all files in a folder, by name."""
    command = ["exiftool", "-j", "-struct", "-G1", "-a", "-u", *options, str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    return {Path(each["SourceFile"]).name: languages(each) for each in found}


def languages(found: dict[str, Any]) -> dict[str, Any]:
    """`Title` and `Title-ko` as one: exiftool shows the default under the bare name."""
    merged: dict[str, Any] = {}
    for name, value in found.items():
        bare, _, language = name.rpartition("-")
        if language in ("en", "ko"):
            before = merged[bare]
            merged[bare] = {**(before if isinstance(before, dict) else {"x-default": before}), language: value}
        else:
            merged[name] = value
    return merged


def picture(kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> list[tuple[str, tuple[int, int], str]]:
    """Mode, size and pixels of every frame."""
    frames = []
    with Image.open(BytesIO(data)) as image:
        for n in range(getattr(image, "n_frames", 1)):
            image.seek(n)
            frames.append((image.mode, image.size, hashlib.sha256(image.tobytes()).hexdigest()))
    return frames


def same(one: bytes, other: bytes) -> bool:
    return decoded(one) == decoded(other) != []


@pytest.mark.parametrize("kind", sorted(SUFFIXES))
def test_another_reader_sees_every_field_as_written(kind: str, tool: ExifTool, tmp_path: Path) -> None:
    before = picture(kind)
    done = embed(before, kind, VALUES, Merge.KEEP, tool)
    path = tmp_path / f"image{SUFFIXES[kind]}"
    path.write_bytes(done.data)
    found = dump(path)
    assert {name: found.get(name) for name in WRITTEN} == WRITTEN
    assert not [name for name in found if name.startswith(("IPTC", "IFD0:ImageDescription"))]
    assert same(before, done.data)
    again = embed(done.data, kind, VALUES, Merge.KEEP, tool)
    assert again.data is done.data


def test_another_reader_sees_every_field_of_a_sidecar(tmp_path: Path) -> None:
    data, _ = beside(None, VALUES, Merge.KEEP, Elsewhere(), "jpg")
    path = tmp_path / "image.xmp"
    path.write_bytes(data)
    found = dump(path)
    assert {name: found.get(name) for name in WRITTEN} == WRITTEN
    assert found["XMP-photoshop:SidecarForExtension"] == "jpg"


def test_an_animated_webp_keeps_its_pictures(tool: ExifTool) -> None:
    frames = [Image.new("RGB", (64, 48), color) for color in ("red", "green", "blue")]
    before = picture("WEBP", save_all=True, append_images=frames)
    assert same(before, embed(before, "WEBP", VALUES, Merge.KEEP, tool).data)


def test_iim_and_exif_are_written_where_they_are_and_within_their_limits(tool: ExifTool, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(picture("JPEG"))
    latin = ["-charset", "iptc=Latin", "-IPTC:City=Zürich", "-IPTC:Keywords=alt", "-IFD0:ImageDescription=    "]
    subprocess.run(["exiftool", "-overwrite_original", *latin, str(path)], capture_output=True, check=True, timeout=60)
    long = Values(
        texts={**VALUES.texts, "title": {"x-default": "호" * 40}}, lists={"keywords": ["긴" * 30, "alt", "new"]}
    )
    done = embed(path.read_bytes(), "JPEG", long, Merge.ADD, tool)
    path.write_bytes(done.data)
    found = dump(path)
    assert found["IPTC:CodedCharacterSet"] == "UTF8"
    assert found["IPTC:City"] == "Zürich"
    assert found["IPTC:ObjectName"] == "호" * 21
    assert found["IPTC:Keywords"] == ["alt", "긴" * 21, "new"]
    assert found["XMP-dc:Subject"] == ["alt", "긴" * 30, "new"]
    assert found["XMP-dc:Title"] == "호" * 40
    assert found["Photoshop:IPTCDigest"] == found["File:CurrentIPTCDigest"]
    assert found["IFD0:ImageDescription"] == LINES
    assert embed(done.data, "JPEG", long, Merge.ADD, tool).data is done.data
    # Tagged again, the file has one keyword of a person's, though IIM has ours cut short.
    embedded = decode(done.data, FakeEncoder.preprocess).embedded
    assert embedded is not None
    assert (embedded.keywords, embedded.title, embedded.headline) == (("alt",), None, None)
    assert (embedded.description, embedded.alt_text, embedded.city) == (None, None, "Zürich")


PLACES = (
    # The operating system's, and what the test itself gives.
    *("SourceFile", "System:"),
    # Where things lie in the file, and how long they are.
    *("IFD0:StripOffsets", "IFD1:ThumbnailOffset", "PreviewIFD:PreviewImageStart", "IFD0:Padding"),
    # exiftool's remarks on how well IIM and XMP agree, which they do afterwards, and on places.
    *("ExifTool:", "File:CurrentIPTCDigest", "Photoshop:IPTCDigest"),
)
OURS = (
    *("XMP-dc:Title", "XMP-dc:Description", "XMP-dc:Subject", "XMP-photoshop:Headline", "XMP-lr:HierarchicalSubject"),
    *("XMP-iptcCore:AltTextAccessibility", "XMP-iptcCore:Scene", "XMP-iptcCore:SubjectCode", "XMP-stockmeta:"),
    *("XMP-xmp:MetadataDate", "IPTC:ObjectName", "IPTC:Headline", "IPTC:Caption-Abstract", "IPTC:Keywords"),
    *("IPTC:CodedCharacterSet", "IFD0:ImageDescription"),
)
REMNANTS = {
    # A shorter packet was written over a longer one here. exiftool reads what was left of that as properties.
    "metadata-extractor-images__png_Issue_356_(dotnet).png": (
        *("XMP-mwg-rs:Name", "XMP-mwg-rs:Rotation", "XMP-mwg-rs:Type", "XMP:Area"),
    )
}
NEW_PACKET = ("XMP-x:XMPToolkit",)
"""Where there was no XMP, there is something that says who made it."""


@pytest.mark.parametrize("policy", list(Merge))
def test_real_files_come_back_with_nothing_else_changed(
    policy: Merge, shared_photos: Path, tool: ExifTool, tmp_path: Path
) -> None:
    paths = sorted((shared_photos / "embedded_metadata").iterdir())
    assert len(paths) == 28
    for path in paths:
        before = path.read_bytes()
        kind = KINDS[path.suffix]
        done = embed(before, kind, VALUES, policy, tool)
        assert "alt_text" in done.merged.changed
        # Decoding takes long, and this policy changes the most.
        assert policy is not Merge.REPLACE or same(before, done.data), path.name
        (tmp_path / path.name).write_bytes(done.data)
    read = dumps(shared_photos / "embedded_metadata"), dumps(tmp_path)
    for path in paths:
        old, new = (each[path.name] for each in read)
        left_out = PLACES + OURS + REMNANTS.get(path.name, ())
        if not any(name.startswith("XMP") for name in old):
            left_out += NEW_PACKET
        changed = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
        assert [name for name in changed if not name.startswith(left_out)] == [], path.name
        if policy is Merge.KEEP:
            texts = [name for name in changed if name.startswith(OURS) and not name.startswith("XMP-xmp:")]
            lost = [name for name in texts if _said(old.get(name)) and new.get(name) != old[name]]
            assert lost == [], path.name


def _said(value: object) -> bool:
    """Whether a person said it: more than spaces, and no camera."""
    return bool(str(value or "").strip()) and value not in ("OLYMPUS DIGITAL CAMERA", "null")


def test_what_follows_a_picture_stays(tool: ExifTool) -> None:
    film = b"\0\0\0\x18ftypmp42" + bytes(500)
    assert embed(picture("JPEG") + film, "JPEG", VALUES, Merge.KEEP, tool).data.endswith(film)
    second = Image.new("RGB", (64, 48), "red")
    both = picture("MPO", save_all=True, append_images=[second])
    assert same(both, embed(both, "JPEG", VALUES, Merge.KEEP, tool).data)


def test_makers_notes_that_would_be_lost_are_not_risked(shared_photos: Path, tool: ExifTool) -> None:
    (path,) = shared_photos.rglob("*Kodak_PIXPRO_FZ201.jpg")
    with pytest.raises(BesideOnly, match="MakerNotes"):
        embed(path.read_bytes(), "JPEG", VALUES, Merge.REPLACE, tool)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_hostile_xmp_is_refused(kind: str, tool: ExifTool) -> None:
    packet = b'<!DOCTYPE x [<!ENTITY a "ha">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&a;</x:xmpmeta>'
    with pytest.raises(Rejected, match="DTD"):
        embed(picture(kind, xmp=packet), kind, VALUES, Merge.REPLACE, tool)


def test_what_exiftool_cannot_write_goes_beside_it(tool: ExifTool) -> None:
    with pytest.raises(BesideOnly, match="BigTIFF"):
        embed(picture("TIFF", big_tiff=True), "TIFF", VALUES, Merge.KEEP, tool)
    with pytest.raises(BesideOnly):
        embed(b"\xff\xd8\xff\xe0 no picture at all", "JPEG", VALUES, Merge.KEEP, tool)
    # The one after is none the worse for it.
    assert embed(picture("JPEG"), "JPEG", VALUES, Merge.KEEP, tool).merged.changed


def test_more_xmp_than_a_jpeg_takes_goes_beside_it(tool: ExifTool) -> None:
    many = Values(lists={"keywords": [f"keyword number {n}" for n in range(3000)]})
    with pytest.raises(BesideOnly, match="too long"):
        embed(picture("JPEG"), "JPEG", many, Merge.KEEP, tool)
    assert embed(picture("PNG"), "PNG", many, Merge.KEEP, tool).merged.changed


def test_a_changed_picture_is_thrown_away(tool: ExifTool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExifTool, "write", lambda *_: picture("JPEG", quality=20))
    with pytest.raises(Rejected, match="would have changed the picture"):
        embed(picture("JPEG"), "JPEG", VALUES, Merge.KEEP, tool)


def test_a_crash_fails_one_image_and_the_next_has_a_new_process() -> None:
    with ExifTool() as own:
        assert own._process is not None
        own._process.send_signal(signal.SIGKILL)
        own._process.wait()
        assert own.read(picture("JPEG"), ".jpg") == Blocks()
        # As it is left by one that ended while it wrote.
        (own._scratch / "image.jpg_exiftool_tmp").write_bytes(b"half")
        own._process.send_signal(signal.SIGSTOP)
        own._seconds = 0.3
        with pytest.raises(Crashed, match="longer than"):
            own.read(picture("JPEG"), ".jpg")
        own._seconds = 60
        assert embed(picture("JPEG"), "JPEG", VALUES, Merge.KEEP, own).merged.changed


def test_it_ends_with_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A process that is killed leaves its folder behind.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = "import os, time\nfrom worker.metadata.exiftool import ExifTool\ntool = ExifTool()\n"
    code += "print(tool._process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    command = [module.sys.executable, "-c", code]
    pid = int(subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout)
    for _ in range(100):
        if not _runs(pid):
            break
        module.time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_old_one_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_VERSION", (99, 0))
    with pytest.raises(ConfigurationError, match=r"at least 99.0 is needed.*apt install"):
        ExifTool()


@pytest.mark.parametrize("name", ["hangs", "ends", "chatters"])
def test_a_program_that_is_no_exiftool_is_a_matter_of_configuration(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("#!/bin/sh\n" + {"hangs": "exec sleep 60", "ends": "exit 3", "chatters": "echo 12.99"}[name])
    path.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"does not work as exiftool does.*apt install"):
        ExifTool(str(path), seconds=1)


def test_words_of_ours_that_the_record_no_longer_says_go_from_everywhere(tool: ExifTool, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(picture("JPEG"))
    given = ["-IPTC:City=Seoul", "-IPTC:Keywords=Bella", "-IFD0:ImageDescription= "]
    subprocess.run(["exiftool", "-overwrite_original", *given, str(path)], capture_output=True, check=True, timeout=60)
    said = embed(path.read_bytes(), "JPEG", VALUES, Merge.ADD, tool).data
    done = embed(said, "JPEG", Values(), Merge.KEEP, tool)
    path.write_bytes(done.data)
    found = dump(path)
    ours = {name for name in found if name.startswith(OURS)}
    assert ours == {"XMP-dc:Subject", "XMP-xmp:MetadataDate", "IPTC:Keywords", "IPTC:CodedCharacterSet"} | (
        {"IFD0:ImageDescription"} & ours
    )
    assert (found["XMP-dc:Subject"], found["IPTC:Keywords"], found["IPTC:City"]) == (["Bella"], "Bella", "Seoul")
    assert found.get("IFD0:ImageDescription", "") == ""
    assert embed(done.data, "JPEG", Values(), Merge.KEEP, tool).data is done.data


def test_a_picture_that_cannot_be_compared_is_left_alone(tool: ExifTool) -> None:
    # Three bytes between two segments, which decoders pass over.
    plain = picture("JPEG")
    with pytest.raises(BesideOnly, match="cannot be found"):
        embed(plain[:20] + b"\0\0\0" + plain[20:], "JPEG", VALUES, Merge.KEEP, tool)


def test_a_persons_long_keyword_and_what_iim_has_of_it_are_one(tool: ExifTool, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(picture("JPEG"))
    long = "긴" * 30
    given = ["-codedcharacterset=utf8", f"-IPTC:Keywords={long[:21]}", f"-XMP-dc:Subject={long}"]
    subprocess.run(["exiftool", "-overwrite_original", *given, str(path)], capture_output=True, check=True, timeout=60)
    path.write_bytes(embed(path.read_bytes(), "JPEG", Values(lists={"keywords": ["dog"]}), Merge.ADD, tool).data)
    found = dump(path)
    assert found["XMP-dc:Subject"] == [long, "dog"]
    assert found["IPTC:Keywords"] == [long[:21], "dog"]


def test_xmp_in_utf16_is_merged(tool: ExifTool, tmp_path: Path) -> None:
    theirs = Packet()
    theirs.set_items(LISTS["keywords"], ["벨라"])
    # exiftool reads such, and does not write it.
    before = picture("TIFF", tiffinfo={700: theirs.to_bytes().decode().encode("utf-16")})
    done = embed(before, "TIFF", Values(lists={"keywords": ["dog"]}), Merge.ADD, tool)
    path = tmp_path / "image.tif"
    path.write_bytes(done.data)
    assert dump(path)["XMP-dc:Subject"] == ["벨라", "dog"]
