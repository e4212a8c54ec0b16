"""What becomes of a packet that says something already: a person's words stay, unless they are to be replaced."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from tasks.own_words import mark
from taxonomy.camera_texts import is_camera_text
from worker.metadata.fields import BY_LANGUAGE, CHANGED, LISTS, MARKS, PLAIN, Values, tidy
from worker.metadata.iim import fitting
from worker.metadata.xmp import DEFAULT, Packet


class Merge(StrEnum):
    """How what is there and what we have come together. What we wrote there ourselves counts as ours always."""

    KEEP = "keep"
    """A field in which a person wrote stays as it is; the others are filled."""
    ADD = "add"
    """A person's words stay; our keywords, and languages that are missing, come after them."""
    REPLACE = "replace"
    """Our fields are ours, whatever was there."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What a person wrote about the picture in other places than the packet: IIM, Exif, the file beside a sidecar."""

    texts: Mapping[str, str] = field(default_factory=dict)
    keywords: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Merged:
    """What a packet says after the merge.

    Attributes:
        changed: the fields that say something else than before, in their order.
        texts: by field and language, as they are now; `lists` likewise.
        marks: of all values that are ours.
    """

    changed: tuple[str, ...]
    texts: Mapping[str, Mapping[str, str]]
    lists: Mapping[str, Sequence[str]]
    marks: frozenset[str]


def merge(packet: Packet, values: Values, policy: Merge, elsewhere: Elsewhere | None = None) -> Merged:
    """Bring values into a packet, in place; a packet in which nothing changes is not touched."""
    before = _Before(packet, frozenset(packet.items(MARKS)), elsewhere or Elsewhere())
    texts = {name: _texts(before, name, values, policy) for name in (*BY_LANGUAGE, *PLAIN)}
    keywords = _list(before, "keywords", values, policy)
    known = {word.casefold() for word in keywords}
    # A path whose keyword is not given would be one all the same to those who read paths.
    paths = [path for path in values.lists.get("hierarchy", ()) if path.rpartition("|")[2].casefold() in known]
    values = Values(values.texts, {**values.lists, "hierarchy": paths}, values.theirs)
    lists = {name: keywords if name == "keywords" else _list(before, name, values, policy) for name in LISTS}
    marks = _marks(before, values, policy, texts, lists)
    changed = [name for name, text in texts.items() if text != before.texts(name)]
    changed += [name for name, entries in lists.items() if entries != before.list(name)]
    if changed:
        _write(packet, changed, texts, lists, marks)
    return Merged(tuple(changed), texts, lists, frozenset(marks))


@dataclass(frozen=True)
class _Before:
    """What was there, and whose it is."""

    packet: Packet
    marks: frozenset[str]
    elsewhere: Elsewhere

    def texts(self, name: str) -> dict[str, str]:
        if name in BY_LANGUAGE:
            return self.packet.alternatives(BY_LANGUAGE[name])
        return dict(list(self.packet.alternatives(PLAIN[name]).items())[:1])

    def list(self, name: str) -> tuple[str, ...]:
        return self.packet.items(LISTS[name])

    def ours(self, name: str, value: str) -> bool:
        """Whether no person wrote it: we did, or a camera that writes the same on every picture."""
        return mark(name, value) in self.marks or (name not in LISTS and is_camera_text(" ".join(value.split())))

    def their_texts(self, name: str) -> dict[str, str]:
        """A person's, here or else elsewhere."""
        if here := {language: text for language, text in self.texts(name).items() if not self.ours(name, text)}:
            return here
        other = tidy(self.elsewhere.texts.get(name, ""))
        return {DEFAULT: other} if other and not self.ours(name, other) else {}

    def their_list(self, name: str) -> tuple[str, ...]:
        others = self.elsewhere.keywords if name == "keywords" else ()
        return _union(value for value in (*self.list(name), *others) if not self.ours(name, value))


def _texts(before: _Before, name: str, values: Values, policy: Merge) -> dict[str, str]:
    here, wanted = before.texts(name), dict(values.texts.get(name, {}))
    if policy is Merge.REPLACE:
        return wanted or here
    theirs = before.their_texts(name)
    if not theirs:
        return wanted or here
    kept = here if any(not before.ours(name, text) for text in here.values()) else theirs
    if policy is Merge.ADD and name in BY_LANGUAGE:
        return {**wanted, **kept} if DEFAULT in kept else {**{k: v for k, v in wanted.items() if k != DEFAULT}, **kept}
    return kept


def _list(before: _Before, name: str, values: Values, policy: Merge) -> tuple[str, ...]:
    here, wanted = before.list(name), tuple(values.lists.get(name, ()))
    if policy is Merge.REPLACE:
        return wanted or here
    theirs = before.their_list(name)
    if not theirs:
        return wanted or here
    if policy is Merge.ADD:
        return _union((*theirs, *wanted))
    return here if any(not before.ours(name, value) for value in here) else theirs


def _union(values: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for value in values:
        found.setdefault(value.casefold(), value)
    return tuple(found.values())


def _marks(
    before: _Before,
    values: Values,
    policy: Merge,
    texts: Mapping[str, Mapping[str, str]],
    lists: Mapping[str, Sequence[str]],
) -> list[str]:
    """One for each value that is now there and that no person wrote there, in the fields' order."""
    found: dict[str, None] = {}
    for name, entries in (*((name, tuple(text.values())) for name, text in texts.items()), *lists.items()):
        if policy is Merge.REPLACE:
            theirs: Collection[str] = values.theirs.get(name, frozenset())
        elif name in LISTS:
            theirs = {*before.their_list(name), *values.theirs.get(name, ())}
        else:
            theirs = {*before.their_texts(name).values(), *values.theirs.get(name, ())}
        same = {value.casefold() for value in theirs}
        for value in entries:
            if value.casefold() not in same:
                # As it stands in the XMP, and as far as it fits into IIM.
                found |= dict.fromkeys((mark(name, value), mark(name, fitting(name, value))))
    return list(found)


def _write(
    packet: Packet,
    changed: Collection[str],
    texts: Mapping[str, Mapping[str, str]],
    lists: Mapping[str, Sequence[str]],
    marks: Sequence[str],
) -> None:
    for name in changed:
        if name in BY_LANGUAGE:
            packet.set_alternatives(BY_LANGUAGE[name], texts[name])
        elif name in PLAIN:
            packet.set_text(PLAIN[name], texts[name][DEFAULT])
        else:
            packet.set_items(LISTS[name], lists[name])
    packet.set_items(MARKS, marks)
    packet.set_text(CHANGED, datetime.now(UTC).isoformat(timespec="seconds"))
