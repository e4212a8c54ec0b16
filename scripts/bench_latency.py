"""From an upload to its sidecar, by the way that uploads take: notification, listener, Redis, worker."""

import json
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bench_stand import Stand, stand
from botocore.exceptions import ClientError

from tasks.layout import Layout
from tasks.records import ImageRef, Record
from tests.servers import free_ports

SECRET = "of-this-measurement"  # noqa: S105 - a server on loopback that lives for a minute
WARM = 24
LOOK_SECONDS, LOOK_SHARE = 0.01, 0.02
"""Between two looks for a sidecar, or that share of the time so far: what the figures are too high by, at most. On a
machine that falls behind, looking more often would make it fall behind further."""
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Upload:
    """One upload.

    Attributes:
        put: seconds until the PUT was answered.
        all: seconds until the sidecar was there.
    """

    key: str
    put: float
    all: float


def latency(files: Sequence[Path], folder: Path, model: str, single: int, steady: int, rate: float) -> list[str]:
    """Lines of figures."""
    port = free_ports(1)[0]
    with stand(folder, model, notifications(port)) as place, place.worker(), place.listener(port, SECRET):
        generation = generation_of(place)
        uploads = Uploads(place, generation, files)
        uploads.steadily(WARM, rate)
        alone = [uploads.one() for _ in range(single)]
        together = uploads.steadily(steady, rate) if steady else []
        lines = ["from the start of a PUT to the sidecar, web-size photographs:"]
        lines.append(_line("one at a time", alone))
        if together:
            lines.append(_line(f"{rate:g} a second", together))
        return [*lines, uploads.stages(alone)]


class Uploads:
    """Uploads photographs in turn, each under a key of its own, and looks for its sidecar."""

    def __init__(self, place: Stand, generation: str, files: Sequence[Path]) -> None:
        self._place, self._generation = place, generation
        self._bodies = cycle([path.read_bytes() for path in files])
        self._count = 0
        self._lock = threading.Lock()

    def one(self) -> Upload:
        """Upload one, and wait for its sidecar."""
        with self._lock:
            body, self._count = next(self._bodies), self._count + 1
            key = f"upload-{self._count:05}.jpg"
        start = time.perf_counter()
        self._place.s3.put_object(Bucket=self._place.bucket, Key=key, Body=body)
        put = time.perf_counter() - start
        while not self._is_there(key):
            if time.perf_counter() - start > PATIENCE_SECONDS:
                raise RuntimeError(f"{key} has no sidecar after {PATIENCE_SECONDS:.0f} s")
            time.sleep(max(LOOK_SECONDS, LOOK_SHARE * (time.perf_counter() - start)))
        return Upload(key, put, time.perf_counter() - start)

    def steadily(self, count: int, rate: float) -> list[Upload]:
        """So many a second, whether or not those before have ended."""
        with ThreadPoolExecutor(32) as pool:
            begin = time.perf_counter()
            waiting = []
            for number in range(count):
                time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
                waiting.append(pool.submit(self.one))
            return [future.result() for future in waiting]

    def stages(self, uploads: Sequence[Upload], name: str = "one at a time") -> str:
        """Where the time of these went, from what the sidecars say: medians."""
        records = [self._record(upload.key) for upload in uploads]
        names = ("fetch", "decode", "encode", "caption")
        parts = {name: statistics.median(record.timings_ms[name] for record in records) for name in names}
        put = statistics.median(1000 * upload.put for upload in uploads)
        pairs = zip(uploads, records, strict=True)
        rest = statistics.median(1000 * (u.all - u.put) - sum(r.timings_ms.values()) for u, r in pairs)
        shares = ", ".join(f"{name} {value:.0f}" for name, value in ({"PUT": put} | parts).items())
        return f"  {name}, milliseconds: {shares}, the rest (notification, queue, looks, commit) {rest:.0f}"

    def _is_there(self, key: str) -> bool:
        try:
            self._place.s3.head_object(Bucket=self._place.bucket, Key=self._sidecar(key))
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            return False
        return True

    def _record(self, key: str) -> Record:
        with self._place.s3.get_object(Bucket=self._place.bucket, Key=self._sidecar(key))["Body"] as body:
            return Record.from_json(body.read())

    def _sidecar(self, key: str) -> str:
        return Layout().done(self._generation, ImageRef(self._place.bucket, key))


def notifications(port: int) -> dict[str, str]:
    """Variables that have SeaweedFS tell a listener on this port."""
    return {
        "WEED_NOTIFICATION_WEBHOOK_ENABLED": "true",
        "WEED_NOTIFICATION_WEBHOOK_ENDPOINT": f"http://127.0.0.1:{port}/",
        "WEED_NOTIFICATION_WEBHOOK_BEARER_TOKEN": SECRET,
    }


def generation_of(place: Stand) -> str:
    """The one that the worker opened at its start."""
    with place.s3.get_object(Bucket=place.bucket, Key=Layout().current)["Body"] as body:
        return str(json.load(body)["serving"])


def _line(name: str, uploads: Sequence[Upload]) -> str:
    times = sorted(upload.all for upload in uploads)
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
    return (
        f"  {name:16} p50 {statistics.median(times):6.3f} s, p95 {p95:6.3f} s, longest {times[-1]:6.3f} s, "
        f"of {len(times)}"
    )
