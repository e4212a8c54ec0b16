"""Stores that keep to the conditions of writes pass, and those that do not are found out."""

from pathlib import Path

import pytest

from tasks.errors import ConfigurationError, Conflict, Unavailable
from tasks.layout import Layout
from tests.faults import proxy
from tests.faults.proxy import Proxy
from tests.servers import Server
from tests.worker.storage.s3_stores import opened
from worker.storage.local import LocalStore
from worker.storage.memory import MemoryStore
from worker.storage.probe import require_conditional_writes

LAYOUT = Layout("out/")


@pytest.mark.integration
def test_stores_that_keep_to_them(
    seaweed: Server, moto_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(seaweed, monkeypatch) as one, opened(moto_server, monkeypatch) as two:
        for store in (one, LocalStore(tmp_path), MemoryStore("m"), two):
            require_conditional_writes(store, LAYOUT)
            assert list(store.list()) == []


class Careless(MemoryStore):
    """Knows only some of the conditions, as stores do that speak S3 roughly."""

    def __init__(self, *ignored: str) -> None:
        super().__init__("careless")
        self.ignored = ignored

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        found = self.read(key)
        current = found and found[1]
        if "refuses" in self.ignored and if_match is not None:
            raise Conflict("no")
        if ("none" in self.ignored and if_match is None) or ("match" in self.ignored and if_match is not None):
            return super().put(key, data, if_match=current)
        return super().put(key, data, if_match=if_match)

    def delete(self, key: str, *, if_match: str) -> None:
        found = self.read(key)
        super().delete(key, if_match=found[1] if "delete" in self.ignored and found else if_match)


@pytest.mark.parametrize(
    ("ignored", "message"),
    [
        ("none", "writes over what is there"),
        ("match", "writes over a newer"),
        ("delete", "removes a newer"),
        ("refuses", "refuses to replace"),
    ],
)
def test_stores_that_do_not(ignored: str, message: str) -> None:
    store = Careless(ignored)
    with pytest.raises(ConfigurationError, match=message):
        require_conditional_writes(store, LAYOUT)
    assert list(store.list()) == []


@pytest.mark.integration
def test_a_store_that_takes_no_writes_is_no_careless_one(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(("127.0.0.1", seaweed.ports[0])) as between:
        endpoint = f"http://127.0.0.1:{between.port}"
        with (
            opened(seaweed, monkeypatch, endpoint=endpoint, attempts=1) as store,
            between.rule(proxy.answer_all("403 Forbidden", "AccessDenied", "PUT")),
            pytest.raises(Unavailable, match="access denied"),
        ):
            require_conditional_writes(store, LAYOUT)
