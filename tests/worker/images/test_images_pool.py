"""The pool, with real processes that really die."""

import os
import resource
import signal
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from io import BytesIO
from pathlib import Path

import image_faults
import psutil
import pytest
from PIL import Image

from tasks.errors import Reason, Rejected, Unavailable
from tasks.ports import Decoded
from worker.images import child
from worker.images.decode import Limits, decode
from worker.images.formats import FORMATS, OPTIONAL
from worker.images.pool import DecoderPool

pytestmark = pytest.mark.integration

P64 = image_faults.PREPROCESS
WAIT = 60
Save = Callable[..., bytes]


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(P64)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def faulty() -> Iterator[DecoderPool]:
    pool = DecoderPool(P64, function=image_faults.misbehave, seconds=1.0, memory=512 << 20)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def body(photo: Image.Image, save: Save) -> bytes:
    return save(photo, "JPEG")


def rejection(future: "Future[Decoded]") -> Rejected:
    error = future.exception(WAIT)
    assert isinstance(error, Rejected)
    return error


def children() -> set[psutil.Process]:
    """The decoder processes, without multiprocessing's own helper."""
    found = psutil.Process().children()
    return {process for process in found if "spawn_main" in " ".join(process.cmdline())}


def test_gives_what_decode_gives(pool: DecoderPool, body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ein Bild ü.jpg"
    path.write_bytes(body)
    expected = decode(body, P64)
    for decoded in (pool.submit(body).result(WAIT), pool.submit(path).result(WAIT)):
        assert (decoded.pixels == expected.pixels).all()
        assert decoded.visual == expected.visual
        assert decoded.sha256 == expected.sha256


def test_says_what_is_wrong_with_an_image(pool: DecoderPool, tmp_path: Path) -> None:
    assert rejection(pool.submit(b"")).reason is Reason.EMPTY
    assert rejection(pool.submit(b"words")).reason is Reason.UNSUPPORTED
    assert isinstance(pool.submit(tmp_path / "gone.jpg").exception(WAIT), Unavailable)


def test_many_threads_may_submit(pool: DecoderPool, body: bytes) -> None:
    widths: list[int] = []

    def work() -> None:
        widths.extend(pool.submit(body).result(WAIT).width for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert widths == [640] * 160


@pytest.mark.parametrize(
    ("fault", "reason", "word"),
    [
        (b"segfault", Reason.DECODER_CRASHED, "SIGSEGV"),
        (b"abort", Reason.DECODER_CRASHED, "SIGABRT"),
        (b"exit", Reason.DECODER_CRASHED, "code 3"),
        (b"sleep", Reason.DECODER_TIMEOUT, "3 seconds"),
        (b"spin", Reason.DECODER_TIMEOUT, "processor time"),
        (b"devour", Reason.DECODER_MEMORY, "memory"),
        (b"oom-killer", Reason.DECODER_MEMORY, "memory"),
        (b"unpicklable", Reason.DECODER_CRASHED, "Unpicklable"),
    ],
)
def test_a_fault_costs_one_image(faulty: DecoderPool, body: bytes, fault: bytes, reason: Reason, word: str) -> None:
    before = [faulty.submit(body) for _ in range(8)]
    culprit = faulty.submit(fault)
    after = [faulty.submit(body) for _ in range(8)]
    error = rejection(culprit)
    assert error.reason is reason
    assert word in error.detail
    assert [future.result(WAIT).width for future in before + after] == [640] * 16


def test_a_process_told_to_stop_blames_no_image(faulty: DecoderPool) -> None:
    assert isinstance(faulty.submit(b"told to stop").exception(WAIT), Unavailable)


def test_a_death_that_may_be_chance_is_tried_again(faulty: DecoderPool, tmp_path: Path) -> None:
    error = rejection(faulty.submit(b"kill once:" + os.fsencode(tmp_path / "marker")))
    assert "survived" in error.detail


def test_the_wait_in_the_queue_is_not_counted(body: bytes) -> None:
    pool = DecoderPool(P64, function=image_faults.misbehave, processes=1, seconds=0.3)
    try:
        pool.submit(body).result(WAIT)
        sleepers = [pool.submit(b"sleep") for _ in range(2)]
        patient = pool.submit(body)
        assert patient.result(WAIT).width == 640
        assert {rejection(sleeper).reason for sleeper in sleepers} == {Reason.DECODER_TIMEOUT}
    finally:
        pool.close()


def test_a_pool_whose_idle_processes_were_killed_is_renewed(body: bytes) -> None:
    others = children()
    pool = DecoderPool(P64)
    try:
        pool.submit(body).result(WAIT)
        for process in children() - others:
            process.kill()
        assert [future.result(WAIT).width for future in [pool.submit(body) for _ in range(20)]] == [640] * 20
    finally:
        pool.close()


def test_processes_that_cannot_start_are_no_images_fault() -> None:
    pool = DecoderPool(P64, function=image_faults.BrokenImport())
    try:
        futures = [pool.submit(b"anything") for _ in range(20)]
        assert all(isinstance(future.exception(WAIT), Unavailable) for future in futures)
    finally:
        pool.close()


def test_closing_ends_everything_at_once(body: bytes) -> None:
    others = children()
    pool = DecoderPool(P64, function=image_faults.misbehave)
    pool.submit(body).result(WAIT)
    futures = [pool.submit(b"sleep") for _ in range(5)]
    start = time.monotonic()
    pool.close()
    assert time.monotonic() - start < 5
    assert all(isinstance(future.exception(0), Unavailable) for future in futures)
    assert isinstance(pool.submit(body).exception(0), Unavailable)
    assert children() <= others


def report(body: bytes | Path) -> Decoded:
    """What a child sees, told through the fields of an image."""
    told = {
        "environment": dict(os.environ),
        "raw": Path("/proc/self/environ").read_text().split("\0"),
        "modules": sorted(set(sys.modules) & {"torch", "celery", "boto3", "redis", "open_clip", "typer", "pydantic"}),
        "address space": resource.getrlimit(resource.RLIMIT_AS),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "blocked": signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "arguments": sys.argv,
    }
    raise Rejected(Reason.UNREADABLE, repr(told))


def test_children_know_nothing_worth_stealing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("STOCKMETA_BROKER", "redis://:hush@host")
    pool = DecoderPool(P64, function=report, memory=1 << 30)
    try:
        told = eval(rejection(pool.submit(b"")).detail)  # noqa: S307  our own words
    finally:
        pool.close()
    assert "hush" not in repr(told)
    assert set(told["environment"]) - set(child.ENVIRONMENT) <= {"LC_CTYPE", "LD_LIBRARY_PATH"}
    assert told["modules"] == []
    assert told["address space"] == (1 << 30, 1 << 30)
    assert told["core"] == (0, 0)
    assert told["blocked"] is True


def test_processes_are_replaced_in_time(body: bytes) -> None:
    pool = DecoderPool(P64, processes=1, max_tasks=10)
    try:
        assert [pool.submit(body).result(WAIT).width for _ in range(35)] == [640] * 35
    finally:
        pool.close()


def many_scans(count: int, size: tuple[int, int]) -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    file = BytesIO()
    Image.new("L", size, 128).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded(pool: DecoderPool) -> None:
    start = time.monotonic()
    error = rejection(pool.submit(many_scans(2000, (6000, 4000))))
    assert "scans" in error.detail
    assert time.monotonic() - start < 5
    assert pool.submit(many_scans(20, (600, 400))).result(WAIT).width == 600


def test_what_the_scan_count_lets_through_the_processor_limit_stops() -> None:
    pool = DecoderPool(P64, Limits(scan_pixels=10**15), seconds=1.0)
    try:
        assert rejection(pool.submit(many_scans(2000, (6000, 4000)))).reason is Reason.DECODER_TIMEOUT
    finally:
        pool.close()


def png(width: int, height: int, depth: int, kind: int, channels: int) -> bytes:
    """A PNG of nothing but zeros, made without holding it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, kind, 0, 0, 0])
    compress = zlib.compressobj(1)
    row = bytes(1 + width * channels * depth // 8)
    body = b"".join(compress.compress(row) for _ in range(height)) + compress.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("depth", "kind", "channels"), [(8, 6, 4), (16, 0, 1)])
def test_a_hundred_megapixels_fit(pool: DecoderPool, depth: int, kind: int, channels: int) -> None:
    assert pool.submit(png(10_000, 10_000, depth, kind, channels)).result(WAIT).width == 10_000
    more = rejection(pool.submit(png(10_001, 10_000, depth, kind, channels)))
    assert more.reason is Reason.TOO_MANY_PIXELS
    assert "100 megapixels" in more.detail


@pytest.mark.shared
def test_hostile_files_end_one_way_or_the_other(shared: Path) -> None:
    paths = sorted((shared / "hostile").iterdir())
    assert len(paths) > 200
    limits = Limits(formats=FORMATS + OPTIONAL)
    others = children()
    pool = DecoderPool(P64, limits, thumbnail=320)
    try:
        first = [pool.submit(path).exception(WAIT) for path in paths]
        sizes = [process.memory_info().rss for process in children() - others]
        for _ in range(3):
            again = [pool.submit(path.read_bytes()) for path in paths]
            assert [type(future.exception(WAIT)) for future in again] == [type(error) for error in first]
        assert max(process.memory_info().rss for process in children() - others) < max(sizes) + (20 << 20)
    finally:
        pool.close()
    assert all(error is None or isinstance(error, Rejected) for error in first)
    reasons = Counter(error.reason for error in first if isinstance(error, Rejected))
    assert reasons[Reason.UNSUPPORTED] > 50
    assert reasons[Reason.TRUNCATED] > 20
    assert reasons[Reason.TOO_MANY_PIXELS] >= 5
    assert all("\n" not in error.detail for error in first if isinstance(error, Rejected))
