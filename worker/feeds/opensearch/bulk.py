"""Bulk requests: operations in pieces that the cluster takes, what became of each, and again what passes by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple

from tasks.errors import ConfigurationError, Unavailable
from worker.feeds.opensearch.client import Client
from worker.feeds.opensearch.refusals import (
    READ_ONLY,
    UNWRITABLE,
    Broken,
    Refusal,
    blocked,
    denied,
    described,
    unwritable,
)

OPERATIONS = 500
BYTES = 5 << 20
"""Most of one request; one that is larger goes alone."""

TOLD = "items.*.status,items.*.result,items.*.error"
"""All that is read of an answer."""

DELETE = b'{"delete"'

NO_ITEMS = "an answer to a bulk request without an answer to each operation"

PASSING = frozenset({429, 500, 502, 503, 504})
UNSPLIT = frozenset({400, 413})
"""Refusals of a whole request that one operation in it may be the cause of."""


class End(Enum):
    """What became of an operation."""

    DONE = auto()
    ABSENT = auto()
    """There was nothing to remove; its version is noted."""
    OUTRUN = auto()
    REFUSED = auto()


class Ended(NamedTuple):
    """What became of an operation; `kind` and `reason` say why it was refused."""

    end: End
    kind: str = ""
    reason: str = ""


@dataclass
class Bulk:
    """Sends operations to one alias, in pieces whose size follows what the cluster can take.

    Attributes:
        alias: to write to; it has to exist.
        operations: in one request, at most; halved with each failure, and doubled with each success.
        size: bytes in one request; what was once too large for it stays so.
    """

    client: Client
    alias: str
    operations: int = OPERATIONS
    size: int = BYTES

    def __post_init__(self) -> None:
        # Of a shard that is not there the cluster tells after this long; it has to be before we take it for dead.
        self._timeout = f"{max(1, round(self.client.patience.read / 2))}s"

    def send(self, operations: Sequence[bytes]) -> list[Ended]:
        """Operations as NDJSON, of one or two lines each; what became of each, in order.

        Raises:
            Unavailable: the cluster does not answer, is overloaded for longer than retries help, or the index is gone.
            ConfigurationError: it refuses all of them.
        """
        ended: dict[int, Ended] = {}
        waiting = list(range(len(operations)))
        failures = 0
        while waiting:
            piece = waiting[: self._fits(operations, waiting)]
            try:
                answers = self._once([operations[i] for i in piece])
            except (Refusal, Broken) as error:
                failures += 1
                self._failed(error, failures)
                continue
            ended |= {i: answer for i, answer in zip(piece, answers, strict=True) if isinstance(answer, Ended)}
            again = [(i, answer) for i, answer in zip(piece, answers, strict=True) if isinstance(answer, Refusal)]
            waiting = [i for i, _ in again] + waiting[len(piece) :]
            if again:
                failures = 1 if len(again) < len(piece) else failures + 1
                self._failed(again[0][1], failures)
            else:
                failures = 0
                self.operations = min(OPERATIONS, self.operations * 2)
        return [ended[i] for i in range(len(operations))]

    def _failed(self, error: Refusal | Broken, failures: int) -> None:
        # Overload most of all; but what took too long, or broke off, may have been too much as well.
        self.operations = max(1, self.operations // 2)
        self.client.failed(error, failures, f"bulk to {self.alias}")

    def _fits(self, operations: Sequence[bytes], waiting: Sequence[int]) -> int:
        length = 0
        for count, i in enumerate(waiting[: self.operations]):
            length += len(operations[i])
            if length > self.size:
                return max(1, count)
        return min(len(waiting), self.operations)

    def _once(self, piece: Sequence[bytes]) -> list[Ended | Refusal]:
        """One request; of several that are refused together, each half by itself, down to the one at fault."""
        if all(operation.startswith(DELETE) for operation in piece):
            # `require_alias` is not heeded for removals (OpenSearch pull request 1604), and one with a version would
            # make an index where there is none. With a document among them, that is what prevents it.
            self.client.need("GET", f"/_alias/{self.alias}")
        try:
            answer = self.client.once(
                "POST",
                f"/{self.alias}/_bulk",
                b"".join(piece),
                {"require_alias": "true", "filter_path": f"errors,{TOLD}", "timeout": self._timeout},
            )
        except Refusal as refusal:
            if refusal.status not in UNSPLIT:
                raise
            if refusal.status == 413:
                self.size = max(1, min(self.size, sum(map(len, piece)) // 2))
            if len(piece) == 1:
                return [Ended(End.REFUSED, refusal.kind or f"http_{refusal.status}", refusal.reason)]
            half = len(piece) // 2
            return self._once(piece[:half]) + self._once(piece[half:])
        items = answer.get("items")
        if not isinstance(items, list) or len(items) != len(piece):
            raise Broken(NO_ITEMS)
        try:
            return [self._ended(item) for item in items]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise Broken(NO_ITEMS) from None

    def _ended(self, item: Mapping[str, Any]) -> Ended | Refusal:
        """Of one operation: what became of it, or that it is to be tried again."""
        ((_, answer),) = item.items()
        status, error = answer["status"], answer.get("error")
        if error is None:
            return Ended(End.ABSENT if answer.get("result") == "not_found" else End.DONE)
        kind, reason = described(error)
        if status == 409:
            return Ended(End.OUTRUN)
        if blocked(kind, reason):
            raise ConfigurationError(READ_ONLY.format(reason))
        if unwritable(kind, reason):
            raise ConfigurationError(UNWRITABLE.format(self.alias, reason))
        if status in PASSING:
            return Refusal(status, kind, reason)
        if status in (401, 403):
            raise ConfigurationError(denied(status, reason, f"writing to {self.alias}"))
        if status == 404:
            raise Unavailable(f"OpenSearch at {self.client.url}: {self.alias} is gone: {reason}")
        return Ended(End.REFUSED, kind, reason)
