"""OpenSearch as a sink: finds, makes, serves and removes indices."""

import logging
import uuid
from collections.abc import Collection
from typing import Any

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.document import VERSION
from tasks.feeding.ports import Index
from worker.feeds.opensearch import names
from worker.feeds.opensearch.access import Access, Patience
from worker.feeds.opensearch.client import Client
from worker.feeds.opensearch.index import OpenSearchIndex
from worker.feeds.opensearch.letters import Letters
from worker.feeds.opensearch.mapping import (
    LETTERS,
    MAPPING,
    META,
    REQUIRED,
    Engine,
    engine,
    letters_template,
    meta,
    template,
)

logger = logging.getLogger(__name__)

IN_SNAPSHOT = "snapshot_in_progress_exception"

ANEW = "run `stockmeta feed opensearch LIBRARY --full`, which fills a new one beside it"


class OpenSearchSink:
    """`tasks.feeding.ports.Sink` over one cluster, for one library.

    Args:
        access: the cluster, and who we are there.
        bucket: of the library; `prefix` too.
        alias: what searches use, and how names of indices begin; by default made of bucket and prefix.
        patience: how long the cluster is waited for.

    Raises:
        ConfigurationError: the alias is no name for an index, or opensearch-py is not installed.
    """

    def __init__(
        self, access: Access, bucket: str, prefix: str = "", alias: str | None = None, patience: Patience | None = None
    ) -> None:
        self.alias = names.checked(alias or names.default_name(bucket, prefix))
        self.name = f"opensearch:{self.alias}"
        self._bucket, self._prefix = bucket, prefix
        self._client = Client(access, patience)
        self._known: Engine | None = None

    def open(self, generation: str, *, anew: bool = False) -> OpenSearchIndex:
        """See `Sink`."""
        self._refuse_behind_alias()
        found = self._found(generation)
        for each, mappings in found.items():
            self._refuse_foreign(each, mappings)
        name = None if anew else self._chosen(found)
        if name is None:
            number = max((names.number_of(each, self.alias, generation) or 0 for each in found), default=0) + 1
            name = names.index_name(self.alias, generation, number)
            self._make(name, generation)
            found = self._found(generation)
        if name not in found:
            raise Unavailable(f"OpenSearch at {self._client.url}: the index {name} was removed while it was opened")
        self._make_letters()
        mappings = found[name]
        self._check(name, mappings)
        letters = Letters(self._client, self.alias, self._bucket, generation)
        letters.look()
        return OpenSearchIndex(self._client, self._engine(), name, mappings, letters)

    def serving(self) -> str | None:
        """See `Sink`."""
        served = self._served()
        if not served:
            return None
        answer = self._client.need("GET", f"/{served[0]}/_mapping", having=served[0])
        about = answer[served[0]]["mappings"].get("_meta", {}).get(META)
        return str(about["generation"]) if about else None

    def serve(self, index: Index) -> None:
        """See `Sink`. Indices of other generations stay, to go back to; those of this one that are older go.

        In one request, so that nobody can have searches use an index that is about to go.
        """
        assert isinstance(index, OpenSearchIndex)
        self._refuse_behind_alias()
        ours = names.number_of(index.physical, self.alias, index.generation) or 0
        older = [
            each
            for each, mappings in self._found(index.generation).items()
            if (names.number_of(each, self.alias, index.generation) or 0) < ours and self._is_ours(mappings)
        ]
        gone = [{"remove_index": {"index": each}} for each in older]
        body = {"actions": [*self._swap(index, older), *gone]}
        done = self._client.ask("POST", "/_aliases", body, tolerate=(404, IN_SNAPSHOT))
        # Where the answer to an earlier try was lost, there is nothing to take away any more.
        if done is None and self._served() != [index.physical]:
            # What is being copied into a snapshot cannot be removed now, and goes the next time.
            self._client.need("POST", "/_aliases", {"actions": self._swap(index, ())})
            logger.warning("searches use %s; not removed yet: %s", index.physical, ", ".join(older) or "nothing")

    def close(self) -> None:
        """See `Sink`."""
        self._client.close()

    def _swap(self, index: OpenSearchIndex, going: Collection[str]) -> list[dict[str, Any]]:
        """Actions that let the alias stand for one index alone; of those that go it need not be taken away."""
        others = [each for each in self._served() if each != index.physical and each not in going]
        return [
            *({"remove": {"index": each, "alias": self.alias}} for each in others),
            {"add": {"index": index.physical, "alias": self.alias}},
        ]

    def _engine(self) -> Engine:
        if self._known is None:
            root = self._client.need("GET", "/", having="version")
            plugins = self._client.need("GET", "/_cat/plugins", having="rows", format="json")
            self._known = engine(root, plugins["rows"])
        return self._known

    def _found(self, generation: str) -> dict[str, dict[str, Any]]:
        """Mappings of the indices of a generation, by name."""
        pattern = f"/{self.alias}-{generation}-*/_mapping"
        # Closed ones have their names too.
        params = {"allow_no_indices": "true", "ignore_unavailable": "true", "expand_wildcards": "open,closed"}
        answer = self._client.get(pattern, **params) or {}
        return {
            name: each["mappings"]
            for name, each in answer.items()
            if names.number_of(name, self.alias, generation) is not None
        }

    def _chosen(self, found: dict[str, dict[str, Any]]) -> str | None:
        """The one that serves; else the newest that was filled once; else the newest."""
        if not found:
            return None
        served = set(self._served())

        def preference(name: str) -> tuple[bool, bool, int]:
            about = found[name].get("_meta", {}).get(META, {})
            return name in served, bool(about.get("complete")), int(name.rpartition("-")[2])

        return max(found, key=preference)

    def _served(self) -> list[str]:
        """Indices that have the alias: one, or none."""
        return sorted(self._client.get(f"/_alias/{self.alias}") or {})

    def _make(self, name: str, generation: str) -> None:
        known = self._engine()
        self._client.need("PUT", f"/_index_template/{self.alias}", template(self.alias, known))
        about = meta(self._bucket, self._prefix, generation, uuid.uuid4().hex[:12], vectors=known.knn)
        self._put_index(name, {"mappings": {"_meta": about}})

    def _make_letters(self) -> None:
        name = names.dead_letters(self.alias)
        answer = self._client.get(f"/{name}/_mapping")
        if answer is None:
            self._client.need("PUT", f"/_index_template/{name}", letters_template(self.alias))
            self._put_index(name, {})
        elif LETTERS not in answer.get(name, {}).get("mappings", {}).get("_meta", {}):
            raise ConfigurationError(
                f"{name!r} is to hold what is refused, and is something else: remove it, or choose another name"
            )

    def _put_index(self, name: str, body: dict[str, Any]) -> None:
        # Where the answer to an earlier try was lost, or another process was first, it is there already.
        there = ("resource_already_exists_exception",)
        self._client.ask("PUT", f"/{name}", {**body, "aliases": {names.writes(name): {}}}, tolerate=there)

    def _refuse_behind_alias(self) -> None:
        # An alias answers with the indices behind it, an index with itself.
        behind = self._client.get(f"/{self.alias}/_mapping") or {}
        for name, each in behind.items():
            if name != self.alias:
                self._refuse_foreign(name, each["mappings"])
        if self.alias in behind:
            raise ConfigurationError(
                f"{self.alias!r} is an index of the cluster, and has to be free for the alias that searches use: "
                "remove that index, or choose another name"
            )

    def _is_ours(self, mappings: dict[str, Any]) -> bool:
        """Whether an index holds this library."""
        about = mappings.get("_meta", {}).get(META)
        return about is not None and (about["bucket"], about["prefix"]) == (self._bucket, self._prefix)

    def _refuse_foreign(self, name: str, mappings: dict[str, Any]) -> None:
        """Raise `ConfigurationError` for an index that has a name of ours, and is not of this library."""
        if self._is_ours(mappings):
            return
        about = mappings.get("_meta", {}).get(META)
        if about is None:
            raise ConfigurationError(
                f"the index {name}, which {self.alias!r} would stand for, is none of stockmeta's; remove it, or choose "
                "another name"
            )
        raise ConfigurationError(
            f"the index {name} holds the library {about['bucket']}/{about['prefix']}; choose another name for this one"
        )

    def _check(self, name: str, mappings: dict[str, Any]) -> None:
        """Whether this index can be fed by us. Raises `ConfigurationError`."""
        self._refuse_foreign(name, mappings)
        about = mappings["_meta"][META]
        if (about["document"], about["mapping"]) != (VERSION, MAPPING):
            raise ConfigurationError(
                f"the index {name} was made by another version of stockmeta (documents {about['document']}, mapping "
                f"{about['mapping']}; this one has {VERSION} and {MAPPING}): {ANEW}"
            )
        properties = mappings.get("properties", {})
        wrong = [
            field
            for field, kind in REQUIRED.items()
            # A mapping says nothing of the type of objects.
            if properties.get(field, {}).get("type", "object") != kind or field not in properties
        ]
        if wrong:
            raise ConfigurationError(
                f"the index {name} lacks what a feed needs ({', '.join(wrong)}): a template of a higher priority has "
                f"to keep these fields of {self.alias}'s; then {ANEW}"
            )
