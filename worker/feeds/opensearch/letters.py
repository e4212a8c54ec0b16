"""Dead letters: documents that were refused, in an index of their own where an operator finds them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from tasks.errors import Unavailable
from tasks.feeding.document import document_id
from tasks.feeding.ports import Put, Refused
from worker.feeds.opensearch import names
from worker.feeds.opensearch.bulk import Bulk, End
from worker.feeds.opensearch.client import Client


class Letters:
    """The dead letters of one library in one generation.

    A letter is removed when its document is taken or removed. Where another process did that, it is removed after the
    next comparison of listings: whatever is still refused was refused again by then.
    """

    def __init__(self, client: Client, name: str, bucket: str, generation: str) -> None:
        self._client, self._bucket, self._generation = client, bucket, generation
        self._index = names.dead_letters(name)
        self._bulk = Bulk(client, names.writes(self._index))
        self._any = True

    def put(self, refused: Sequence[tuple[Put, Refused]]) -> None:
        """Write one for each. Raises `Unavailable`, `ConfigurationError`."""
        now = _now()
        lines = []
        for put, why in refused:
            document = put.document
            letter = {
                "id": document.id,
                "key": _text(document.key),
                "generation": self._generation,
                "tag": document.tag,
                "version": document.version,
                "kind": why.kind,
                "reason": _text(why.reason),
                "at": now,
            }
            action = {"index": {"_id": f"{self._generation}-{document.id}"}}
            lines.append(b"%b\n%b\n" % (msgspec.json.encode(action), msgspec.json.encode(letter)))
        if lines:
            self._any = True
            for ended in self._bulk.send(lines):
                if ended.end is End.REFUSED:
                    raise Unavailable(f"a dead letter was refused by {self._index}: {ended.reason}")

    def forget(self, keys: Iterable[str]) -> None:
        """Remove those of these images, if there are any at all. Raises `Unavailable`, `ConfigurationError`."""
        if self._any:
            ids = [f"{self._generation}-{document_id(self._bucket, key)}" for key in keys]
            self._bulk.send([b"%b\n" % msgspec.json.encode({"delete": {"_id": each}}) for each in ids])

    def look(self) -> None:
        """Learn whether there are any, also from other processes. Raises `Unavailable`."""
        body = {"query": {"term": {"generation": self._generation}}}
        answer = self._client.ask("POST", f"/{self._index}/_count", body, tolerate=(404,), having="count")
        self._any = bool(answer and answer["count"])

    def forget_before(self, began: datetime) -> None:
        """Remove what was not refused again since. Raises `Unavailable`."""
        old = [{"term": {"generation": self._generation}}, {"range": {"at": {"lt": _written(began)}}}]
        path = f"/{self._index}/_delete_by_query"
        query = {"query": {"bool": {"filter": old}}}
        self._client.ask("POST", path, query, tolerate=(404,), conflicts="proceed", refresh="true")


def _now() -> str:
    return _written(datetime.now(UTC))


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(text: str) -> str:
    """What JSON can hold of it."""
    return text.encode("utf-8", "backslashreplace").decode()
