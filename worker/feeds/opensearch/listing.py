"""Every document of an index by key, in pages, over a point in time where the cluster has them."""

from collections.abc import Iterator
from typing import Any

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.ports import Indexed
from worker.feeds.opensearch.client import Answer, Client
from worker.feeds.opensearch.mapping import Engine

PAGE = 5000
KEPT = "10m"
"""How long a point in time is kept between two pages, which is how long a caller may take with one."""


def listed(client: Client, index: str, engine: Engine, page: int = PAGE) -> Iterator[Indexed]:
    """By key in the order of its bytes, as the index was at the beginning.

    Raises:
        Unavailable: the cluster does not answer, or some of the index's parts do not.
        ConfigurationError: keys come in another order, which only a foreign template can cause.
    """
    client.need("POST", f"/{index}/_refresh")
    point = _open(client, index, engine)
    after: str | None = None
    try:
        while True:
            answer = _page(client, index, point, after, page)
            if answer is None:
                # The point in time is over, or the server restarted; the order of keys is the same without it.
                point = None
                continue
            if point is not None:
                # It may have another name from now on.
                point = str(answer.get("pit_id", point))
            hits = answer["hits"]["hits"]
            for hit in hits:
                (key, *_) = hit["sort"]
                if not isinstance(key, str) or key == after:
                    raise ConfigurationError(
                        f"the index {index} has a document that no feed wrote, {hit['_id']!r}: without a key, or with "
                        "that of another one; delete it"
                    )
                if after is not None and key.encode() <= after.encode():
                    raise ConfigurationError(
                        f"the index {index} does not list keys in the order of their bytes ({after!r}, {key!r}): its "
                        "field `key` has to be a plain keyword; run the feed with --full after mending the template"
                    )
                after = key
                yield Indexed(key, (hit.get("fields", {}).get("tag") or [""])[0], hit["_version"])
            if len(hits) < page:
                return
    finally:
        if point is not None:
            _close(client, engine, point)


def _page(client: Client, index: str, point: str | None, after: str | None, page: int) -> Answer | None:
    body: dict[str, Any] = {
        "size": page,
        "sort": [{"key": "asc"}],
        "version": True,
        "track_total_hits": False,
        # Columns, and not documents, which hold a vector each.
        "_source": False,
        "docvalue_fields": ["tag"],
    }
    if after is not None:
        body["search_after"] = [after]
    if point is None:
        answer = client.need("POST", f"/{index}/_search", body, having="hits", allow_partial_search_results="false")
    else:
        body["pit"] = {"id": point, "keep_alive": KEPT}
        found = client.ask(
            "POST", "/_search", body, tolerate=(404,), having="hits", allow_partial_search_results="false"
        )
        if found is None:
            return None
        answer = found
    if answer.get("timed_out") or answer["_shards"]["failed"]:
        raise Unavailable(f"OpenSearch at {client.url} lists only a part of {index}")
    return answer


def _open(client: Client, index: str, engine: Engine) -> str | None:
    path = f"/{index}/_pit" if engine.elastic else f"/{index}/_search/point_in_time"
    name = "id" if engine.elastic else "pit_id"
    params = {"keep_alive": KEPT}
    if not engine.elastic:
        # Else it would leave out, silently, what a shard that is away has.
        params["allow_partial_pit_creation"] = "false"
    answer = client.ask("POST", path, None, tolerate=(400, 404, 405, 501), having=name, **params)
    return None if answer is None else str(answer[name])


def _close(client: Client, engine: Engine, point: str) -> None:
    """Tell the server, which would keep it for some minutes; not worth an error."""
    path, body = ("/_pit", {"id": point}) if engine.elastic else ("/_search/point_in_time", {"pit_id": [point]})
    try:
        client.ask("DELETE", path, body, tolerate=(404,))
    except (Unavailable, ConfigurationError):
        return
