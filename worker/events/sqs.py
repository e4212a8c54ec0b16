"""Events out of an SQS queue: long poll, to our queue, and only then deleted there."""

import logging
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from tasks.errors import ConfigurationError, Unavailable
from worker.events.backoff import growing
from worker.events.intake import Drop, Intake
from worker.events.records import MalformedError, Notification, parse

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)

POLL_SECONDS = 20
"""SQS allows no longer; an empty answer costs as much as a full one."""
BATCH = 10
"""SQS gives no more at once."""

_AMAZON = re.compile(r"(?:^|\.)sqs\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?$")
_WRONG_QUEUE = frozenset({"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "InvalidAddress"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where an SQS queue is.

    Attributes:
        endpoint: of the service, scheme and host.
        region: if the URL tells it.
    """

    endpoint: str
    region: str | None


def address(queue_url: str) -> Address:
    """What a queue's URL tells. Raises `ConfigurationError` for what is none."""
    parts = urlsplit(queue_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(parts.path) < 2:
        raise ConfigurationError(
            f"{queue_url!r} is not the URL of a queue; those look like https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"
        )
    region = _AMAZON.search(parts.hostname)
    return Address(f"{parts.scheme}://{parts.netloc}", region[1] if region else None)


def connect(queue_url: str, region: str | None) -> "SQSClient":
    """A client for that queue; credentials are found by boto3, as always.

    Args:
        queue_url: as the console and `create-queue` show it.
        region: where the URL tells none.

    Raises:
        ConfigurationError: no URL of a queue, or no region.
    """
    import boto3
    from botocore.config import Config

    where = address(queue_url)
    # The poll may be silent for as long as it lasts, and its trials are ours.
    config = Config(
        connect_timeout=5, read_timeout=POLL_SECONDS + 10, retries={"mode": "standard", "total_max_attempts": 2}
    )
    try:
        return boto3.session.Session().client(
            "sqs", endpoint_url=where.endpoint, region_name=where.region or region, config=config
        )
    except BotoCoreError as error:
        raise ConfigurationError(f"SQS cannot be used: {error} (STOCKMETA_S3_REGION names a region)") from error


class SqsSource:
    """Listens to one queue.

    A message is deleted only when what it says is in our queue, or says nothing of interest. While our queue is away
    the messages in hand are tried again, and no others are fetched: fetching counts towards the dead-letter queue. What
    nobody can read is never deleted: it may have been meant for somebody else, and the queue's redrive policy moves it
    to where people look.

    Args:
        client: for SQS; used by one thread at a time.
        queue_url: the queue.
        intake: takes what comes.
        stop: ends `run` when set.
    """

    def __init__(self, client: "SQSClient", queue_url: str, intake: Intake, stop: threading.Event) -> None:
        self._client = client
        self._url = queue_url
        self._intake = intake
        self._stop = stop
        self._polling = threading.Event()
        self._strange = False

    def check(self) -> None:
        """Look at the queue once. Raises `ConfigurationError` if there is none; what may pass is only logged."""
        try:
            answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["RedrivePolicy"])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _WRONG_QUEUE:
                raise ConfigurationError(f"there is no SQS queue {self._url!r}, or not for this account") from error
            logger.warning("the SQS queue cannot be looked at, going on: %s", _said(error))
        except (BotoCoreError, HTTPClientError) as error:
            logger.warning("the SQS queue cannot be looked at, going on: %s", _said(error))
        else:
            if "RedrivePolicy" not in answer.get("Attributes", {}):
                logger.warning("the SQS queue has no dead-letter queue: messages that nobody can read stay in it")

    def run(self) -> None:
        """Listen until `stop` is set; then end within seconds, whatever is under way."""
        # A poll cannot be interrupted, so it has a thread of its own, which may be left behind while it only waits:
        # what SQS hands out then comes again.
        failed: list[BaseException] = []
        listening = threading.Thread(target=self._listen, args=(failed,), name="sqs", daemon=True)
        listening.start()
        while listening.is_alive() and not self._stop.wait(0.2):
            pass
        while listening.is_alive() and not self._polling.is_set():
            listening.join(0.05)
        if failed:
            raise failed[0]

    def _listen(self, failed: list[BaseException]) -> None:
        try:
            for messages in self._batches():
                self._handle(messages)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            failed.append(error)

    def _batches(self) -> Iterator[Sequence["MessageTypeDef"]]:
        waits = growing()
        while not self._stop.is_set():
            try:
                with self._waiting():
                    answer = self._client.receive_message(
                        QueueUrl=self._url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=POLL_SECONDS
                    )
            except (ClientError, BotoCoreError, HTTPClientError) as error:
                seconds = next(waits)
                logger.warning("SQS gives no messages, trying again in %.0f s: %s", seconds, _said(error))
                self._stop.wait(seconds)
                continue
            waits = growing()
            yield answer.get("Messages", [])

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._polling.set()
        try:
            yield
        finally:
            self._polling.clear()

    def _handle(self, messages: Sequence["MessageTypeDef"]) -> None:
        total, read = Notification(), []
        for message in messages:
            found = self._parsed(message)
            total += found
            if not found.unknown:
                read.append(message)
        if self._taken(total):
            self._intake.tally.drop(Drop.IGNORED, total.ignored)
            self._intake.tally.drop(Drop.UNKNOWN, total.unknown)
            self._delete(read)

    def _parsed(self, message: "MessageTypeDef") -> Notification:
        try:
            found = parse(message.get("Body", ""))
        except MalformedError as error:
            found, why = Notification(unknown=1), str(error)
        else:
            why = "a form that is not known"
        if found.unknown and not self._strange:
            # Once: without a dead-letter queue it comes again and again.
            self._strange = True
            logger.warning(
                "an SQS message is left in the queue: %s", why, extra={"message_id": message.get("MessageId")}
            )
        return found

    def _taken(self, notification: Notification) -> bool:
        """Send, for as long as it takes; false if it is time to stop."""
        for seconds in growing():
            try:
                self._intake.take(notification.refs)
            except Unavailable as error:
                logger.warning("events are kept in SQS, trying again in %.0f s: %s", seconds, error)
                if self._stop.wait(seconds):
                    return False
            else:
                return True
        raise AssertionError("waits do not end")

    def _delete(self, messages: Iterable["MessageTypeDef"]) -> None:
        entries = [{"Id": str(at), "ReceiptHandle": m["ReceiptHandle"]} for at, m in enumerate(messages)]
        if not entries:
            return
        try:
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]  # it is what the stub asks for
        except (ClientError, BotoCoreError, HTTPClientError) as error:
            logger.warning("%d SQS messages were not deleted and come again: %s", len(entries), _said(error))
            return
        if failed := answer.get("Failed"):
            logger.warning("%d SQS messages were not deleted and come again: %s", len(failed), failed[0].get("Code"))


_HINTS = (
    (
        frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}),
        "the listener needs sqs:ReceiveMessage and sqs:DeleteMessage on the queue",
    ),
    (frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"}), "the credentials have expired"),
    (
        frozenset({"InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"}),
        "the credentials are not valid there",
    ),
    (_WRONG_QUEUE, "the queue is gone, or was never there"),
)


def _said(error: Exception) -> str:
    """In words that hold no credentials: the code, not the service's own text, which may quote the request."""
    if not isinstance(error, ClientError):
        return f"{type(error).__name__}: {error}"
    code = error.response.get("Error", {}).get("Code", "error")
    hint = next((f" ({hint})" for codes, hint in _HINTS if code in codes), "")
    return f"{code} at {error.operation_name}{hint}"
