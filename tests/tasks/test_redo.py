import json

import pytest

from tasks.messages import TagMessage
from tasks.records import ImageRef, Status
from tasks.redo import Redo, wanted
from tests.tasks.fleets import terminal
from tests.worker.libraries import record

WRITTEN = 1795305600.0
"""2026-11-22T00:00:00+00:00, when the records of these tests were written."""


def test_what_was_committed_before_is_wanted_and_what_was_since_is_not() -> None:
    assert Redo("all", WRITTEN + 1).wants(record())
    assert not Redo("all", WRITTEN).wants(record())
    assert Redo("all", WRITTEN + 1).wants(record(updated_at="2026-11-22T00:00:00"))
    assert not wanted(None, record())


def test_only_what_failed() -> None:
    assert not Redo("failed", WRITTEN + 1).wants(record())
    assert not Redo("failed", WRITTEN + 1).wants(record(status=Status.EMPTY, reason="no_evidence"))
    assert Redo("failed", WRITTEN + 1).wants(terminal("a.jpg", None))
    assert Redo("failed", WRITTEN + 1).wants(terminal("a.jpg", None, Status.FAILED))


def test_it_travels_with_a_message() -> None:
    message = TagMessage((ImageRef("b", "k"),), run="r", redo=Redo("failed", 1.5))
    assert TagMessage.from_dict(json.loads(json.dumps(message.to_dict()))) == message


@pytest.mark.parametrize(
    "data", [1, {}, {"what": "none", "before": 1}, {"what": "all", "before": True}, {"what": "all"}]
)
def test_anything_else_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        Redo.from_dict(data)
