"""A library in memory, to feed indexes from: sidecars that are committed, replaced, removed and decided about."""

from itertools import count

from tasks.feeding.compare import Sidecars
from tasks.feeding.deliver import Deliverer
from tasks.feeding.document import document_tag
from tasks.feeding.documents import Maker
from tasks.feeding.reconcile import Compared, Difference, Reconciliation
from tasks.layout import Layout
from tasks.listing.order import Order
from tasks.published import Human
from tasks.records import ImageRef
from tests.tasks.feeding.memory_index import MemoryIndex
from tests.worker.libraries import BUCKET, GENERATION, record
from worker.bulk.sorting import sort_on_disk
from worker.storage.memory import MemoryStore


class Stand:
    """Sidecars of one library, a deliverer whose clock is set by hand, and what an index of them has to be."""

    def __init__(
        self, order: Order = "bytes", prefix: str = "", reads: int = 1, store: MemoryStore | None = None
    ) -> None:
        self.store = store or MemoryStore("out", order)
        self.layout = Layout("")
        self.sidecars = Sidecars(self.store, self.layout, BUCKET, prefix, sort_on_disk)
        self.now = 1_000.0
        self.revisions = count(1)
        self.deliverer = Deliverer(self.store, self.layout, BUCKET, Maker(), reads, lambda: self.now)

    def commit(self, key: str, generation: str = GENERATION, revision: int | None = None, **changes: object) -> None:
        """Write or replace a sidecar; its revision is the next one."""
        number = next(self.revisions) if revision is None else revision
        made = record(key, generation=generation, revision=number, title=f"Title {number}", **changes)
        self.write(self.layout.done(generation, ImageRef(BUCKET, key)), made.to_json().encode())

    def remove(self, key: str, generation: str = GENERATION) -> None:
        """Remove a sidecar, if there is one."""
        path = self.layout.done(generation, ImageRef(BUCKET, key))
        if found := self.store.read(path):
            self.store.delete(path, if_match=found[1])

    def decide(self, key: str, title: str) -> None:
        """Write what people decided."""
        self.write(self.layout.human(ImageRef(BUCKET, key)), Human(title=title).to_json().encode())

    def write(self, path: str, data: bytes) -> None:
        found = self.store.read(path)
        self.store.put(path, data, if_match=found and found[1])

    def tags(self, generation: str = GENERATION) -> dict[str, str]:
        """What an index has to hold: tags by key."""
        root = self.layout.prefix("done", generation, BUCKET)
        decided = {stat.key: stat.etag for stat in self.store.list("human/")}
        found = {}
        for stat in self.store.list(root + self.sidecars.prefix):
            key = stat.key[len(root) : -len(".json")]
            found[key] = document_tag(stat.etag, decided.get(self.layout.human(ImageRef(BUCKET, key))))
        return found

    def reconcile(self, index: MemoryIndex, **options: object) -> tuple[Compared, list[Difference]]:
        """Compare to the end, and put right."""
        told: list[Difference] = []
        deliverer = None if options.pop("dry_run", False) else self.deliverer
        run = Reconciliation(self.sidecars, index, deliverer, tell=told.append, **options)  # type: ignore[arg-type]
        try:
            while run.turn(wait=5.0):
                pass
            return run.compared, told
        finally:
            run.close()


def tags(index: MemoryIndex) -> dict[str, str]:
    """What an index holds."""
    return {key: document.tag for key, document in index.documents.items()}
