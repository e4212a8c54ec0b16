"""The Celery tasks, on an application without a broker: what is kept and what is dropped."""

import time
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Reject

from tasks.errors import Unavailable
from tasks.jobs import Delivery, suspect, tag
from tasks.messages import SENT, TagMessage
from tasks.records import ImageRef

MESSAGE = TagMessage((ImageRef("b", "k"),))


class Fake:
    """A service with workers that remember, or are `away`."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, TagMessage, Delivery]] = []
        self.away = False
        self.paused = 0.0
        self.name = ""

    @property
    def work(self) -> "Fake":
        self.name = "work"
        return self

    @property
    def suspects(self) -> "Fake":
        self.name = "suspects"
        return self

    def run(self, message: TagMessage, delivery: Delivery) -> None:
        if self.away:
            raise Unavailable("the queue is away")
        self.ran.append((self.name, message, delivery))

    def pause(self, seconds: float) -> None:
        self.paused += seconds


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    app = Celery("test")
    monkeypatch.setattr(app, "stockmeta", fake, raising=False)
    for task in (tag, suspect):
        monkeypatch.setattr(task, "_get_app", lambda: app, raising=False)
        monkeypatch.setattr(type(task), "app", app, raising=False)
    return fake


def deliver(task: Any, data: object, **info: object) -> None:
    task.push_request(delivery_info=info)
    try:
        task.run(data)
    finally:
        task.pop_request()


def test_a_message_reaches_its_worker_with_how_it_came(service: Fake) -> None:
    deliver(tag, MESSAGE.to_dict(), routing_key="uploads")
    deliver(suspect, MESSAGE.to_dict(), routing_key="suspects", redelivered=True)
    assert service.ran == [
        ("work", MESSAGE, Delivery("uploads", False)),
        ("suspects", MESSAGE, Delivery("suspects", True)),
    ]


def test_a_message_says_how_long_it_has_waited(service: Fake) -> None:
    tag.push_request(delivery_info={"routing_key": "uploads"}, **{SENT: time.time() - 7.0})
    try:
        tag.run(MESSAGE.to_dict())
    finally:
        tag.pop_request()
    [(_, _, delivery)] = service.ran
    assert delivery.waited == pytest.approx(7.0, abs=1.0)


def test_a_message_goes_back_when_what_is_left_of_it_can_go_nowhere(service: Fake) -> None:
    service.away = True
    with pytest.raises(Reject) as caught:
        deliver(tag, MESSAGE.to_dict(), routing_key="uploads")
    assert caught.value.requeue


def test_a_message_of_a_later_version_goes_back_after_a_pause(service: Fake) -> None:
    with pytest.raises(Reject) as caught:
        deliver(tag, {"v": 2}, routing_key="uploads")
    assert caught.value.requeue
    assert service.paused > 0


@pytest.mark.parametrize("data", [None, {}, "text\n\x1b[2J", {"v": 1, "refs": [{"bucket": 1}]}])
def test_what_is_no_message_is_logged_and_dropped(
    service: Fake, data: object, caplog: pytest.LogCaptureFixture
) -> None:
    deliver(tag, data, routing_key="uploads")
    assert service.ran == []
    assert "dropped" in caplog.text
    assert "\x1b" not in caplog.text
