"""The documents of one library in one generation: one index of OpenSearch."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.document import document_id
from tasks.feeding.ports import Delivered, Indexed, Operation, Put, Refused, Remove
from worker.feeds.opensearch import listing, names
from worker.feeds.opensearch.bulk import Bulk, End, Ended
from worker.feeds.opensearch.client import Client
from worker.feeds.opensearch.letters import Letters
from worker.feeds.opensearch.mapping import META, Engine, vector_field
from worker.feeds.opensearch.source import to_source

ASKED = 1000
"""Documents looked up in one request."""


class OpenSearchIndex:
    """`tasks.feeding.ports.Index`, of an index that is there; `OpenSearchSink.open` finds or makes it.

    Attributes:
        physical: the index itself, and not the alias that searches use.
        name: that, and which of those that ever were called so; one that was deleted and made again is another.
    """

    def __init__(
        self, client: Client, engine: Engine, physical: str, mappings: Mapping[str, Any], letters: Letters
    ) -> None:
        self.physical = physical
        self._client, self._engine, self._letters = client, engine, letters
        about = mappings["_meta"][META]
        self.generation: str = about["generation"]
        self._made: str = about["made"]
        self.name = f"{physical}/{self._made}"
        self._bucket: str = about["bucket"]
        self._vectors: bool = about["vectors"]
        self._vector_known = "vector" in mappings["properties"]
        self._bulk = Bulk(client, names.writes(physical))
        self._began: datetime | None = None

    @property
    def complete(self) -> bool:
        """See `Index`. Raises `Unavailable`."""
        return bool(self._mappings()["_meta"][META]["complete"])

    def completed(self) -> None:
        """See `Index`. What was not refused again since `listed` began is no dead letter any more."""
        meta = self._mappings()["_meta"]
        if meta[META]["made"] != self._made:
            raise Unavailable(f"OpenSearch at {self._client.url}: {self.physical} was made anew meanwhile")
        body = {"_meta": {**meta, META: {**meta[META], "complete": True}}}
        self._client.need("PUT", f"/{self.physical}/_mapping", body)
        if self._began is not None:
            self._letters.forget_before(self._began)

    def indexed(self, keys: Sequence[str]) -> Mapping[str, Indexed]:
        """See `Index`."""
        found: dict[str, Indexed] = {}
        for start in range(0, len(keys), ASKED):
            ids = {document_id(self._bucket, key): key for key in keys[start : start + ASKED]}
            answer = self._client.need(
                "POST",
                f"/{self.physical}/_mget",
                {"ids": list(ids)},
                having="docs",
                realtime="true",
                _source_includes="tag",
            )
            for each in answer["docs"]:
                if "error" in each:
                    raise Unavailable(
                        f"OpenSearch at {self._client.url}: {self.physical}: {each['error'].get('reason')}"
                    )
                if each["found"]:
                    key = ids[each["_id"]]
                    found[key] = Indexed(key, each["_source"].get("tag", ""), each["_version"])
        return found

    def deliver(self, operations: Sequence[Operation]) -> Delivered:
        """See `Index`."""
        self._learn_vectors(operations)
        lines: dict[int, bytes] = {}
        ended: dict[int, Ended] = {}
        for place, operation in enumerate(operations):
            try:
                lines[place] = self._line(operation)
            except ValueError as error:
                ended[place] = Ended(End.REFUSED, "not_encodable", str(error))
        ended |= zip(lines, self._bulk.send(list(lines.values())), strict=True)
        ended |= self._forced(operations, ended)
        return self._settled([(operation, ended[place]) for place, operation in enumerate(operations)])

    def listed(self) -> Iterator[Indexed]:
        """See `Index`."""
        self._began = datetime.now(UTC)
        return listing.listed(self._client, self.physical, self._engine)

    def commit(self) -> None:
        """See `Index`. What a bulk request was answered for is durable already; this makes it visible."""
        self._client.need("POST", f"/{self.physical}/_refresh")
        self._letters.look()

    def _forced(self, operations: Sequence[Operation], ended: Mapping[int, Ended]) -> dict[int, Ended]:
        """Write what has to be written all the same, without a version: the index counts on from the one it has.

        Only where it has one that is as new: else it would begin to count at 1, and take anything that comes late.
        """
        lines = {
            place: self._line(operation, versioned=False)
            for place, operation in enumerate(operations)
            if isinstance(operation, Put) and operation.forced and ended[place].end is End.OUTRUN
        }
        return dict(zip(lines, self._bulk.send(list(lines.values())), strict=True))

    def _settled(self, ended: Sequence[tuple[Operation, Ended]]) -> Delivered:
        refused = [
            (operation, Refused(operation.document.key, end.kind, end.reason))
            for operation, end in ended
            if end.end is End.REFUSED and isinstance(operation, Put)
        ]
        for operation, end in ended:
            if end.end is End.REFUSED and isinstance(operation, Remove):
                raise Unavailable(f"OpenSearch at {self._client.url} did not remove a document: {end.reason}")
        self._letters.put(refused)
        settled = [operation for operation, end in ended if end.end in (End.DONE, End.ABSENT)]
        self._letters.forget(_key(operation) for operation in settled)
        done = [operation for operation, end in ended if end.end is End.DONE]
        return Delivered(
            put=sum(isinstance(operation, Put) for operation in done),
            removed=sum(isinstance(operation, Remove) for operation in done),
            outrun=tuple(_key(operation) for operation, end in ended if end.end is End.OUTRUN),
            refused=tuple(why for _, why in refused),
        )

    def _line(self, operation: Operation, *, versioned: bool = True) -> bytes:
        if isinstance(operation, Remove):
            action = {"delete": {"_id": document_id(self._bucket, operation.key), **_external(operation.version)}}
            return b"%b\n" % msgspec.json.encode(action)
        document = operation.document
        version = _external(document.version) if versioned else {}
        action = {"index": {"_id": document.id, **version}}
        return b"%b\n%b\n" % (msgspec.json.encode(action), to_source(document, vector=self._vector_known))

    def _learn_vectors(self, operations: Sequence[Operation]) -> None:
        """Give the index its field of vectors with the first one, which is the first to say how long they are."""
        if not self._vectors or self._vector_known:
            return
        for operation in operations:
            if isinstance(operation, Put) and operation.document.embedding is not None:
                field = vector_field(self._engine, operation.document.embedding.dimensions)
                try:
                    self._client.need("PUT", f"/{self.physical}/_mapping", {"properties": {"vector": field}})
                except ConfigurationError:
                    # Another process may have been first, with a document of another model.
                    if "vector" not in self._mappings()["properties"]:
                        raise
                self._vector_known = True
                return

    def _mappings(self) -> dict[str, Any]:
        answer = self._client.need("GET", f"/{self.physical}/_mapping", having=self.physical)
        mappings: dict[str, Any] = answer[self.physical]["mappings"]
        return mappings


def _key(operation: Operation) -> str:
    return operation.key if isinstance(operation, Remove) else operation.document.key


def _external(version: int) -> dict[str, object]:
    return {"version": version, "version_type": "external"}
