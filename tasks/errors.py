"""Every error that `stockmeta` raises on purpose.

    StockmetaError
    ├── ImageFault          the image is at fault
    │   ├── Rejected        permanent; ends as a record with the reason
    │   └── Crashed         it brought the process down that worked on it alone; the third time ends as a record
    ├── Unavailable         the outside world is at fault; worth another try; never ends as a record
    ├── Vanished            the object is gone
    │   └── Replaced        it is there, with another content than the one that was asked for
    ├── Conflict            somebody else wrote the sidecar first
    └── ConfigurationError  the operator has to change something; says what

Anything else that is raised is a bug and shows as a traceback.
"""

from enum import StrEnum


class StockmetaError(Exception):
    """Base of the tree."""


class Reason(StrEnum):
    """Why an image was rejected, or failed; part of the sidecar and of the metrics, so wire format."""

    EMPTY = "empty_file"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    UNSUPPORTED = "unsupported_format"
    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    DECODER_CRASHED = "decoder_crashed"
    DECODER_TIMEOUT = "decoder_timeout"
    DECODER_MEMORY = "decoder_out_of_memory"
    WORKER_CRASHED = "worker_crashed"
    WORKER_TIMEOUT = "worker_timeout"
    INTERNAL = "internal_error"
    KEY_TOO_LONG = "key_too_long"
    KEY_INVALID = "key_invalid"


class ImageFault(StockmetaError):
    """The image is at fault.

    Args:
        reason: the machine-readable cause.
        detail: one sentence that a person understands, without the image's key.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Rejected(ImageFault):
    """The image is at fault, and would be again."""


class Crashed(ImageFault):
    """The image brought down the process that worked on it alone, or kept it too long; counted, and tried again."""


class Unavailable(StockmetaError):
    """A store, broker or device did not answer; try again later."""


class Vanished(StockmetaError):
    """The object is gone, or (`Replaced`) is no longer the one that was referred to."""


class Replaced(Vanished):
    """The object is there, with another content than the one that was asked for."""


class Conflict(StockmetaError):
    """A conditional write was refused: what it was to replace has changed."""


class ConfigurationError(StockmetaError):
    """Something that only the operator can put right; the message says what and how."""
