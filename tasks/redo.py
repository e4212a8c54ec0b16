"""What of a library is to be done again although it is committed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from tasks.records import Record

What = Literal["failed", "all"]


@dataclass(frozen=True, slots=True)
class Redo:
    """Asks for another try of what was committed before a moment: so a message that comes twice does nothing twice.

    Attributes:
        what: images without metadata (`failed`), or every image.
        before: seconds since 1970; what was committed then or later stays.
    """

    what: What
    before: float

    def wants(self, record: Record) -> bool:
        """Whether an image with this record is to be done again."""
        if self.what == "failed" and record.status.done:
            return False
        written = datetime.fromisoformat(record.updated_at)
        return (written if written.tzinfo else written.replace(tzinfo=UTC)).timestamp() < self.before

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {"what": self.what, "before": self.before}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Inverse of `to_dict`. Raises `ValueError`."""
        what = data.get("what") if isinstance(data, dict) else None
        before = data.get("before") if isinstance(data, dict) else None
        if what not in ("failed", "all") or isinstance(before, bool) or not isinstance(before, int | float):
            raise ValueError("expected what is to be done again, failed or all, and before when it was done")
        return cls(what, float(before))


def wanted(redo: Redo | None, record: Record) -> bool:
    """Whether `redo` asks for an image with this record."""
    return redo is not None and redo.wants(record)
