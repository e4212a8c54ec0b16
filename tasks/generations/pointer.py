"""Generations: one is one way of making metadata. A pointer says which serves and which is being filled."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tasks.errors import ConfigurationError, Conflict, Unavailable
from tasks.layout import GENERATION, Layout
from tasks.ports import Store

SCHEMA = "stockmeta-current/1"
ATTEMPTS = 20
"""Every refused write means that somebody else's went through, so this is how many may be ahead of us."""

REMEMBERED = 16
"""Generations that served before, so that a rollback finds the way back."""


@dataclass(frozen=True, slots=True)
class Current:
    """The pointer's content, schema `stockmeta-current/1`.

    `previous` is left out of the document while it is empty, so that before the first promotion it reads as it always
    did. A version that does not know it refuses the document instead of losing the history, and says so.

    Attributes:
        serving: the generation that readers see.
        filling: the one being filled to replace it.
        previous: those that served before, the last one first.
    """

    serving: str | None = None
    filling: str | None = None
    previous: tuple[str, ...] = ()

    @property
    def written(self) -> tuple[str, ...]:
        """The generations that an upload is written to, the serving one first."""
        return tuple(generation for generation in (self.serving, self.filling) if generation is not None)


def generation_id(parts: Mapping[str, str]) -> str:
    """Name of the generation that is made of these parts, 12 hex digits.

    Args:
        parts: fingerprints of everything that decides what is written, by name: the encoder's (weights, preprocessing,
            precision), its texts', prompts, captioner, vocabulary, policy, calibration, schema.
    """
    canonical = json.dumps(dict(parts), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def read_current(store: Store, layout: Layout) -> Current:
    """The pointer; empty in a library that was never written to. Raises `ConfigurationError`, `Unavailable`."""
    return _read(store, layout)[0]


def open_generation(store: Store, layout: Layout, generation: str) -> Current:
    """Make sure that a generation may be written; returns the pointer as it then is.

    With nothing serving it serves, so that a first run shows its results as they come; otherwise it becomes the one
    being filled. May be called by any number of workers at once.

    Raises:
        ConfigurationError: the pointer cannot be read.
        Unavailable: the store does not answer, or too many write the pointer at once.
    """

    def opened(current: Current) -> Current:
        if generation in current.written:
            return current
        return replace(current, filling=generation) if current.serving else replace(current, serving=generation)

    return _change(store, layout, opened, generation)


def join_generation(store: Store, layout: Layout, generation: str, *, open_new: bool = False) -> Current:
    """Make sure that a worker may write a generation: one that serves or is being filled, or the library's first.

    Args:
        store: holds the pointer.
        layout: where.
        generation: what the worker makes.
        open_new: whether to open it as the one being filled, if it is neither.

    Raises:
        ConfigurationError: the library is kept in another generation, or the pointer cannot be read.
        Unavailable: the store does not answer, or too many write the pointer at once.
    """

    def joined(current: Current) -> Current:
        if generation in current.written:
            return current
        if current.serving is None:
            return replace(current, serving=generation)
        if open_new and current.filling is None:
            return replace(current, filling=generation)
        kept = " and ".join(current.written)
        raise ConfigurationError(
            f"this worker makes generation {generation}, and {store.bucket!r} is kept in {kept}. A generation is one "
            "way of making metadata: the model, the vocabulary, the languages, the thresholds and so on. Set them to "
            "what they were; or, to fill a new generation beside the one that serves, start a worker "
            "with --open-generation"
        )

    return _change(store, layout, joined, generation)


def promote(store: Store, layout: Layout, generation: str) -> Current:
    """Let a generation serve, be it the one being filled or an earlier one.

    Raises:
        ConfigurationError: nothing was ever written in that generation, or the pointer cannot be read.
        Unavailable: the store does not answer, or too many write the pointer at once.
    """

    def promoted(current: Current) -> Current:
        if generation == current.serving:
            return current
        if generation not in current.written:
            _require_records(store, layout, generation)
        before = (current.serving, *current.previous)
        kept = tuple(name for name in before if name not in (None, generation))
        return _served(current, generation, tuple(dict.fromkeys(kept)))

    return _change(store, layout, promoted, generation)


def rollback(store: Store, layout: Layout) -> Current:
    """Let the generation serve again that served before.

    Raises:
        ConfigurationError: none did, or somebody else moved the pointer meanwhile, or it cannot be read.
        Unavailable: the store does not answer, or too many write the pointer at once.
    """
    seen = read_current(store, layout).serving

    def rolled(current: Current) -> Current:
        if current.serving != seen:
            raise ConfigurationError(f"somebody else let {current.serving} serve meanwhile; look, and begin again")
        if not current.previous:
            raise ConfigurationError("no generation served before this one")
        _require_records(store, layout, current.previous[0])
        return _served(current, current.previous[0], current.previous[1:])

    return _change(store, layout, rolled)


def withdraw(store: Store, layout: Layout, generation: str) -> Current:
    """Take a generation out of the pointer, so that nobody writes it any more.

    Raises:
        ConfigurationError: it serves, or the pointer cannot be read.
        Unavailable: the store does not answer, or too many write the pointer at once.
    """

    def withdrawn(current: Current) -> Current:
        if generation == current.serving:
            raise ConfigurationError(f"{generation} serves: promote another one, or roll back, first")
        filling = None if current.filling == generation else current.filling
        return replace(current, filling=filling, previous=tuple(n for n in current.previous if n != generation))

    return _change(store, layout, withdrawn, generation)


def _served(current: Current, generation: str, previous: tuple[str, ...]) -> Current:
    filling = None if current.filling == generation else current.filling
    return Current(generation, filling, previous[:REMEMBERED])


def _require_records(store: Store, layout: Layout, generation: str) -> None:
    below = layout.generation(generation)
    for kind in ("done/", "failed/"):
        if next(store.list(below + kind), None) is not None:
            return
    raise ConfigurationError(f"there is no generation {generation}: nothing was ever written in it")


def _change(
    store: Store, layout: Layout, change: Callable[[Current], Current], generation: str | None = None
) -> Current:
    """Apply a change to the pointer as it is at that moment, whoever else is changing it."""
    if generation is not None and not GENERATION.fullmatch(generation):
        raise ConfigurationError(f"{generation!r} is not a generation: those have 12 hex digits")
    for _ in range(ATTEMPTS):
        current, etag = _read(store, layout)
        changed = change(current)
        if changed == current:
            return current
        try:
            store.put(layout.current, _dump(changed), if_match=etag)
        except Conflict:
            continue
        return changed
    raise Unavailable(f"{store.bucket}: {layout.current!r} was written by others {ATTEMPTS} times in a row")


def _read(store: Store, layout: Layout) -> tuple[Current, str | None]:
    """The pointer with its ETag."""
    found = store.read(layout.current)
    if found is None:
        return Current(), None
    data, etag = found
    try:
        return _parse(data), etag
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{store.bucket}: {layout.current!r} is not a generation pointer that this version understands ({error}). "
            "If a newer stockmeta wrote it, use that one. Otherwise restore it, or delete it: the sidecars stay, and "
            "the next backfill opens the generation it makes as the serving one"
        ) from error


def _parse(data: bytes) -> Current:
    """Inverse of `_dump`. Raises `ValueError`."""
    content = json.loads(data)
    if not isinstance(content, dict) or content.keys() | {"previous"} != {"schema", "serving", "filling", "previous"}:
        raise ValueError("expected an object with schema, serving and filling, and previous if any")
    if content["schema"] != SCHEMA:
        raise ValueError(f"expected schema {SCHEMA}, found {content['schema']!r}")
    previous = content.get("previous", [])
    if not isinstance(previous, list) or not all(map(_is_name, previous)):
        raise ValueError(f"previous is {previous!r}")
    for name in ("serving", "filling"):
        value = content[name]
        if value is not None and not _is_name(value):
            raise ValueError(f"{name} is {value!r}")
    return Current(content["serving"], content["filling"], tuple(previous))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and GENERATION.fullmatch(value) is not None


def _dump(current: Current) -> bytes:
    content: dict[str, Any] = {"schema": SCHEMA, "serving": current.serving, "filling": current.filling}
    if current.previous:
        content["previous"] = current.previous
    return json.dumps(content, indent=2).encode() + b"\n"
