import json

import pytest

from tasks.messages import NewerMessage, TagMessage
from tasks.records import ImageRef


def test_a_message_survives_the_queue() -> None:
    message = TagMessage((ImageRef("b", "사진/a b.jpg", "e1"), ImageRef("b", "x.png")))
    assert TagMessage.from_dict(json.loads(json.dumps(message.to_dict()))) == message


def test_64_images_take_about_ten_kilobytes() -> None:
    refs = tuple(ImageRef("library", f"2026/11/22/shoot-042/IMG_{i:06}.jpg", "0" * 32) for i in range(64))
    assert len(json.dumps(TagMessage(refs).to_dict())) < 10_000


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"v": 2, "refs": []},
        {"v": "1", "refs": []},
        {"v": 1, "refs": [], "generation": 3},
        {"v": 1, "refs": [], "id": None},
        {"v": 1, "refs": [], "tries": "1"},
        {"v": 1, "refs": [], "again": 1},
        {"v": 1, "refs": "x"},
        {"v": 1, "refs": ["x"]},
        {"v": 1, "refs": [{"bucket": "b"}]},
        {"v": 1, "refs": [{"bucket": "b", "key": "k", "etag": 1}]},
    ],
)
def test_anything_else_is_refused_in_words(data: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        TagMessage.from_dict(data)


def test_a_message_by_hand_needs_refs_alone() -> None:
    message = TagMessage.from_dict({"v": 1, "refs": [{"bucket": "b", "key": "k", "etag": None}]})
    assert message.id
    assert (message.generation, message.tries, message.again) == (None, 0, False)


def test_a_later_version_is_told_from_garbage() -> None:
    with pytest.raises(NewerMessage):
        TagMessage.from_dict({"v": 2, "images": []})
