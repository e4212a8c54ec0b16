"""Sidecars from records: what is written where, what is left alone, and that one image's trouble is its own."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.published import Human
from tasks.records import UNTITLED, Embedded, ImageRef, Keyword, Record, Source, Status
from tests.worker.libraries import BUCKET, keyword, library, record
from worker.library import Library
from worker.metadata.beside import FOR, Naming
from worker.metadata.fields import BY_LANGUAGE, LISTS, Wording
from worker.metadata.merge import Merge
from worker.metadata.xmp import Packet, Property
from worker.sidecars import records
from worker.storage.memory import MemoryStore
from worker.writing import Line, Writer

SETTING = Property("http://ns.adobe.com/camera-raw-settings/1.0/", "Version")
WORDS = ("dog", "beach")


def tagged(*made: Record) -> Library:
    """A library with the images of these records, as they were tagged."""
    images = library()
    etags = [images.source.put(one.image.key, one.image.key.encode(), if_match=None) for one in made]
    current = [replace(one, image=replace(one.image, etag=etag)) for one, etag in zip(made, etags, strict=True)]
    return replace(library(current), source=images.source)


def write(made: Library, target: MemoryStore, **options: Any) -> list[Line]:
    given = {"wording": Wording(), "merge": Merge.KEEP, "naming": Naming.ADOBE, "target": target}
    writer = Writer(made, **(given | options))
    return [writer.write(found) for found in records(made, check_source=True)]


def read(store: Any, key: str) -> Packet:
    found = store.read(key)
    assert found is not None
    return Packet(found[0])


@pytest.fixture
def out() -> MemoryStore:
    return MemoryStore("out")


def test_a_sidecar_says_what_the_record_says(out: MemoryStore) -> None:
    (line,) = write(tagged(record("deep/a.jpg", WORDS)), out)
    assert line == Line("deep/a.jpg", "deep/a.xmp", "written", line.fields)
    assert set(line.fields) == {"title", "headline", "description", "alt_text", "keywords"}
    packet = read(out, "deep/a.xmp")
    assert packet.items(LISTS["keywords"]) == WORDS
    assert packet.alternatives(BY_LANGUAGE["title"]) == {"x-default": "Bare tree in a field"}
    assert packet.alternatives(FOR) == {"x-default": "jpg"}


def test_a_second_run_writes_nothing(out: MemoryStore) -> None:
    made = tagged(record("a.jpg", WORDS), record("b.jpg", WORDS))
    write(made, out)
    before = list(out.list())
    assert [line.status for line in write(made, out)] == ["unchanged", "unchanged"]
    assert list(out.list()) == before


def test_a_dry_run_says_what_it_would_write(out: MemoryStore) -> None:
    (line,) = write(tagged(record("a.jpg", WORDS)), out, dry_run=True)
    assert line.status == "would_write"
    assert line.values is not None
    assert line.values["keywords"] == WORDS
    assert not list(out.list())


def test_replaced_and_removed_images_are_skipped(out: MemoryStore) -> None:
    made = tagged(record("a.jpg", WORDS), record("b.jpg", WORDS))
    made.source.put("a.jpg", b"another", if_match=made.source.stat("a.jpg").etag)
    made.source.delete("b.jpg", if_match=made.source.stat("b.jpg").etag)
    lines = write(made, out)
    assert [(line.status, line.reason) for line in lines] == [
        ("skipped", "the image was replaced since it was tagged"),
        ("skipped", "the image is gone"),
    ]
    assert not list(out.list())


def test_what_a_person_keeps_beside_the_image_is_where_a_sidecar_begins(out: MemoryStore) -> None:
    made = tagged(record("a.jpg", WORDS))
    theirs = Packet()
    theirs.set_text(SETTING, "15.4")
    theirs.set_items(LISTS["keywords"], ["Bella"])
    made.source.put("a.xmp", theirs.to_bytes(), if_match=None)
    write(made, out, merge=Merge.ADD)
    packet = read(out, "a.xmp")
    assert packet.items(LISTS["keywords"]) == ("Bella", *WORDS)
    assert packet.alternatives(SETTING) == {"x-default": "15.4"}
    assert read(made.source, "a.xmp").items(LISTS["keywords"]) == ("Bella",)
    # From then on the one that was written counts.
    packet.set_items(LISTS["keywords"], ["Bella", "Rex"])
    out.put("a.xmp", packet.to_bytes(), if_match=out.stat("a.xmp").etag)
    write(made, out, merge=Merge.ADD)
    assert read(out, "a.xmp").items(LISTS["keywords"]) == ("Bella", "Rex", *WORDS)


def test_one_hostile_sidecar_fails_alone(out: MemoryStore) -> None:
    made = tagged(record("a.jpg", WORDS), record("b.jpg", WORDS))
    out.put("a.xmp", b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>', if_match=None)
    before = out.read("a.xmp")
    failed, written = write(made, out)
    assert (failed.status, written.status) == ("failed", "written")
    assert "DTD" in (failed.reason or "")
    assert out.read("a.xmp") == before


def test_two_images_of_one_name_cannot_share_a_sidecar(out: MemoryStore) -> None:
    made = tagged(record("a.jpg", WORDS), record("a.png", WORDS))
    first, second = write(made, out)
    assert (first.status, second.status) == ("written", "failed")
    assert "--naming full" in (second.reason or "")
    assert [line.target for line in write(made, out, naming=Naming.FULL)] == ["a.jpg.xmp", "a.png.xmp"]


def test_the_files_own_words_stay_and_are_replaced_only_when_asked(out: MemoryStore) -> None:
    words: list[Keyword | str] = [keyword(1, "dog"), keyword(2, "Bella", Source.EMBEDDED)]
    words[1] = replace(words[1], id="embedded:Bella")  # type: ignore[type-var]
    made = tagged(record("a.jpg", words, embedded=Embedded(title="Bella", keywords=("Bella",))))
    write(made, out)
    assert read(out, "a.xmp").items(LISTS["keywords"]) == ("Bella",)
    write(made, out, merge=Merge.ADD)
    assert read(out, "a.xmp").items(LISTS["keywords"]) == ("Bella", "dog")
    assert read(out, "a.xmp").alternatives(BY_LANGUAGE["title"]) == {"x-default": "Bella"}
    write(made, out, merge=Merge.REPLACE)
    assert read(out, "a.xmp").items(LISTS["keywords"]) == ("dog",)
    assert read(out, "a.xmp").alternatives(BY_LANGUAGE["title"]) == {"x-default": "Bare tree in a field"}


def test_what_people_decided_is_written_and_follows_them(out: MemoryStore) -> None:
    made = tagged(record("a.jpg", WORDS))
    path = made.layout.human(ImageRef(BUCKET, "a.jpg"))
    etag = made.sidecars.put(path, Human(title="Bella", rejected=("beach",)).to_json().encode(), if_match=None)
    write(made, out)
    assert read(out, "a.xmp").items(LISTS["keywords"]) == ("dog",)
    made.sidecars.put(path, Human(title="Bella at last").to_json().encode(), if_match=etag)
    write(made, out)
    assert read(out, "a.xmp").alternatives(BY_LANGUAGE["title"]) == {"x-default": "Bella at last"}
    assert read(out, "a.xmp").items(LISTS["keywords"]) == WORDS


def test_broken_records_and_bugs_are_told(out: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tagged(record("a.jpg", WORDS))
    (stat,) = made.sidecars.list("0123")
    made.sidecars.put(stat.key.replace("a.jpg", "b.jpg"), b"{}", if_match=None)

    def bug(*_: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr(Wording, "values", bug)
    bugged, broken = write(made, out)
    assert (bugged.status, bugged.reason) == ("failed", "internal_error: RuntimeError: oops")
    assert (broken.key, broken.status) == ("b.jpg", "failed")


@pytest.mark.parametrize(
    ("key", "adobe", "full"),
    [
        ("a/b.c.jpg", "a/b.c.xmp", "a/b.c.jpg.xmp"),
        ("a.d/b", "a.d/b.xmp", "a.d/b.xmp"),
        ("-오 #1.JPG", "-오 #1.xmp", "-오 #1.JPG.xmp"),
        (".jpg", ".jpg.xmp", ".jpg.xmp"),
    ],
)
def test_names_of_sidecars(key: str, adobe: str, full: str) -> None:
    assert (Naming.ADOBE.key(key), Naming.FULL.key(key)) == (adobe, full)


def test_words_that_are_denied_since_go_and_nothing_is_made_of_nothing(out: MemoryStore) -> None:
    made = tagged(record("a.jpg", WORDS), record("b.jpg", WORDS))
    write(made, out)
    packet = read(out, "a.xmp")
    packet.set_items(LISTS["keywords"], ["Bella", *WORDS])
    out.put("a.xmp", packet.to_bytes(), if_match=out.stat("a.xmp").etag)
    silent: dict[str, Any] = {"title": UNTITLED, "caption": None, "alt_text": None}
    silent |= {"status": Status.EMPTY, "reason": "no_evidence", "detail": "Nothing."}
    for stat in list(made.sidecars.list("0123")):
        found = made.sidecars.read(stat.key)
        assert found is not None
        denied = replace(Record.from_json(found[0]), keywords=(), **silent)
        made.sidecars.put(stat.key, denied.to_json().encode(), if_match=stat.etag)
    assert [line.status for line in write(made, out)] == ["written", "written"]
    assert read(out, "a.xmp").items(LISTS["keywords"]) == ("Bella",)
    assert read(out, "b.xmp").items(LISTS["keywords"]) == ()
    assert read(out, "b.xmp").alternatives(BY_LANGUAGE["title"]) == {}
    reasons = {line.reason for line in (*write(made, out), *write(made, MemoryStore("new")))}
    assert reasons == {"there is nothing to say about it"}
