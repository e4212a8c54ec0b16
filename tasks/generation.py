"""Generations: one is one way of making metadata. A pointer says which serves and which is being filled."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from tasks.errors import ConfigurationError, Conflict, Unavailable
from tasks.layout import GENERATION, Layout
from tasks.ports import Store

SCHEMA = "stockmeta-current/1"
ATTEMPTS = 20
"""Every refused write means that somebody else's went through, so this is how many may be ahead of us."""


@dataclass(frozen=True, slots=True)
class Current:
    """The pointer's content: the generation that readers see, and the one being filled to replace it."""

    serving: str | None = None
    filling: str | None = None

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

    return _change(store, layout, generation, opened)


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

    return _change(store, layout, generation, joined)


def promote(store: Store, layout: Layout, generation: str) -> Current:
    """Let a generation serve, be it the one being filled or, for a rollback, an earlier one.

    Raises:
        ConfigurationError: nothing was ever written in that generation, or the pointer cannot be read.
        Unavailable: the store does not answer, or too many write the pointer at once.
    """

    def promoted(current: Current) -> Current:
        if generation not in current.written and next(store.list(f"{layout.root}{generation}/"), None) is None:
            raise ConfigurationError(f"there is no generation {generation}: nothing was ever written in it")
        return Current(generation, None if current.filling == generation else current.filling)

    return _change(store, layout, generation, promoted)


def _change(store: Store, layout: Layout, generation: str, change: Callable[[Current], Current]) -> Current:
    """Apply a change to the pointer as it is at that moment, whoever else is changing it."""
    if not GENERATION.fullmatch(generation):
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
    except ValueError as error:
        raise ConfigurationError(
            f"{store.bucket}: {layout.current!r} is not a generation pointer that this version understands ({error}). "
            "If a newer stockmeta wrote it, use that one. Otherwise restore it, or delete it: the sidecars stay, and "
            "the next backfill opens the generation it makes as the serving one"
        ) from error


def _parse(data: bytes) -> Current:
    """Inverse of `_dump`. Raises `ValueError`."""
    content = json.loads(data)
    if not isinstance(content, dict) or content.keys() != {"schema", "serving", "filling"}:
        raise ValueError("expected an object with schema, serving and filling")
    if content["schema"] != SCHEMA:
        raise ValueError(f"expected schema {SCHEMA}, found {content['schema']!r}")
    for name in ("serving", "filling"):
        value = content[name]
        if value is not None and not (isinstance(value, str) and GENERATION.fullmatch(value)):
            raise ValueError(f"{name} is {value!r}")
    return Current(content["serving"], content["filling"])


def _dump(current: Current) -> bytes:
    return json.dumps({"schema": SCHEMA, **asdict(current)}, indent=2).encode() + b"\n"
