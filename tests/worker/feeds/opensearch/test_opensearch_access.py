"""Who may be asked, how long, and what is never told."""

import json
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from worker.feeds.opensearch.access import Access, Patience, seconds_of
from worker.feeds.opensearch.refusals import Refusal, blocked
from worker.feeds.opensearch.sink import OpenSearchSink

SECRET = "hunter2"  # noqa: S105 - no password of anything


@pytest.mark.parametrize(
    "url",
    [
        "localhost:9200",
        "ftp://host",
        "https://",
        "http://host:port",
        "http://host:99999",
        "https://host/?a=b",
        "https://host/#x",
        "http://[::1",
    ],
)
def test_what_is_no_url_of_a_cluster_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="STOCKMETA_OPENSEARCH_URL"):
        Access(url)


@pytest.mark.parametrize("url", [f"https://me:{SECRET}@host:9200", f"https://:{SECRET}@host", f"http://{SECRET}@host"])
def test_a_password_in_the_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="STOCKMETA_OPENSEARCH_USER") as refused:
        Access(url)
    assert SECRET not in str(refused.value)


def test_a_password_is_not_shown() -> None:
    assert SECRET not in repr(Access("https://host", "me", SECRET))


def test_what_is_given_by_halves_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="go together"):
        Access("https://host", "me")
    with pytest.raises(ConfigurationError, match="go together"):
        Access("https://host", password=SECRET)
    with pytest.raises(ConfigurationError, match="is no file"):
        Access("https://host", ca=tmp_path / "ca.pem")


@pytest.mark.parametrize(("user", "password"), [("a\udcff", SECRET), ("me", f"{SECRET}\udcff"), ("a:b", SECRET)])
def test_what_cannot_be_sent_as_name_and_password_is_refused_without_repeating_it(user: str, password: str) -> None:
    with pytest.raises(ConfigurationError, match="STOCKMETA_OPENSEARCH_USER") as refused:
        Access("https://host", user, password)
    assert SECRET not in str(refused.value)


def test_pauses_grow_up_to_the_longest() -> None:
    slept: list[float] = []
    patience = Patience(first=1.0, longest=10.0, sleep=slept.append)
    for failures in range(1, 8):
        patience.pause(failures)
    for pause, whole in zip(slept, [1, 2, 4, 8, 10, 10, 10], strict=True):
        assert whole / 2 <= pause <= whole


def test_a_pause_is_as_long_as_the_server_asks_within_the_longest() -> None:
    slept: list[float] = []
    patience = Patience(first=0.1, longest=10.0, sleep=slept.append)
    patience.pause(1, 7.0)
    patience.pause(1, 3600.0)
    assert slept == [7.0, 10.0]


def test_retry_after_is_seconds_or_a_date() -> None:
    assert seconds_of("7") == 7.0 and seconds_of("-1") == 0.0
    later = seconds_of(format_datetime(datetime.now(UTC) + timedelta(seconds=60)))
    assert later is not None and 55 < later <= 60
    assert [seconds_of(text) for text in (None, "", "soon", "Fri, 99 Nov")] == [None] * 4


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        (
            '{"error":{"type":"t","reason":"r","caused_by":{"type":"u","reason":"because"}},"status":400}',
            "t",
            "r: because",
        ),
        ('{"error":{"type":"t","reason":"r","caused_by":{"reason":"r"}}}', "t", "r"),
        ('{"error":"alias [a] missing","status":404}', "", "alias [a] missing"),
        ('{"message":"Forbidden"}', "", "Forbidden"),
        ('{"Message":"User: anonymous is not authorized"}', "", "User: anonymous is not authorized"),
        ('{"status":503}', "", ""),
        ("<html>503\n Service Unavailable</html>", "", "<html>503 Service Unavailable</html>"),
        ("[1]", "", "[1]"),
        ("", "", ""),
    ],
)
def test_errors_are_read_whichever_form_they_have(text: str, kind: str, reason: str) -> None:
    refusal = Refusal.parsed(503, text, None)
    assert (refusal.kind, refusal.reason) == (kind, reason)
    assert refusal.status == 503 and str(refusal).startswith("503 ")


def test_a_cluster_that_is_not_ready_is_not_taken_for_a_full_disk() -> None:
    kind = "cluster_block_exception"
    assert blocked(kind, "blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];")
    assert blocked(
        kind, "[TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete]"
    )
    assert not blocked(kind, "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];")
    assert not blocked("security_exception", "read-only")


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "worker.feeds.opensearch.wire", raising=False)
    monkeypatch.setitem(sys.modules, "opensearchpy", None)
    with pytest.raises(ConfigurationError, match=r"\(opensearchpy\): pip install 'stockmeta\[opensearch\]'"):
        OpenSearchSink(Access("http://localhost"), "photos")


def test_the_example_role_is_json_of_a_role() -> None:
    role = json.loads((Path(__file__).parents[4] / "examples" / "opensearch-role.json").read_text(encoding="utf-8"))
    assert set(role) == {"cluster_permissions", "index_permissions"}
    (permissions,) = role["index_permissions"]
    assert all(pattern != "*" for pattern in permissions["index_patterns"])
