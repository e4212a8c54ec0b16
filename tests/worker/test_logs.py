"""Log lines: parseable, unforgeable, without secrets."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import logs

HOSTILE = "a\n2026-01-01 ERROR root: forged\r\x1b[31m\x9b\u202e\u2028 녹색\ud800.jpg"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in logs.LIBRARIES}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("some").makeRecord(
        "some", logging.WARNING, __file__, 1, message, arguments, None, extra=extra
    )


def as_json(message: str, *arguments: object, **extra: object) -> dict[str, Any]:
    line = logs.JsonFormatter().format(record(message, *arguments, **extra))
    assert line.isascii()
    assert line.isprintable()
    data: dict[str, Any] = json.loads(line)
    data["event"].encode()
    return data


def test_a_line_says_when_how_bad_who_and_what() -> None:
    data = as_json("put off %d", 3, bucket="b", key="녹.jpg", generation="abc", attempt=2, reason="unavailable")
    assert data.pop("time").endswith("+00:00")
    assert data == {
        "level": "warning",
        "logger": "some",
        "event": "put off 3",
        "bucket": "b",
        "key": "녹.jpg",
        "generation": "abc",
        "attempt": 2,
        "reason": "unavailable",
    }


def test_what_is_not_a_field_is_left_out() -> None:
    assert "data" not in as_json("task received", data={"args": "the whole message"})


def test_a_hostile_key_stays_one_line_of_json() -> None:
    data = as_json("%s did not end", HOSTILE, key=HOSTILE)
    assert data["key"] == HOSTILE.replace("\ud800", "\\ud800")


def test_a_hostile_key_stays_one_line_of_text() -> None:
    line = logs.TextFormatter().format(record("%s did not end", HOSTILE, key=HOSTILE))
    assert line.isprintable()
    assert "녹색" in line
    line.encode()


@given(st.text(alphabet=st.characters()))
def test_no_text_leaves_its_line(text: str) -> None:
    as_json("%s", text, key=text)
    assert logs.TextFormatter().format(record("%s", text, key=text)).isprintable()


@pytest.mark.parametrize("formatter", [logs.JsonFormatter(), logs.TextFormatter()])
def test_a_traceback_is_there_and_cannot_forge_a_line(formatter: logging.Formatter) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        trouble = record("a bug")
        trouble.exc_info = (ValueError, error, error.__traceback__)
    text = formatter.format(trouble)
    assert "ValueError" in text
    assert __file__ in text
    first, *rest = text.split("\n")
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    if isinstance(formatter, logs.JsonFormatter):
        assert not rest
        assert "forged" in json.loads(first)["exception"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Cannot connect to redis://user:pass/word@host:6379/0.", "pass/word"),
        ("Cannot connect to rediss://:hunter2@host", "hunter2"),
        ("GET https://me:hunter2@store/bucket failed", "hunter2"),
        ("GET https://store/k?X-Amz-Date=1&X-Amz-Signature=0123abcd&x=1", "0123abcd"),
        ("https%3A//store/k%3FX-Amz-Signature%3D0123abcd", "0123abcd"),
        ("https://store/k?X-Amz-Credential=AKIAX%2F2026&a=1", "AKIAX"),
        ("https://store/k?AWSAccessKeyId=AKIAX&Signature=vjby%3D&Expires=1", "vjby"),
        ("'Authorization': b'AWS4-HMAC-SHA256 Credential=AKIAX/2026, Signature=0123abcd'", "0123abcd"),
        ("Authorization: Bearer sesame-open", "sesame-open"),
        ("aws_secret_access_key = hunter2", "hunter2"),
        ('{"password": "hunter2", "user": "me"}', "hunter2"),
        ("webhook_secret='hunter2'", "hunter2"),
        ("x-amz-security-token=hunter2", "hunter2"),
    ],
)
def test_secrets_are_cut_out(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in logs.scrub(text)
    assert secret not in logs.JsonFormatter().format(record("%s", text))
    assert secret not in logs.TextFormatter().format(record("%s", text, reason=text))


@pytest.mark.parametrize(
    "text", ["photos/me@home.jpg", "https://store/a@b", "the token: 5 of 6", "redis://host:6379/0"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert logs.scrub(text) == text


@pytest.mark.parametrize("unit", ["://", "redis://", "a", "Bearer ", "secret=", "X-Amz-Signature="])
def test_long_texts_are_cut_off_and_keep_nothing_busy(unit: str) -> None:
    # The time limit of the suite is the assertion: a pattern with a square in it would need minutes.
    scrubbed = logs.scrub(unit * 1_000_000)
    assert len(scrubbed) < 2 * logs.MOST_CHARACTERS
    assert scrubbed.endswith("more characters]")


def test_configured_logs_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", logging.INFO)
    logs.configure("json", logging.INFO)
    logging.getLogger("tasks.tag").info("hello", extra={"key": "k"})
    logging.getLogger("botocore.endpoint").info("a request with its headers")
    logging.getLogger("celery.worker").warning("a warning")
    out, err = capsys.readouterr()
    assert not out
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["hello", "a warning"]


def test_libraries_stay_silent_below_warning_when_everything_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", logging.DEBUG)
    for name in logs.LIBRARIES:
        logging.getLogger(name).info("secret")
    assert "secret" not in capsys.readouterr().err


def test_a_line_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure()
    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr("sys.stderr", None)
    logging.getLogger("some").error("nobody reads this")
