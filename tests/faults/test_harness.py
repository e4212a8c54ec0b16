"""The harness itself: the proxy does the harm that it says, and the invariant finds damage."""

import threading
import time
from dataclasses import replace

import pytest
import redis
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from types_boto3_s3 import S3Client

from tasks.layout import Layout
from tasks.records import Image, ImageRef, Record, Status
from tests.faults import invariant, proxy
from tests.faults.photographs import photograph
from tests.faults.stage import Stage

pytestmark = pytest.mark.quick


def client(stage: Stage, attempts: int = 1, **config: object) -> S3Client:
    """A client of the store behind the proxy."""
    behind = replace(stage.store, endpoint=f"http://127.0.0.1:{stage.store_proxy.port}")
    return behind.s3(retries={"mode": "standard", "total_max_attempts": attempts}, **config)


def test_the_proxy_passes_what_no_rule_is_about(stage: Stage) -> None:
    s3 = client(stage)
    body = photograph(1) * 2000
    s3.put_object(Bucket=stage.bucket, Key="large", Body=body)
    assert s3.get_object(Bucket=stage.bucket, Key="large")["Body"].read() == body


def test_the_proxy_answers_cuts_slows_and_keeps_quiet(stage: Stage) -> None:
    s3 = client(stage)
    s3.put_object(Bucket=stage.bucket, Key="a", Body=b"x" * 5000)
    with stage.store_proxy.rule(proxy.answer_all("503 Slow Down", "SlowDown", "PUT ")):
        with pytest.raises(ClientError, match="SlowDown"):
            s3.put_object(Bucket=stage.bucket, Key="b", Body=b"y" * 500_000)
        assert s3.get_object(Bucket=stage.bucket, Key="a")["Body"].read() == b"x" * 5000
    for reset in (True, False):
        rule = proxy.CutAfter(1000, "GET .*/a", times=1, reset=reset)
        with stage.store_proxy.rule(rule), pytest.raises((BotoCoreError, OSError)):
            s3.get_object(Bucket=stage.bucket, Key="a")["Body"].read()
    with stage.store_proxy.rule(proxy.slow(20_000)):
        started = time.monotonic()
        s3.get_object(Bucket=stage.bucket, Key="a")["Body"].read()
        assert time.monotonic() - started > 0.2
    release = threading.Event()
    with stage.store_proxy.rule(proxy.black_hole(release)), pytest.raises(ReadTimeoutError):
        client(stage, read_timeout=0.2).head_object(Bucket=stage.bucket, Key="a")
    release.set()
    assert s3.head_object(Bucket=stage.bucket, Key="a")["ContentLength"] == 5000


def test_the_proxy_sees_the_moment_of_an_answer(stage: Stage) -> None:
    behind = redis.Redis(port=stage.redis_proxy.port)
    moments: list[int] = []
    popped = proxy.once(proxy.popped, lambda: moments.append(stage.redis.client.llen("uploads")))
    with stage.redis_proxy.rule(popped):
        assert behind.brpop(["uploads"], timeout=0.1) is None
        assert moments == []
        stage.redis.client.lpush("uploads", "one", "two")
        assert behind.brpop(["uploads"], timeout=1) == (b"uploads", b"one")
        assert moments == [1]
        assert behind.brpop(["uploads"], timeout=1) is not None
        assert moments == [1]


def test_the_invariant_finds_damage(stage: Stage) -> None:
    keys = [stage.put(f"{name}.jpg") for name in ("right", "lost", "stale", "swapped", "terminal", "double")]
    layout, generation = Layout(), stage.oracle.generation
    for key in keys:
        write(stage, layout.done(generation, ImageRef(stage.bucket, key)), right(stage, key))
    assert look(stage).problems({}) == []
    assert look(stage).done == len(keys)
    stage.s3.delete_object(Bucket=stage.bucket, Key=layout.done(generation, ImageRef(stage.bucket, "lost.jpg")))
    stage.put("stale.jpg")
    swapped = right(stage, "swapped.jpg", of="right.jpg")
    write(stage, layout.done(generation, ImageRef(stage.bucket, "swapped.jpg")), swapped)
    for key in ("terminal.jpg", "double.jpg"):
        write(stage, layout.failed(generation, ImageRef(stage.bucket, key)), rejected(stage, key))
    stage.s3.delete_object(Bucket=stage.bucket, Key=layout.done(generation, ImageRef(stage.bucket, "terminal.jpg")))
    write(stage, layout.done(generation, ImageRef(stage.bucket, "never-there.jpg")), right(stage, "right.jpg"))
    finding = look(stage)
    assert [name.partition(":")[0] for name in finding.lost] == ["stale.jpg", "lost.jpg"]
    assert [name.partition(":")[0] for name in finding.wrong] == ["swapped.jpg"]
    assert finding.terminal == {"terminal.jpg": "truncated", "double.jpg": "truncated"}
    assert finding.double == ["double.jpg"]
    assert finding.stray == [layout.done(generation, ImageRef(stage.bucket, "never-there.jpg"))]
    assert len(finding.problems({"terminal.jpg": "truncated", "lost.jpg": "unreadable"})) == 6


def look(stage: Stage) -> invariant.Finding:
    return invariant.examine(stage.s3, stage.bucket, stage.oracle.generation, stage.oracle.expected)


def right(stage: Stage, key: str, of: str = "") -> Record:
    """The record that an image should have, or another's content under its name."""
    record = stage.oracle.expected(stage.uploaded[of or key])
    etag = stage.s3.head_object(Bucket=stage.bucket, Key=key)["ETag"]
    return replace(record, image=replace(record.image, bucket=stage.bucket, key=key, etag=etag))


def rejected(stage: Stage, key: str) -> Record:
    """A terminal record."""
    good = right(stage, key)
    image = Image(good.image.bucket, good.image.key, good.image.etag)
    bare = Record(
        status=Status.REJECTED,
        image=image,
        generation=good.generation,
        revision=1,
        created_at=good.created_at,
        updated_at=good.updated_at,
    )
    return replace(bare, reason="truncated", detail="cut off", model=good.model, engine=good.engine)


def write(stage: Stage, path: str, record: Record) -> None:
    stage.s3.put_object(Bucket=stage.bucket, Key=path, Body=record.to_json().encode())
