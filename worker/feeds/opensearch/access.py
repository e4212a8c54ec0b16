"""How a cluster is reached, and how long it is waited for."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from tasks.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Access:
    """Where a cluster is, and who we are there.

    Attributes:
        url: `https://host:9200`, maybe with a path; never with a name or password in it, since URLs end up in logs.
        ca: certificates to trust, PEM; by default those of the system.

    Raises:
        ConfigurationError: for a URL that is none, or has credentials in it; for a user without a password.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError:
            raise ConfigurationError(
                "STOCKMETA_OPENSEARCH_URL is no URL; such as https://search.internal:9200"
            ) from None
        if parts.username is not None or parts.password is not None:
            raise ConfigurationError(
                "STOCKMETA_OPENSEARCH_URL has a name or a password in it, and URLs are logged; give them as "
                "STOCKMETA_OPENSEARCH_USER and STOCKMETA_OPENSEARCH_PASSWORD"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigurationError(
                f"STOCKMETA_OPENSEARCH_URL={self.url!r} has to be like http://localhost:9200 or https://host/path"
            )
        if (self.user is None) != (self.password is None):
            raise ConfigurationError("STOCKMETA_OPENSEARCH_USER and STOCKMETA_OPENSEARCH_PASSWORD go together")
        if not _is_text(self.user) or not _is_text(self.password):
            raise ConfigurationError("STOCKMETA_OPENSEARCH_USER and STOCKMETA_OPENSEARCH_PASSWORD have to be UTF-8")
        if ":" in (self.user or ""):
            # What is before the first colon is the name (RFC 7617, 2).
            raise ConfigurationError("STOCKMETA_OPENSEARCH_USER has a colon in it, which no name of a user can have")
        if self.ca is not None and not self.ca.is_file():
            raise ConfigurationError(f"STOCKMETA_OPENSEARCH_CA={str(self.ca)!r} is no file")


def _is_text(value: str | None) -> bool:
    """Whether it was UTF-8 in the environment: bytes that are not become halves of surrogate pairs."""
    return value is None or not any("\ud800" <= character <= "\udfff" for character in value)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried, and how long is waited.

    Attributes:
        attempts: in a row without any success, before it is given up.
        first: seconds of the first pause; each is up to twice as long as the one before, at most `longest`.
        connect: seconds that a connection may take; `read` is how long an answer may take.
        sleep: how to wait; whoever may be told to end waits for that instead, and says so by a true value.
    """

    attempts: int = 6
    first: float = 0.5
    longest: float = 30.0
    connect: float = 5.0
    read: float = 60.0
    sleep: Callable[[float], object] = time.sleep

    def pause(self, failures: int, retry_after: float | None = None) -> bool:
        """Wait after so many failures in a row, at least as long as the server asked for, within `longest`.

        A random part keeps several feeds from coming back at the same moment. Returns whether it is time to end.
        """
        seconds = min(self.longest, self.first * 2 ** (failures - 1)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        return bool(self.sleep(max(seconds, min(retry_after or 0.0, self.longest))))


def seconds_of(retry_after: str | None) -> float | None:
    """What a `Retry-After` header says: seconds, or a date (RFC 9110, 10.2.3); `None` where it says nothing."""
    if not retry_after:
        return None
    with suppress(ValueError):
        return max(0.0, float(retry_after))
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
