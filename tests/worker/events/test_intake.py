import random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tasks.errors import Unavailable
from tasks.generations.pointer import Current
from tasks.layout import Layout
from tasks.messages import TagMessage
from tasks.records import ImageRef
from tasks.renditions import Renditions
from tests.worker.events.conftest import Remembered
from worker.events.intake import GROUP, Drop, Intake, Scope, Tally


def refs(*keys: str) -> list[ImageRef]:
    return [ImageRef("stock", key) for key in keys]


def test_images_become_messages_of_at_most_64(intake: Intake, queue: Remembered) -> None:
    keys = [f"{number}.jpg" for number in range(150)]
    assert intake.take(refs(*keys)) == 150
    assert [len(message.refs) for message, _ in queue.sent] == [GROUP, GROUP, 22]
    assert queue.keys == keys
    assert {name for _, name in queue.sent} == {"uploads"}
    assert {message.generation for message, _ in queue.sent} == {None}


def test_no_etag_of_an_event_is_passed_on(intake: Intake, queue: Remembered) -> None:
    intake.take([ImageRef("stock", "a.jpg", '"old"')])
    assert queue.sent[0][0].refs == (ImageRef("stock", "a.jpg", None),)


def test_each_generation_that_is_written_gets_a_message_of_its_own(scope: Scope, queue: Remembered) -> None:
    current = Current("a" * 12, "b" * 12)
    Intake(scope, queue, lambda: current, Tally()).take(refs("a.jpg", "b.jpg"))
    assert [(message.generation, len(message.refs)) for message, _ in queue.sent] == [("a" * 12, 2), ("b" * 12, 2)]


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        (ImageRef("other", "a.jpg"), Drop.BUCKET),
        (ImageRef("stock", "private/a.jpg"), Drop.PREFIX),
        (ImageRef("stock", "photos/notes.txt"), Drop.NO_IMAGE),
        (ImageRef("stock", "photos/"), Drop.NO_IMAGE),
        (ImageRef("stock", "photos/.out/0123456789ab/done/stock/photos/a.jpg.json"), Drop.OUTPUT),
        # A preview that somebody puts there later is an image, and still an output.
        (ImageRef("stock", "photos/.out/a.jpg"), Drop.OUTPUT),
        (ImageRef("stock", ""), Drop.KEY),
        (ImageRef("stock", "photos/../secret/a.jpg"), Drop.KEY),
        (ImageRef("stock", "../a.jpg"), Drop.KEY),
        (ImageRef("stock", "photos/./a.jpg"), Drop.KEY),
        (ImageRef("stock", "photos/" + "x" * 2000 + ".jpg"), Drop.KEY),
        (ImageRef("stock", "photos/\ud800.jpg"), Drop.KEY),
        (ImageRef("stock", "photos/\0.jpg"), Drop.KEY),
        (ImageRef("stock", "photos/2024/a_1000.jpg"), Drop.RENDITION),
    ],
)
def test_what_is_none_of_the_librarys_images_is_counted_and_dropped(
    queue: Remembered, ref: ImageRef, reason: Drop
) -> None:
    renditions = Renditions("{stem}_1000.jpg", {"jpg"})
    scope = Scope("stock", "photos/", Layout("photos/.out/"), frozenset({"jpg"}), renditions)
    tally = Tally()
    assert Intake(scope, queue, Current, tally).take([ref, ImageRef("stock", "photos/good.jpg")]) == 1
    assert queue.keys == ["photos/good.jpg"]
    assert tally.dropped == {reason: 1}


@pytest.mark.parametrize(
    "key", ["new\nline.jpg", "\x1b[31m.jpg", "a b+c%2F.jpg", "녹색.jpg", "..a/b...jpg", "//x.jpg", "'\"<>&.jpg"]
)
def test_odd_keys_arrive_as_they_are(intake: Intake, queue: Remembered, key: str) -> None:
    intake.take(refs(key))
    assert queue.keys == [key]
    # As they will be when a worker reads them.
    assert TagMessage.from_dict(queue.sent[0][0].to_dict()).refs[0].key == key


def test_outputs_in_a_bucket_of_their_own_take_no_names_from_the_images(queue: Remembered) -> None:
    scope = Scope("stock", "", None, frozenset({"jpg"}))
    Intake(scope, queue, Current, Tally()).take(refs(".stockmeta/a.jpg"))
    assert queue.keys == [".stockmeta/a.jpg"]


def test_duplicates_in_a_batch_are_one(intake: Intake, queue: Remembered) -> None:
    events = refs(*["a.jpg", "b.jpg", "c.jpg"] * 10)
    random.Random(7).shuffle(events)  # noqa: S311 - the same order every time
    assert intake.take(events) == 3
    assert sorted(queue.keys) == ["a.jpg", "b.jpg", "c.jpg"]
    assert intake.tally.dropped == {Drop.DUPLICATE: 27}


def test_what_could_not_be_sent_is_not_counted_until_it_is(intake: Intake, queue: Remembered) -> None:
    queue.fail = 1
    events = refs("a.jpg", "a.jpg", "notes.txt")
    with pytest.raises(Unavailable):
        intake.take(events)
    assert (intake.tally.accepted, intake.tally.dropped) == (0, {})
    intake.take(events)
    assert (intake.tally.accepted, intake.tally.dropped) == (1, {Drop.DUPLICATE: 1, Drop.NO_IMAGE: 1})
    assert str(intake.tally) == "1 images sent to the queue, 2 events dropped (1 duplicate, 1 no_image)"


def test_nothing_of_interest_asks_neither_store_nor_queue(scope: Scope, queue: Remembered) -> None:
    def away() -> Current:
        raise Unavailable("away")

    queue.fail = 1
    assert Intake(scope, queue, away, Tally()).take(refs("notes.txt")) == 0


@given(bucket=some.sampled_from(["stock", "other"]), key=some.text(some.characters(), max_size=1500))
def test_no_key_makes_it_fall_over_and_none_leaves_its_scope(bucket: str, key: str) -> None:
    queue = Remembered()
    scope = Scope("stock", "photos/", Layout("photos/.out/"), frozenset({"jpg"}))
    for name in (key, f"photos/{key}", f"photos/{key}.jpg", f"photos/.out/{key}.jpg"):
        Intake(scope, queue, Current, Tally()).take([ImageRef(bucket, name)])
    for taken in queue.keys:
        assert taken.startswith("photos/")
        assert not taken.startswith("photos/.out/")
        assert ".." not in taken.split("/")
        assert len(taken.encode()) <= 1024
