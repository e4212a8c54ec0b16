"""A bucket's client: how botocore is told to connect, to time out and to try again."""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.handlers import add_expect_header
from botocore.loaders import Loader, create_loader
from botocore.utils import parse_timestamp

from tasks.errors import ConfigurationError
from worker.storage.counted import Meter
from worker.storage.s3_errors import translate
from worker.storage.s3_lean import LeanRequests

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

RENEW_SECONDS = 5.0
"""Credentials are looked for anew at most so often, after the store refused those in use."""


@dataclass(frozen=True, slots=True)
class S3Options:
    """How to reach a store.

    Attributes:
        endpoint: URL; `None` is Amazon's.
        region: `None` is what boto3 finds.
        addressing: whether the bucket is a part of the path or of the host's name.
        checksums: whether requests carry checksums that S3 does not demand.
        connect_seconds: how long a connection may take.
        read_seconds: how long the store may be silent.
        attempts: how often a request is tried.
        connections: how many are kept open; as many as there are threads that use the store.
        order: in which the store lists; `auto` asks it.
    """

    endpoint: str | None = None
    region: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"
    checksums: Literal["when_supported", "when_required"] = "when_supported"
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    attempts: int = 4
    connections: int = 10
    order: Literal["auto", "bytes", "path"] = "auto"


class Connection:
    """One client for all threads, replaced when its credentials no longer hold and others are found.

    Raises:
        ConfigurationError: options of which no client can be made.
    """

    def __init__(self, bucket: str, options: S3Options, meter: Meter) -> None:
        self._bucket, self._options, self._meter = bucket, options, meter
        self._lock = Lock()
        self.client, self._keys = self._make()
        self._made = monotonic()
        self.lean = self._lean()

    def renew(self, refused: "S3Client") -> bool:
        """Whether there is a client with other credentials than `refused` has, now in `client`.

        boto3 renews by itself what has an expiry date. This is for a file that somebody wrote anew.
        """
        with self._lock:
            if self.client is not refused:
                return True
            if monotonic() - self._made < RENEW_SECONDS:
                return False
            self._made = monotonic()
            client, keys = self._make()
            if keys == self._keys:
                client.close()
                return False
            # The refused client is not closed: other threads may be using it.
            self.client, self._keys = client, keys
            self.lean = self._lean()
            return True

    def _lean(self) -> LeanRequests:
        checksums = self._options.checksums == "when_supported"
        return LeanRequests(self.client, self._bucket, self._credentials, self._meter, checksums=checksums)

    def _make(self) -> "tuple[S3Client, Any]":
        options = self._options
        config = Config(
            region_name=options.region,
            connect_timeout=options.connect_seconds,
            read_timeout=options.read_seconds,
            max_pool_connections=options.connections,
            # Tries again what did not arrive (resets, time-outs), 500, 502, 503, 504 and "slow down", with growing and
            # random pauses; gives up sooner when most requests fail.
            retries={"mode": "standard", "total_max_attempts": options.attempts},
            # Firewalls forget connections that are idle while a model loads.
            tcp_keepalive=True,
            # botocore's own is composed anew for each request, a fifth of its processor time.
            user_agent=f"stockmeta/{version('stockmeta')} Boto3/{boto3.__version__}",
            # Parameters are our own, and checking them costs processor time.
            parameter_validation=False,
            s3={"addressing_style": options.addressing},
            request_checksum_calculation=options.checksums,
            response_checksum_validation=options.checksums,
        )
        try:
            core = botocore.session.Session()
            core.register_component("data_loader", _loader())
            # Nobody here reads times, and parsing one is a tenth of a request's processor time.
            core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_as_written)
            session = boto3.session.Session(botocore_session=core)
            client = session.client("s3", endpoint_url=options.endpoint, config=config)
            # "Expect: 100-continue" costs a sidecar of some kilobytes a second round trip.
            client.meta.events.unregister("before-call.s3", add_expect_header)
            # Once for every try.
            client.meta.events.register("before-send.s3", self._sent)
            client.meta.events.register("response-received.s3", self._received)
            credentials = self._credentials = session.get_credentials()
            return client, credentials and credentials.get_frozen_credentials()
        except BotoCoreError as error:
            raise ConfigurationError(str(translate(error, self._bucket, ""))) from error
        except ValueError as error:
            # botocore's words for an endpoint or a region that is none.
            raise ConfigurationError(
                f"s3://{self._bucket}: no client can be made; check STOCKMETA_S3_ENDPOINT (a URL such as "
                "https://store.example:9000) and STOCKMETA_S3_REGION"
            ) from error

    def _sent(self, request: Any, **_: Any) -> None:
        self._meter.sent(request.method, request.url, int(request.headers.get("Content-Length") or 0))

    def _received(self, response_dict: Any, **_: Any) -> None:
        # Of an object it is a stream, which whoever reads it counts.
        body = response_dict and response_dict.get("body")
        self._meter.received(len(body) if isinstance(body, bytes) else 0)


@cache
def _loader() -> Loader:
    """What botocore reads from its files about S3, read once."""
    return create_loader()


def _as_written(value: Any) -> Any:
    # Numbers are what services for credentials may send, and these are read.
    return value if isinstance(value, str) else parse_timestamp(value)
