"""What may be a label of a metric: all of it is known beforehand."""

from collections.abc import Iterable

from tasks.errors import Reason
from tasks.records import Status
from worker.events.intake import Drop

OTHER = "other"
STATUSES = frozenset(Status)
REASONS = frozenset(Reason) | {
    "",
    "no_evidence",
    "vanished",
    "replaced",
    "conflict",
    "unavailable",
    "failed",
    "internal_error",
}
STAGES = frozenset({"fetch", "decode", "encode", "caption", "commit"})
SOURCES = frozenset({"sqs", "webhook", "folder"})
VERDICTS = frozenset(Drop) | {"accepted"}


def known(value: str, values: Iterable[str]) -> str:
    """The value if it is one of those, else `other`: whatever comes from outside would be a time series each."""
    return value if value in values else OTHER
