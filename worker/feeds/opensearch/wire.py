"""One request over opensearch-py: an answer, a `Refusal`, or `Broken`. The only module that imports opensearch-py."""

import gzip
from base64 import b64encode
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from opensearchpy import OpenSearch, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as NoConnection
from opensearchpy.exceptions import ImproperlyConfigured, SerializationError, SSLError, TransportError
from urllib3.util import Timeout

from tasks.errors import ConfigurationError
from worker.feeds.opensearch.access import Access, Patience, seconds_of
from worker.feeds.opensearch.refusals import Broken, Refusal

ANYTHING = range(300, 600)


class _Answered(TransportError):
    """An answer with a status that is no success, and its `Retry-After`, which opensearch-py would not tell."""

    def __init__(self, status: int, text: str, content_type: str | None, retry_after: str | None) -> None:
        super().__init__(status, text, content_type)
        self.refusal = Refusal.parsed(status, text, seconds_of(retry_after))


class _Connection(Urllib3HttpConnection):
    def perform_request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        timeout: int | float | None = None,
        ignore: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        status, told, text = super().perform_request(method, url, params, body, timeout, ANYTHING, headers)
        if status in ANYTHING and status not in ignore:
            raise _Answered(status, text, told.get("content-type"), told.get("retry-after"))
        return status, told, text

    def _gzip_compress(self, body: Any) -> bytes:
        # The library's level 9 costs ten times the processor time for a few per cent of bytes.
        return gzip.compress(body, compresslevel=1)


class Wire:
    """A cluster. One request at a time, tried once."""

    def __init__(self, access: Access, patience: Patience) -> None:
        parts = urlsplit(access.url)
        host = {"host": parts.hostname, "port": parts.port or (443 if parts.scheme == "https" else 80)}
        headers = {}
        if access.user is not None:
            # In UTF-8 (RFC 7617); the library would refuse whatever is not Latin-1.
            headers["authorization"] = "Basic " + b64encode(f"{access.user}:{access.password}".encode()).decode()
        try:
            self._client = OpenSearch(
                hosts=[host],
                connection_class=_Connection,
                use_ssl=parts.scheme == "https",
                url_prefix=parts.path.strip("/"),
                headers=headers,
                ca_certs=None if access.ca is None else str(access.ca),
                http_compress=True,
                timeout=Timeout(connect=patience.connect, read=patience.read),
                # What is tried again, and when, is decided in `client` and `bulk`.
                max_retries=0,
                retry_on_status=(),
            )
        except (ImproperlyConfigured, OSError) as error:
            raise ConfigurationError(f"no client for OpenSearch could be made: {error}") from error

    def send(self, method: str, path: str, params: Mapping[str, str], body: bytes | None) -> Any:
        """The answer, parsed. Raises `Refusal`, `Broken`, `ConfigurationError` (a certificate that is not trusted)."""
        # Given as `params`, some would mean something to the client instead: `timeout` for one.
        url = f"{path}?{urlencode(params)}" if params else path
        try:
            return self._client.transport.perform_request(method, url, body=body)
        except _Answered as answered:
            raise answered.refusal from None
        except SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error.info):
                raise ConfigurationError(
                    "the cluster's certificate is not trusted; STOCKMETA_OPENSEARCH_CA names the authority's, in PEM: "
                    f"{error.info}"
                ) from error
            raise Broken(str(error.info)) from error
        except NoConnection as error:
            raise Broken(str(error.info)) from error
        except (SerializationError, TransportError) as error:
            raise Broken(f"an answer that makes no sense: {error}"[:300]) from error

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
