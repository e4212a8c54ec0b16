"""botocore's errors in our words. What S3 says of itself is in its error code; 404 and 412 mean what was asked for.

Only codes and statuses are quoted: messages and URLs of a store may hold what belongs in no log.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    FlexibleChecksumError,
    IncompleteReadError,
    InvalidConfigError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from tasks.errors import Conflict, Reason, Rejected, Replaced, StockmetaError, Unavailable, Vanished
from worker.storage.s3_keys import ODD

BROKEN_OFF = (
    ReadTimeoutError,
    ResponseStreamingError,
    IncompleteReadError,
    FlexibleChecksumError,
    # botocore maps urllib3's errors while it waits for an answer, and only some of them while a body comes.
    HTTPError,
    OSError,
)
"""Errors while a body is read, after which reading on is worth a try."""

STALE = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken", "TokenRefreshRequired"}
)
"""Codes that mean: other credentials may have been put in place since."""

INVALID_KEY = frozenset({"InvalidURI", "InvalidObjectName", "XMinioInvalidObjectName"})
"""Codes for a key that a store cannot hold. SeaweedFS says `InvalidRequest`, which may mean anything else."""

ADVICE = {
    "AccessDenied": "access denied; grant the actions that docs/settings.md lists (without s3:ListBucket a missing "
    "object looks like this, too)",
    "AllAccessDisabled": "the account may not use this bucket",
    "AuthorizationHeaderMalformed": "the region is wrong; set STOCKMETA_S3_REGION to the bucket's",
    "ExpiredToken": "the session token has expired; renew the credentials",
    "ExpiredTokenException": "the session token has expired; renew the credentials",
    "IllegalLocationConstraintException": "the region is wrong; set STOCKMETA_S3_REGION to the bucket's",
    "InvalidAccessKeyId": "the store does not know the access key; check the credentials and STOCKMETA_S3_ENDPOINT",
    "InvalidBucketName": "the store refuses the bucket's name; check STOCKMETA_LIBRARY and STOCKMETA_OUTPUT",
    "InvalidObjectState": "the object is archived; restore it",
    "InvalidToken": "the session token is not valid; renew the credentials",
    "NoSuchBucket": "there is no such bucket; check STOCKMETA_LIBRARY, STOCKMETA_OUTPUT and STOCKMETA_S3_ENDPOINT",
    "NotImplemented": "the store does not know a header; try STOCKMETA_S3_CHECKSUMS=when_required",
    "PermanentRedirect": "the region is wrong; set STOCKMETA_S3_REGION to the bucket's",
    "QuotaExceeded": "the store is full",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
    "SignatureDoesNotMatch": "the secret key does not fit the access key; check the credentials",
    "SlowDown": "the store asks for fewer requests",
    "TokenRefreshRequired": "the session token has expired; renew the credentials",
    "XAmzContentChecksumMismatch": "what arrived has another checksum",
}
"""What to do, by error code."""

FAILURES: dict[type[Exception], str] = {
    # The first that fits counts: subclasses before their bases.
    NoCredentialsError: "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or any other of "
    "boto3's ways",
    PartialCredentialsError: "a part of the credentials is missing",
    CredentialRetrievalError: "the credentials could not be fetched from where they are configured",
    TokenRetrievalError: "the sign-on token could not be fetched or has expired",
    NoAuthTokenError: "the sign-on token is missing",
    ProfileNotFound: "the profile that AWS_PROFILE names does not exist",
    ConfigNotFound: "the file that AWS_CONFIG_FILE names does not exist",
    ConfigParseError: "the AWS configuration file cannot be read",
    InvalidConfigError: "the AWS configuration file is wrong",
    ProxyConnectionError: "the proxy does not answer",
    SSLError: "the encrypted connection failed; check the certificate and STOCKMETA_S3_ENDPOINT",
    ConnectTimeoutError: "no connection in time; check the network and STOCKMETA_S3_ENDPOINT",
    EndpointConnectionError: "nothing answers; check the network and STOCKMETA_S3_ENDPOINT",
    ReadTimeoutError: "the store fell silent",
    FlexibleChecksumError: "what arrived has another checksum; where the store makes them wrong, set "
    "STOCKMETA_S3_CHECKSUMS=when_required",
}
"""What to do, by botocore's exception; the others are told by their names."""


def code(error: Exception) -> str:
    """S3's error code, or the HTTP status in digits where the answer had no body; empty for other errors."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def status(error: Exception) -> int:
    """The HTTP status, 0 where there was no answer."""
    if not isinstance(error, ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def retried(error: ClientError) -> bool:
    """Whether botocore had sent the request more than once: an answer may have been lost, and with it a success."""
    return int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) > 0


def missing(error: Exception) -> bool:
    """Whether the object is not there; of a missing bucket this is not true."""
    return status(error) == 404 and code(error) != "NoSuchBucket"


def refused(error: Exception) -> bool:
    """Whether a condition did not hold. If-Match on a missing object is 404 on Amazon's, 412 on SeaweedFS."""
    return missing(error) or status(error) == 412 or code(error) in ("PreconditionFailed", "ConditionalRequestConflict")


@contextmanager
def reporting(bucket: str, key: str, *, writing: bool = False) -> Iterator[None]:
    """Botocore's and urllib3's errors as ours. `key` may be a prefix or empty."""
    try:
        yield
    except (BotoCoreError, ClientError, HTTPError, ResponseParserError, OSError) as error:
        raise translate(error, bucket, key, writing=writing) from error


def translate(error: Exception, bucket: str, key: str, *, writing: bool = False) -> StockmetaError:
    """The error of ours that one of botocore's stands for."""
    where = f"s3://{bucket}: {key!r}" if key else f"s3://{bucket}"
    if refused(error):
        if writing:
            return Conflict(f"{where} was written by somebody else")
        return Vanished(f"{where} is gone") if missing(error) else Replaced(f"{where} was replaced")
    if code(error) == "KeyTooLongError":
        return Rejected(Reason.KEY_TOO_LONG, "the store says that the key is too long")
    if code(error) in INVALID_KEY or (code(error) == "InvalidRequest" and ODD.search(key)):
        if writing:
            return Rejected(Reason.KEY_INVALID, "the store cannot hold such a key")
        return Vanished(f"{where}: the store cannot hold such a key")
    if isinstance(error, ClientError):
        advice = ADVICE.get(code(error), "the store failed" if status(error) >= 500 else "the store refused")
        return Unavailable(f"{where}: {advice} ({code(error)}, status {status(error)})")
    for kind, failure in FAILURES.items():
        if isinstance(error, kind):
            return Unavailable(f"{where}: {failure}")
    return Unavailable(f"{where}: the connection failed ({type(error).__name__})")
