"""The process for suspect images, with a store that keeps it waiting: no image is to blame for that."""

import threading
from pathlib import Path

import pytest

from tasks.errors import Unavailable
from tasks.records import ImageRef
from tests.conftest import jpeg
from tests.faults.proxy import Proxy, black_hole
from tests.servers import REGION, Server
from worker.isolated import IsolatedProcess
from worker.settings import load_settings


def test_a_store_that_falls_silent_is_not_the_images_fault(
    seaweed: Server, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweed.environment.items():
        monkeypatch.setenv(name, value)
    bucket = seaweed.make_bucket()
    seaweed.s3().put_object(Bucket=bucket, Key="a.jpg", Body=jpeg("red"))
    with Proxy(("127.0.0.1", seaweed.ports[0])) as between:
        settings = load_settings(
            model="fake",
            library=f"s3://{bucket}",
            cache_dir=cache_dir,
            decode_processes=1,
            s3_endpoint=f"http://127.0.0.1:{between.port}",
            s3_region=REGION,
            s3_addressing="path",
        )
        isolated = IsolatedProcess(settings, seconds=2)
        isolated.provenance()
        back = threading.Event()
        try:
            with between.rule(black_hole(back)), pytest.raises(Unavailable):
                isolated.attempt(ImageRef(bucket, "a.jpg"))
            back.set()
            assert isolated.attempt(ImageRef(bucket, "a.jpg")).committed
        finally:
            back.set()
            isolated.close()
