"""A cluster to be killed and frozen: osmem-server, which speaks OpenSearch's API and keeps all in memory."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from osmem_server import resolve_binary

from tests.faults.processes import until
from tests.servers import free_ports

PAGE = 500


class Cluster:
    """One server on one port. Killed it has lost all that it had, as a cluster that was set up anew has."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self._log = folder / "osmem.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)

    def start(self) -> None:
        """Start it, empty."""
        command = [resolve_binary(), "-addr", f"127.0.0.1:{self.port}", "-no-stdin-watch", "-no-ja"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        until(self._answers, 20, "osmem answers")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it, frozen or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        assert self._process is not None
        return sum(psutil.Process(self._process.pid).cpu_times()[:2])

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """A request past all proxies. Raises `httpx.HTTPStatusError`."""
        answer = self.http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    def documents(self, alias: str, *fields: str) -> dict[str, dict[str, Any]]:
        """What a search sees: `_source` by key, all of it or some fields; nothing where there is no alias."""
        body: dict[str, Any] = {"size": PAGE, "query": {"match_all": {}}, "sort": [{"id": "asc"}]}
        if fields:
            body["_source"] = ["key", *fields]
        found: dict[str, dict[str, Any]] = {}
        while True:
            try:
                hits = self.ask("POST", f"/{alias}/_search", body)["hits"]["hits"]
            except httpx.HTTPStatusError as error:
                if error.response.status_code == 404:
                    return {}
                raise
            for hit in hits:
                assert hit["_source"]["key"] not in found, "two documents of one image"
                found[hit["_source"]["key"]] = hit["_source"]
            if len(hits) < PAGE:
                return found
            body["search_after"] = hits[-1]["sort"]

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return self.http.get("/").is_success
        return False


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster of one's own."""
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.kill()
        made.http.close()
