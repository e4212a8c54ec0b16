"""What becomes of messages whose generation nobody writes any more."""

from tasks.errors import Unavailable
from tasks.generations.pointer import Current
from tasks.generations.strays import PATIENCE, nobody_knows, readdressed
from tasks.messages import TagMessage
from tasks.records import ImageRef

A, B, C = "a" * 12, "b" * 12, "c" * 12
OLD = TagMessage((ImageRef("photos", "a.jpg"),), A, tries=PATIENCE, run="run", stored=C, again=True)


def test_it_goes_to_the_generation_that_serves() -> None:
    stray = readdressed(OLD, lambda: Current(B, C))
    assert stray is not None
    assert (stray.refs, stray.generation, stray.run, stray.again) == (OLD.refs, B, "run", True)
    assert (stray.stored, stray.redo, stray.tries) == (None, None, 0)
    assert stray.id != OLD.id


def test_it_is_left_alone_while_somebody_may_make_it() -> None:
    for current in (Current(A), Current(B, A), Current()):
        assert readdressed(OLD, lambda current=current: current) is None  # type: ignore[misc]
    early = TagMessage(OLD.refs, A, tries=PATIENCE - 1)
    assert readdressed(early, lambda: Current(B)) is None
    assert readdressed(TagMessage(OLD.refs, None, tries=PATIENCE), lambda: Current(B)) is None


def test_nothing_is_a_stray_while_the_pointer_is_not_to_be_had() -> None:
    def silent() -> Current:
        raise Unavailable("silent")

    assert readdressed(OLD, silent) is None
    assert readdressed(OLD, nobody_knows) is None
