"""What a cluster says when it says no, as values: a refusal, or nothing that makes sense."""

import json
from collections.abc import Mapping
from typing import Any, Self


class Broken(Exception):
    """There was no answer, or none that makes sense; whether the request was carried out is not known."""


class Refusal(Exception):
    """An answer that says no.

    Attributes:
        kind: such as `index_not_found_exception`; empty where it does not come from the cluster itself.
        reason: in words.
        retry_after: seconds, if it said so.
    """

    def __init__(self, status: int, kind: str, reason: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {kind}: {reason}" if kind else f"{status} {reason}")
        self.status, self.kind, self.reason, self.retry_after = status, kind, reason, retry_after

    @classmethod
    def parsed(cls, status: int, text: str, retry_after: float | None) -> Self:
        """Of an answer's body, whichever form it has."""
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return cls(status, "", " ".join(text.split())[:200], retry_after)
        return cls(status, *described(body.get("error", body)), retry_after)


READ_ONLY = (
    "OpenSearch takes no writes: {}. An index is made read-only when a disk passes the flood-stage watermark "
    "(cluster.routing.allocation.disk.watermark.flood_stage): make room on the data nodes; where the block does not go "
    'by itself, PUT <index>/_settings {{"index.blocks.read_only_allow_delete": null}}'
)


def blocked(kind: str, reason: str) -> bool:
    """Whether an error says that an index was made read-only, rather than that the cluster is not ready yet."""
    return kind == "cluster_block_exception" and ("read-only" in reason or "read_only" in reason)


UNWRITABLE = (
    "OpenSearch cannot write through the alias {}: {}. Open the index (POST <index>/_open), and let no other index "
    "have that alias; an index that is not wanted any more is to be deleted"
)


def unwritable(kind: str, reason: str) -> bool:
    """Whether an error is about the index, closed or not the only one behind its alias, though it is a 400."""
    return kind == "index_closed_exception" or (kind == "illegal_argument_exception" and "no write index" in reason)


def denied(status: int, reason: str, what: str) -> str:
    """What to tell of a 401 or 403."""
    if status == 401:
        return (
            "OpenSearch does not know who we are, or does not accept the password: STOCKMETA_OPENSEARCH_USER and "
            f"STOCKMETA_OPENSEARCH_PASSWORD ({what})"
        )
    return f"OpenSearch does not permit {what}; docs/opensearch.md lists what a role needs: {reason}"


def described(error: Any) -> tuple[str, str]:
    """Kind and reason of an error of the API, with what caused it, which is often the only useful part."""
    if not isinstance(error, Mapping):
        return "", str(error)[:500]
    reasons: list[str] = []
    cause: Any = error
    while isinstance(cause, Mapping):
        # What stands before a cluster, such as Amazon's gateway, says `message`.
        said = next((cause[name] for name in ("reason", "message", "Message") if cause.get(name)), "")
        reason = " ".join(str(said).split())
        if reason and reason not in reasons:
            reasons.append(reason)
        cause = cause.get("caused_by")
    return str(error.get("type", "")), ": ".join(reasons)[:1000]
