"""What becomes of each operation of a delivery, given what the index has: the rules of versions, without a database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.feeding.document import Document
from tasks.feeding.ports import Operation, Put, Refused, Remove
from worker.feeds.local.bodies import packed


class Present(NamedTuple):
    """What the index has of a key; without a tag it was removed, and only its version is kept."""

    row: int
    tag: str | None
    version: int


class Written(NamedTuple):
    """A document to write, to its row if it has one."""

    document: Document
    row: int | None
    version: int
    body: bytes
    vector: bytes | None


class Gone(NamedTuple):
    """A document to remove, or a version to remember where there is none."""

    key: str
    row: int | None
    version: int
    live: bool


class Dead(NamedTuple):
    """A document that is refused."""

    refused: Refused


@dataclass
class Plan:
    """What to do.

    Attributes:
        dimensions: of the first vector, where the index had none; `model` made it.
    """

    written: list[Written] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    outrun: tuple[str, ...] = ()
    dead: list[Dead] = field(default_factory=list)
    dimensions: int | None = None
    model: str | None = None


def decided(operations: Sequence[Operation], present: Mapping[str, Present], dimensions: int | None) -> Plan:
    """Sort operations by what has to be done.

    Args:
        operations: each key at most once.
        present: by key.
        dimensions: of the vectors that the index has, if it has any.
    """
    plan = Plan(dimensions=dimensions)
    for each in operations:
        if isinstance(each, Remove):
            _remove(plan, each, present.get(each.key))
        else:
            _put(plan, each, present.get(each.document.key))
    return plan


def _remove(plan: Plan, remove: Remove, there: Present | None) -> None:
    if there is not None and remove.version <= there.version:
        plan.outrun += (remove.key,)
        return
    live = there is not None and there.tag is not None
    plan.gone.append(Gone(remove.key, there and there.row, remove.version, live))


def _put(plan: Plan, put: Put, there: Present | None) -> None:
    document = put.document
    version = document.version
    if there is not None and put.forced:
        version = max(version, there.version + 1)
    elif there is not None and version <= there.version:
        plan.outrun += (document.key,)
        return
    try:
        body, vector = packed(document)
        _fits(plan, document, vector)
    except UnicodeEncodeError as error:
        plan.dead.append(Dead(Refused(document.key, "text", f"it has text that is not UTF-8: {error}")))
        return
    except ValueError as error:
        plan.dead.append(Dead(Refused(document.key, "embedding", str(error))))
        return
    plan.written.append(Written(document, there and there.row, version, body, vector))


def _fits(plan: Plan, document: Document, vector: bytes | None) -> None:
    if vector is None:
        return
    if plan.dimensions is None:
        plan.dimensions, plan.model = len(vector) // 2, document.model
    if len(vector) // 2 != plan.dimensions:
        raise ValueError(f"the embedding has {len(vector) // 2} dimensions, and those of the index {plan.dimensions}")
