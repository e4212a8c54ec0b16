"""Stores on the tests' servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.servers import REGION, Server
from worker.storage.s3 import S3Store
from worker.storage.s3_client import S3Options


@contextmanager
def opened(
    server: Server, monkeypatch: pytest.MonkeyPatch, bucket: str | None = None, **options: Any
) -> Iterator[S3Store]:
    """A store on a bucket, by default a new one, as boto3 finds credentials for it. Times out soon."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    options = {"endpoint": server.endpoint, "region": REGION, "addressing": "path", "read_seconds": 10.0} | options
    store = S3Store(server.make_bucket() if bucket is None else bucket, S3Options(connections=16, **options))
    yield store
    store.close()
