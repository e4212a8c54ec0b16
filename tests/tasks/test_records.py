import dataclasses
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import pytest

from tasks import records
from tasks.records import (
    Candidate,
    Category,
    Color,
    Embedded,
    Embedding,
    Flag,
    Image,
    ImageRef,
    Keyword,
    Record,
    Source,
    Status,
    Visual,
)
from tests.conftest import SCHEMA

VECTOR = np.array([0.6, -0.8, 0.0], np.float32)
FULL = Record(
    status=Status.TAGGED,
    image=Image("b", "사진/a\nb.jpg", '"e"', "v", 10, 3, 2, 2, 3, "JPEG", "0" * 64, "small.jpg"),
    generation="0123456789ab",
    revision=5,
    created_at="2026-11-22T00:00:00+00:00",
    updated_at="2026-11-22T00:00:00+00:00",
    title="Gray elephant",
    caption="An elephant.",
    alt_text="An elephant.",
    keywords=(Keyword(1, "x:1", {"en": "elephant", "ko": "코끼리"}, 0.5, 0.25, Source.VOCABULARY),),
    categories={"adobe": (Category("1", "Animals", 0.9),)},
    flags=(Flag("brand", "not assessed", "nobody looked"),),
    visual=Visual("00ff00ff00ff00ff", (Color("#aabbcc", 0.5),), "landscape"),
    embedded=Embedded(title="Elephant", keywords=("elephant", "코끼리"), city="Busan", created="2024-05"),
    written="0" * 64,
    candidates=(Candidate("a large elephant", 0.3),),
    embedding=Embedding.pack(VECTOR),
    model="starter",
    engine="openvino fp32",
    taxonomy="abc",
    timings_ms={"decode": 1.5},
)


def test_json_and_back() -> None:
    assert Record.from_json(FULL.to_json()) == FULL


def test_a_record_is_one_line() -> None:
    assert "\n" not in FULL.to_json()


def test_the_schema_knows_exactly_the_fields_that_there_are() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    known = {"": schema, **schema["$defs"]}
    for name, kind in (
        ("", Record),
        ("image", Image),
        ("keyword", Keyword),
        ("category", Category),
        ("flag", Flag),
        ("visual", Visual),
        ("embedded", Embedded),
        ("candidate", Candidate),
        ("embedding", Embedding),
    ):
        fields = {field.name for field in dataclasses.fields(kind)}
        assert set(known[name]["properties"]) == fields == set(known[name]["required"])


def test_the_embedding_is_kept_to_half_precision() -> None:
    stored = Embedding.pack(VECTOR)
    np.testing.assert_array_equal(stored.unpack(), VECTOR.astype(np.float16).astype(np.float32))
    assert Embedding.pack(stored.unpack()) == stored


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in json.loads(FULL.to_json()).items() if key != name}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '"text"',
        json.dumps({**without("schema"), "schema": "stockmeta/2"}),
        json.dumps(without("image")),
        json.dumps({**without("image"), "image": {"bucket": "b", "key": 1, "etag": None}}),
        json.dumps({**without("x"), "status": "great"}),
    ],
)
def test_what_is_no_record_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        Record.from_json(text)


def test_nesting_without_end_is_no_record() -> None:
    with pytest.raises(ValueError, match="deep"):
        Record.from_json('{"schema": "stockmeta/1", "more": ' + "[" * 200_000 + "]" * 200_000 + "}")


def test_a_class_is_learned_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """msgspec crashes the process where two do so at once; a worker has 64 threads that read records."""
    at_it, most = 0, 0

    def learn(kind: type[object]) -> msgspec.json.Decoder[object]:
        nonlocal at_it, most
        at_it += 1
        most = max(most, at_it)
        time.sleep(0.01)
        at_it -= 1
        return Decoder(kind)

    Decoder = msgspec.json.Decoder  # noqa: N806 - a class
    monkeypatch.setattr(records.msgspec.json, "Decoder", learn)
    monkeypatch.setattr(records, "_decoders", {})
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: records.decoded(b'{"bucket":"b","key":"k"}', ImageRef), range(32)))
    assert set(found) == {ImageRef("b", "k")}
    assert most == 1
