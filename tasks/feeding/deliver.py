"""Brings an index to what the sidecars of some images say now, whatever was told of them.

In this order: what the index has, then the sidecars, then the operations. So what is written was read after what it
replaces. A removal has our clock as version, that it also outdoes what others read before the sidecar went and have not
delivered yet; so it is followed by another look, as is all else that may have undone what somebody else delivered.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from tasks.errors import Rejected, Unavailable
from tasks.feeding.document import Document, document_tag
from tasks.feeding.documents import Maker
from tasks.feeding.ports import Delivered, Index, Indexed, Operation, Put, Refused, Remove
from tasks.layout import Layout
from tasks.ports import Store
from tasks.recorded import read_decided, read_sidecar
from tasks.records import ImageRef

logger = logging.getLogger(__name__)

READS = 16
"""Sidecars read at once: what hides a store's latency. A folder has none to hide."""

ROUNDS = 6
"""Looks at one image. Each after the second means that its sidecar was written again meanwhile."""

What = Literal["put", "removed", "same", "refused", "broken", "unsettled"]
"""What became of one image: its document was written or removed, was right already, was refused by the index, cannot be
made because its sidecar is broken, or was still changing at the last look."""

WHATS: tuple[What, ...] = ("put", "removed", "same", "refused", "broken", "unsettled")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of some images.

    Attributes:
        outcomes: by key.
        troubles: why, of those that were refused or are broken.
    """

    outcomes: Mapping[str, What]
    troubles: tuple[Refused, ...] = ()


@dataclass
class _Work:
    """One call's state: what was tried last of each image, and what has become of it so far."""

    outcomes: dict[str, What] = field(default_factory=dict)
    troubles: list[Refused] = field(default_factory=list)
    tried: dict[str, str | None] = field(default_factory=dict)

    def note(self, key: str, what: What) -> None:
        # A second look that finds all well does not take back what the first one did.
        if what != "same" or key not in self.outcomes:
            self.outcomes[key] = what


class Deliverer:
    """Delivers documents of one library. One thread at a time.

    Args:
        store: holds the output root.
        layout: where in it.
        bucket: of the images.
        maker: makes documents.
        reads: sidecars to read at once; with 1 no thread is started.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        layout: Layout,
        bucket: str,
        maker: Maker,
        reads: int = READS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._layout, self._bucket = store, layout, bucket
        self._maker, self._clock = maker, clock
        self._pool = ThreadPoolExecutor(reads, thread_name_prefix="feed") if reads > 1 else None

    def deliver(self, index: Index, keys: Iterable[str], undecided: Collection[str] = frozenset()) -> Result:
        """Bring the documents of some images to what their sidecars say.

        Args:
            index: where they are.
            keys: of the images, each of any number of times.
            undecided: those for which a listing showed that people decided nothing, which saves a request each.

        Raises:
            Unavailable: the index or the store does not answer; some may have been done, so do all of them again.
            ConfigurationError: the index refuses all of them.
        """
        work = _Work()
        left = list(dict.fromkeys(keys))
        for _ in range(ROUNDS):
            if not left:
                break
            left = self._round(index, left, undecided, work)
        for key in left:
            logger.warning("the sidecar of %r changes again and again; the next comparison looks at it", key)
            work.outcomes[key] = "unsettled"
        return Result(work.outcomes, tuple(work.troubles))

    def close(self) -> None:
        """Let go of the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _round(self, index: Index, keys: Sequence[str], undecided: Collection[str], work: _Work) -> list[str]:
        """One look at each; returns those that need another one."""
        indexed = index.indexed(keys)
        now = int(self._clock() * 1e6)
        found = self._read(index.generation, keys, undecided)
        operations: dict[str, Operation] = {}
        for key, document in zip(keys, found, strict=True):
            if isinstance(document, Refused):
                work.troubles.append(document)
                work.note(key, "broken")
            elif operation := _operation(key, document, indexed.get(key), now, work.tried):
                operations[key] = operation
            else:
                work.note(key, "same")
        if not operations:
            return []
        delivered = index.deliver(list(operations.values()))
        return _noted(operations, delivered, indexed, now, work)

    def _read(
        self, generation: str, keys: Sequence[str], undecided: Collection[str]
    ) -> list[Document | Refused | None]:
        def read(key: str) -> Document | Refused | None:
            return self._document(generation, key, decided=key not in undecided)

        try:
            return list(map(read, keys) if self._pool is None else self._pool.map(read, keys))
        except Unavailable as error:
            raise Unavailable(f"the sidecars cannot be read: {error}") from error

    def _document(self, generation: str, key: str, *, decided: bool) -> Document | Refused | None:
        """What the index is to have of an image; `None`: nothing."""
        ref = ImageRef(self._bucket, key)
        try:
            sidecar = read_sidecar(self._store, self._layout, generation, ref)
            if sidecar is None:
                return None
            said = read_decided(self._store, self._layout, ref) if decided else None
            tag = document_tag(sidecar.etag, said and said.etag)
            return self._maker.document(sidecar.record, said and said.human, tag)
        except Rejected:
            # Too long a key for a record, so it has none.
            return None
        except ValueError as error:
            return Refused(key, "broken_sidecar", str(error))
        except Unavailable:
            raise
        except Exception as error:
            # A bug, which one odd record may meet and a million others do not; they are not to wait for it.
            logger.exception("no document can be made of the sidecar of %r", key)
            return Refused(key, "bug", f"no document can be made of it: {type(error).__name__}; the log has more")


def _operation(
    key: str, document: Document | None, indexed: Indexed | None, now: int, tried: Mapping[str, str | None]
) -> Operation | None:
    """What brings an index from what it has to what it is to have; `None`: nothing."""
    if document is None:
        if indexed is None and key in tried:
            return None
        # Where there is nothing it leaves a tombstone, for what others may have read before the sidecar went.
        return Remove(key, max(now, indexed.version + 1) if indexed else now)
    if indexed is not None and indexed.tag == document.tag:
        return None
    # With a version that is no less, the index was given something of an older sidecar (restored from a copy, say) or
    # of other decisions: this one was read later.
    outrun = indexed is not None and indexed.version >= document.version
    return Put(document, forced=outrun or (indexed is None and tried.get(key) == document.tag))


def _noted(
    operations: Mapping[str, Operation],
    delivered: Delivered,
    indexed: Mapping[str, Indexed],
    now: int,
    work: _Work,
) -> list[str]:
    """Note what became of operations; returns the keys that need another look."""
    work.troubles += delivered.refused
    refused, outrun = {trouble.key for trouble in delivered.refused}, set(delivered.outrun)
    again: list[str] = []
    for key, operation in operations.items():
        put = isinstance(operation, Put)
        work.tried[key] = operation.document.tag if isinstance(operation, Put) else None
        if key in refused:
            work.note(key, "refused")
            continue
        if key not in outrun:
            work.note(key, "put" if put else "removed" if key in indexed else "same")
        if key in outrun or _heeds_no_version(operation, now):
            again.append(key)
    return again


def _heeds_no_version(operation: Operation, now: int) -> bool:
    """Whether an operation may have undone what somebody delivered meanwhile, or what it could not know of.

    What was forced, what was removed up to our clock, and what another clock dates later than ours.
    """
    if isinstance(operation, Remove):
        return True
    return operation.forced or operation.document.version > now
