"""Log lines: one JSON object each, or text. What comes from outside cannot forge a line, and secrets are cut out."""

import json
import logging
import re
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import Any, Literal

FIELDS = (
    "bucket",
    "key",
    "etag",
    "generation",
    "attempt",
    "queue",
    "reason",
    "images",
    "message_id",
    "worker",
    "seconds",
)
"""What a line may carry from `extra`, and nothing else: Celery, for one, adds the whole message there."""

LIBRARIES = ("asyncio", "boto3", "botocore", "celery", "kombu", "PIL", "s3transfer", "urllib3", "uvicorn", "watchfiles")
"""Loggers that say nothing below WARNING: at INFO, and more so at DEBUG, some print requests with their headers."""

TALKATIVE = ("opensearch",)
"""Loggers that give a traceback for each request that fails, which our own client tells in a line."""

MOST_CHARACTERS = 16_384
"""Of a message, and of a traceback: what is cut off is said."""

HIDDEN = "***"
_SECRETS = (
    # The password of a broker may hold a slash that nobody escaped, so everything up to the last @ goes.
    (re.compile(r"((?:redis|rediss|redis\+socket|valkey|sentinel|amqp|amqps)://)[^\s\"'<>]*@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(://)[^\s/?#@\"'<>]*@"), rf"\1{HIDDEN}@"),
    (
        re.compile(
            r"(?i)\b((?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId)(?:=|%3D))[^&\s\"'<>]+"
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(Bearer|Basic)\s+[\w+/=.~-]{4,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"AWS4-HMAC-SHA256 [^\r\n]*"), f"AWS4-HMAC-SHA256 {HIDDEN}"),
    (
        re.compile(
            r"(?i)((?:password|passwd|secret|secret_?(?:access_?)?key|session_?token|api_?key|webhook_secret)"
            r"[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&}]+"
        ),
        rf"\1{HIDDEN}",
    ),
)


def scrub(text: str) -> str:
    """The text without passwords, tokens and signatures, as far as they can be told: a second line of defence."""
    if len(text) > MOST_CHARACTERS:
        # Before the patterns, so that no text keeps them busy.
        text = f"{text[:MOST_CHARACTERS]} [{len(text) - MOST_CHARACTERS} more characters]"
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def visible(text: str) -> str:
    """The text with everything that a terminal would act on, or not show, escaped as Python does: one line, always."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


class JsonFormatter(logging.Formatter):
    """One ASCII line of JSON: time (UTC), level, logger, event, those of `FIELDS` that are given, and the exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": scrub(record.getMessage()),
            **_fields(record),
        }
        if trace := _trace(record):
            line["exception"] = trace
        # ASCII: nothing that a terminal or a viewer of logs could take for a command, or for the end of a line.
        return json.dumps({n: _whole(v) for n, v in line.items()}, ensure_ascii=True, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, logger, message, `name=value` for those of `FIELDS` that are given; tracebacks are indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback below it."""
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        words = [f"{now} {record.levelname} {record.name}: {visible(scrub(record.getMessage()))}"]
        words += [f"{name}={visible(json.dumps(value, ensure_ascii=False))}" for name, value in _fields(record).items()]
        # Indented: a line that begins like a line of the log would not be one.
        trace = "".join(f"\n    {visible(line)}" for line in _trace(record).splitlines())
        return " ".join(words) + trace


class _Stderr(logging.Handler):
    """Standard error as it is now, not as it was when logging was set up."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - as every handler: what cannot be logged must not stop the work
            self.handleError(record)


def configure(style: Literal["text", "json"] = "text", level: int = logging.WARNING) -> None:
    """Send the logs of this process, all libraries included, to standard error. May be called again."""
    handler = _Stderr()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Stderr)]:
        root.removeHandler(old)
    root.addHandler(handler)
    # Warnings too: they would come as several lines of their own.
    logging.captureWarnings(True)
    root.setLevel(level)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given = {name: record.__dict__[name] for name in FIELDS if record.__dict__.get(name) is not None}
    # A key is the image's name, and stays as it is: scrubbed, it could not be found again.
    return {n: scrub(v) if isinstance(v, str) and n not in ("bucket", "key") else v for n, v in given.items()}


def _whole(value: Any) -> Any:
    # Half a surrogate pair, as a file's name may have, is no JSON to strict readers.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _trace(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[1]:
        return scrub("".join(traceback.format_exception(record.exc_info[1])).rstrip("\n"))
    return ""
