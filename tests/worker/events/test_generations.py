import pytest

from tasks.errors import ConfigurationError, Unavailable
from tasks.generations.pointer import Current
from worker.events.generations import RecentCurrent


def test_the_pointer_is_read_once_in_a_while_and_holds_while_the_store_is_silent() -> None:
    answers: list[Current | Exception] = [
        Current("a" * 12),
        Current("b" * 12),
        Unavailable("silent"),
        ConfigurationError("unreadable"),
    ]
    asked = 0

    def read() -> Current:
        nonlocal asked
        asked += 1
        answer = answers[asked - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    recent = RecentCurrent(read, 5.0, lambda: clock[0])
    clock = [0.0]
    seen = []
    for clock[0] in (0.0, 4.9, 5.0, 9.9, 10.0, 15.0):
        seen.append(recent().serving)
    assert seen == ["a" * 12] * 2 + ["b" * 12] * 4
    assert asked == 4


def test_a_pointer_that_could_never_be_read_is_unavailable() -> None:
    def unreadable() -> Current:
        raise ConfigurationError("unreadable")

    with pytest.raises(Unavailable, match="unreadable"):
        RecentCurrent(unreadable)()
