"""What becomes of a packet that says something already: a person's words stay, unless they are to be replaced."""

import unicodedata
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
    known = set(map(_same, keywords))
    # A path whose keyword is not given would be one all the same to those who read paths.
    paths = [path for path in values.lists.get("hierarchy", ()) if _same(path.rpartition("|")[2]) in known]
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

    def marked(self, name: str, value: str) -> bool:
        """Whether we wrote it."""
        return mark(name, value) in self.marks

    def ours(self, name: str, value: str) -> bool:
        """Whether no person wrote it: we did, or a camera that writes the same on every picture."""
        return self.marked(name, value) or (name not in LISTS and is_camera_text(" ".join(value.split())))

    def their_texts(self, name: str) -> dict[str, str]:
        """A person's, here or else elsewhere."""
        if here := {language: text for language, text in self.texts(name).items() if not self.ours(name, text)}:
            return here
        other = tidy(self.elsewhere.texts.get(name, ""))
        return {DEFAULT: other} if other and not self.ours(name, other) else {}

    def their_list(self, name: str) -> tuple[str, ...]:
        others = self.elsewhere.keywords if name == "keywords" else ()
        here, there = ([each for each in values if not self.marked(name, each)] for values in (self.list(name), others))
        return _with(here, there)


def _texts(before: _Before, name: str, values: Values, policy: Merge) -> dict[str, str]:
    here, wanted = before.texts(name), dict(values.texts.get(name, {}))
    # Ours that the record no longer says goes, whatever the policy.
    left = {
        language: wanted.get(language, "") if before.marked(name, text) else text for language, text in here.items()
    }
    left = {language: text for language, text in left.items() if text}
    theirs = before.their_texts(name)
    if policy is Merge.REPLACE or not theirs:
        return wanted or left
    kept = left if any(not before.ours(name, text) for text in here.values()) else theirs
    if policy is Merge.ADD and name in BY_LANGUAGE:
        return {**wanted, **kept} if DEFAULT in kept else {**{k: v for k, v in wanted.items() if k != DEFAULT}, **kept}
    return kept


def _list(before: _Before, name: str, values: Values, policy: Merge) -> tuple[str, ...]:
    here, wanted = before.list(name), tuple(values.lists.get(name, ()))
    said = set(map(_same, wanted))
    left = tuple(value for value in here if not before.marked(name, value) or _same(value) in said)
    theirs = before.their_list(name)
    if policy is Merge.REPLACE or not theirs:
        return wanted or left
    if policy is Merge.ADD:
        return _with(theirs, wanted)
    return left if any(not before.marked(name, value) for value in here) else theirs


def _with(first: Sequence[str], more: Iterable[str]) -> tuple[str, ...]:
    """Values as they are, and those of others that are none of them in another spelling."""
    known, added = set(map(_same, first)), []
    for value in more:
        if (same := _same(value)) not in known:
            known.add(same)
            added.append(value)
    return (*first, *added)


def _same(value: str) -> str:
    """What the spellings of a value have in common: case, spaces and Unicode's ways of composing are none of it."""
    return " ".join(unicodedata.normalize("NFC", value).casefold().split())


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
        theirs: list[str] = [*values.theirs.get(name, ())]
        if policy is not Merge.REPLACE:
            theirs += before.their_list(name) if name in LISTS else before.their_texts(name).values()
        wanted = values.lists.get(name, ()) if name in LISTS else values.texts.get(name, {}).values()
        same, said = set(map(_same, theirs)), set(map(_same, wanted))
        for value in entries:
            # What stays because we have nothing to say instead is as little ours as it was.
            if _same(value) not in same and (_same(value) in said or before.marked(name, value)):
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
            packet.set_text(PLAIN[name], texts[name].get(DEFAULT, ""))
        else:
            packet.set_items(LISTS[name], lists[name])
    packet.set_items(MARKS, marks)
    packet.set_text(CHANGED, datetime.now(UTC).isoformat(timespec="seconds"))
