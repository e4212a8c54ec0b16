"""An index in memory, for tests of what drives one: keeps the contract of `tasks.feeding.ports`, and fails when told.

What was not committed is lost by `crash`, as it is by an engine that is killed.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.errors import ConfigurationError
from tasks.feeding.document import Document
from tasks.feeding.ports import Delivered, Index, Indexed, Operation, Put, Refused, Remove

Hook = Callable[[str], None]
"""Told what is about to be done, and after `deliver` and `commit` that it was; may raise."""


@dataclass
class Content:
    """Documents by key, and the version of each key that ever was there."""

    documents: dict[str, Document] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    complete: bool = False


class MemoryIndex:
    """Keeps to the versions; `refuse` says why a document is refused, if it is."""

    def __init__(self, generation: str, hook: Hook = lambda _: None, number: int = 1) -> None:
        self.generation = generation
        self.name = f"memory-{generation}-{number}"
        self.hook = hook
        self.refuse: Callable[[Document], str | None] = lambda _: None
        self.content = Content()
        self.committed = Content()
        self.commits = 0
        self.asked: list[tuple[str, ...]] = []
        self.letters: dict[str, Refused] = {}

    @property
    def documents(self) -> dict[str, Document]:
        return self.content.documents

    @property
    def complete(self) -> bool:
        return self.content.complete

    def completed(self) -> None:
        self.hook("completed")
        self.content.complete = self.committed.complete = True

    def indexed(self, keys: Sequence[str]) -> Mapping[str, Indexed]:
        self.hook("indexed")
        self.asked.append(tuple(keys))
        found = {}
        for key in keys:
            if document := self.documents.get(key):
                found[key] = Indexed(key, document.tag, self.content.versions[key])
        return found

    def deliver(self, operations: Sequence[Operation]) -> Delivered:
        self.hook("deliver")
        keys = [operation.key if isinstance(operation, Remove) else operation.document.key for operation in operations]
        assert len(set(keys)) == len(keys), "each key at most once"
        put = removed = 0
        outrun, refused = [], []
        for key, operation in zip(keys, operations, strict=True):
            have = self.content.versions.get(key, 0)
            if isinstance(operation, Put):
                document = operation.document
                if reason := self.refuse(document):
                    refused.append(Refused(key, "mapping", reason))
                    self.letters[key] = refused[-1]
                elif have >= document.version and not operation.forced:
                    outrun.append(key)
                else:
                    self.letters.pop(key, None)
                    self.content.versions[key] = max(document.version, have + 1)
                    self.documents[key] = document
                    put += 1
            elif have >= operation.version:
                outrun.append(key)
            else:
                removed += self.documents.pop(key, None) is not None
                self.content.versions[key] = operation.version
        self.hook("delivered")
        return Delivered(put, removed, tuple(outrun), tuple(refused))

    def listed(self) -> Iterator[Indexed]:
        self.hook("listed")
        for key in sorted(self.documents):
            if key in self.documents:
                yield Indexed(key, self.documents[key].tag, self.content.versions[key])

    def commit(self) -> None:
        self.hook("commit")
        self.committed = copy.deepcopy(self.content)
        self.commits += 1
        self.hook("committed")

    def crash(self) -> None:
        self.content = copy.deepcopy(self.committed)


class MemorySink:
    """One index a generation, and which of them serves."""

    def __init__(self, hook: Hook = lambda _: None) -> None:
        self.name = "memory:test"
        self.hook = hook
        self.indexes: dict[str, MemoryIndex] = {}
        self.beside: dict[str, MemoryIndex] = {}
        self.served: str | None = None
        self.closed = self.made = 0

    def open(self, generation: str, *, anew: bool = False) -> MemoryIndex:
        self.hook("open")
        if anew:
            self.made += 1
            self.beside[generation] = MemoryIndex(generation, self.hook, 1 + self.made)
            return self.beside[generation]
        return self.indexes.setdefault(generation, MemoryIndex(generation, self.hook))

    def serving(self) -> str | None:
        self.hook("serving")
        return self.served

    def serve(self, index: Index) -> None:
        self.hook("serve")
        if not isinstance(index, MemoryIndex):
            raise ConfigurationError("it is none of ours")
        self.indexes[index.generation] = index
        self.beside.pop(index.generation, None)
        self.served = index.generation

    def close(self) -> None:
        self.closed += 1
