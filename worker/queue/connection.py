"""A Redis client for the broker that Celery uses, and Redis's errors in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlencode, urlsplit

from kombu.exceptions import KombuError
from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.errors import ConfigurationError, Unavailable
from worker.celery_settings import celery_settings
from worker.settings import Settings

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (exceptions.OutOfMemoryError, "Redis is full (maxmemory)"),
    (exceptions.AuthenticationError, "Redis refused the user or the password"),
    (exceptions.NoPermissionError, "Redis does not allow this user what the queue needs"),
    (exceptions.ReadOnlyError, "Redis is a read-only replica"),
    (exceptions.BusyLoadingError, "Redis is still loading its data"),
    (exceptions.TimeoutError, "Redis did not answer in time"),
    (TimeoutError, "Redis did not answer in time"),
    (exceptions.ConnectionError, "Redis cannot be reached, or hung up"),
    (OSError, "Redis cannot be reached, or hung up"),
)


def connect(settings: Settings) -> Redis:
    """A client of the settings' broker, with Celery's time-outs; it connects when it is first used.

    Raises:
        ConfigurationError: no broker, or one that is no Redis.
    """
    options = celery_settings(settings)["broker_transport_options"]
    assert settings.broker_url is not None
    url = _redis_url(settings.broker_url.get_secret_value())
    names = ("socket_timeout",) if url.startswith("unix:") else _TIMEOUTS
    return Redis.from_url(
        url,
        decode_responses=True,
        # No hidden retries: they would count a failure twice, and wait three times as long for a frozen Redis.
        retry=Retry(NoBackoff(), 0),
        # Nor is it tried again after these, but the connection is closed: after a failover the address is another
        # server's, and the old one, a replica now, keeps its connections.
        retry_on_error=[exceptions.ReadOnlyError],
        **{name: options[name] for name in names},
    )


_TIMEOUTS = ("socket_timeout", "socket_connect_timeout", "socket_keepalive")


def _redis_url(broker: str) -> str:
    """Kombu's spelling of a broker's URL, in redis-py's."""
    parts = urlsplit(broker)
    query = dict(parse_qsl(parts.query))
    if parts.scheme == "redis+socket":
        query["db"] = query.pop("virtual_host", "0")
        # Not `geturl`: of a scheme that it does not know it leaves out an empty host's slashes.
        return f"unix://{parts.netloc}{parts.path}?{urlencode(query)}"
    if parts.scheme not in ("redis", "rediss"):
        raise ConfigurationError("STOCKMETA_BROKER_URL has to begin with redis://, rediss:// or redis+socket://")
    if "ssl_cert_reqs" in query:
        query["ssl_cert_reqs"] = query["ssl_cert_reqs"].removeprefix("CERT_").lower()
    return parts._replace(query=urlencode(query)).geturl()


@contextmanager
def redis_errors(what: str) -> Iterator[None]:
    """Turn what redis-py, kombu and sockets raise in the block into `Unavailable`, saying what did not work and why.

    The text names neither the URL nor the password.
    """
    try:
        yield
    except (exceptions.RedisError, KombuError, OSError) as error:
        raise Unavailable(f"{what}: {_in_words(error)}") from error


def _in_words(error: BaseException) -> str:
    # kombu wraps what redis-py raised.
    cause = error.__cause__ if isinstance(error, KombuError) and error.__cause__ else error
    for kind, words in _WORDS:
        if isinstance(cause, kind):
            return words
    # The server's own words, such as MISCONF when its disk is full.
    return f"Redis says: {cause}" if isinstance(cause, exceptions.ResponseError) else type(cause).__name__
