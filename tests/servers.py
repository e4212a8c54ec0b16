"""Real servers for tests: SeaweedFS as the store, moto as Amazon's S3 and SQS. On loopback, ended with their user.

As fixtures (`seaweed`, `moto_server`: one of each in a test process, started when first asked for), and as context
managers for scripts and for tests that stop, freeze or restart a server.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

REGION = "us-east-1"
START_SECONDS = 40.0
"""Both start within two seconds alone; on a busy machine it may be a multiple."""

GRPC = 10_000
"""SeaweedFS serves gRPC on each of its ports plus this."""


@dataclass(frozen=True, eq=False)
class Server:
    """A server that runs.

    Attributes:
        endpoint: its URL.
        access_key: for boto3; `secret_key` likewise. Moto takes any.
        process: to signal it.
        ports: what it listens on, the first being the endpoint's; given again, a restart keeps its address.
        log: file with what it printed.
    """

    endpoint: str
    access_key: str
    secret_key: str
    process: "subprocess.Popen[bytes]"
    ports: tuple[int, ...]
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What another process needs to reach it, as boto3 and as our settings name it."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "STOCKMETA_S3_ENDPOINT": self.endpoint,
            "STOCKMETA_S3_REGION": REGION,
            "STOCKMETA_S3_ADDRESSING": "path",
        }

    def s3(self, **config: Any) -> "S3Client":
        """A client of its own. `config` goes to botocore's Config."""
        # Importing boto3 takes a third of a second; most tests need none of this.
        from botocore.config import Config

        config = {"s3": {"addressing_style": "path"}, "connect_timeout": 5, "read_timeout": 20} | config
        return _session(self).client("s3", endpoint_url=self.endpoint, config=Config(**config))

    def sqs(self) -> "SQSClient":
        """A client for queues; moto only."""
        return _session(self).client("sqs", endpoint_url=self.endpoint)

    def make_bucket(self, name: str = "") -> str:
        """Make a bucket, by default with a name that no other has; returns its name."""
        name = name or f"b-{uuid.uuid4().hex[:16]}"
        _client(self).create_bucket(Bucket=name)
        return name

    def kill(self) -> None:
        """End it without warning, frozen or not."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def _session(server: Server) -> Any:
    import boto3

    return boto3.session.Session(
        aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key, region_name=REGION
    )


@contextmanager
def seaweed_server(
    folder: Path, ports: tuple[int, ...] | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run SeaweedFS on `folder`, which keeps its data: run again on the same one, and it has what it had.

    Args:
        folder: an existing folder of its own.
        ports: those of an earlier run; default: free ones.
        environment: more variables for it, such as those of its notifications.
    """
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if weed is None:
        raise RuntimeError("there is no `weed`: install the extra `dev`")
    keys = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demosecret"}
    s3, master, volume, filer, admin = numbers = ports or free_ports(5, also=GRPC)
    command = [
        *(weed, "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={s3}"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-admin.port={admin}"),
        *("-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        # As everywhere else, a missing bucket is an error.
        "-s3.autoCreateBucket=false",
        # Each bucket takes volumes of its own, and by default there are as many as the free disk holds when it starts:
        # on a fuller disk the last tests of a suite would find none left.
        *("-volume.max=20000", "-master.volumeSizeLimitMB=32"),
    ]
    with _running(command, folder, keys | dict(environment or {}), s3) as (process, log):
        server = Server(f"http://127.0.0.1:{s3}", *keys.values(), process, tuple(numbers), log)
        _wait_for_writes(server)
        yield server


@contextmanager
def moto_server(folder: Path, ports: tuple[int, ...] | None = None) -> Iterator[Server]:
    """Run moto, which keeps nothing and takes any credentials. `folder` is for its log."""
    (port,) = numbers = ports or free_ports(1)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, folder, {}, port) as (process, log):
        yield Server(f"http://127.0.0.1:{port}", "test", "test", process, tuple(numbers), log)


def free_ports(count: int, also: int = 0) -> tuple[int, ...]:
    """Ports that nobody listens on, and nobody on `also` above them.

    Below 32768, where no system hands out ports by itself, and at random, so that test processes side by side do not
    meet.
    """
    found: list[int] = []
    chance = random.SystemRandom()
    while len(found) < count:
        port = chance.randrange(11_000, 22_000)
        if port not in found and all(_is_free(number) for number in {port, port + also}):
            found.append(port)
    return tuple(found)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, or the remains of closed connections would count as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def _running(
    command: list[str], folder: Path, environment: Mapping[str, str], port: int
) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A process that serves HTTP on `port`, killed at the end, and by the kernel if this process dies first."""
    log = folder / "server.log"
    if setpriv := shutil.which("setpriv"):
        command = [setpriv, "--pdeathsig", "KILL", *command]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WEED_"))}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=inherited | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the tests, which then end the server.
            start_new_session=True,
        )
    try:
        _until(lambda: _answers(port), process, log)
        yield process, log
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def _until(ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{process.args!r} did not start (status {process.poll()}):\n{tail}")
        time.sleep(0.02)


def _answers(port: int) -> bool:
    try:
        # The environment may name a proxy, which is not for loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(f"http://127.0.0.1:{port}/", timeout=2).close()
    except urllib.error.HTTPError as error:
        # It refuses, so it is there.
        error.close()
    except OSError:
        return False
    return True


def _wait_for_writes(server: Server) -> None:
    """SeaweedFS answers before it has somewhere to write."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = server.s3(retries={"mode": "standard", "total_max_attempts": 1})

    def writes() -> bool:
        try:
            if not any(bucket["Name"] == "ready" for bucket in client.list_buckets()["Buckets"]):
                client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError):
            return False
        return True

    try:
        _until(writes, server.process, server.log)
    finally:
        client.close()


@cache
def _client(server: Server) -> "S3Client":
    return server.s3()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """SeaweedFS for all tests of this process; each takes a bucket of its own. Not to be stopped or frozen."""
    with seaweed_server(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture(name="moto_server", scope="session")
def _moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Moto's S3 and SQS for all tests of this process; each takes a bucket of its own. Not to be stopped or frozen."""
    with moto_server(tmp_path_factory.mktemp("moto")) as server:
        yield server
