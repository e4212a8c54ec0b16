"""Metadata into a file: what it says is read, merged with ours, and written by exiftool; the picture stays as it is."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from tasks.errors import Reason, Rejected
from tasks.own_words import mark
from taxonomy.camera_texts import is_camera_text
from worker.metadata import pixels
from worker.metadata.exiftool import Blocks, ExifTool
from worker.metadata.fields import BY_LANGUAGE, LISTS, MARKS, PLAIN, Values, tidy
from worker.metadata.iim import TEXTS, Iim, UnknownIim, fitting
from worker.metadata.merge import Elsewhere, Merge, Merged, merge
from worker.metadata.xmp import DEFAULT, Packet

SUFFIXES: Mapping[str, str] = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif"}
"""The formats that are written, by Pillow's names, and how exiftool knows them."""
MOST_JPEG = 65_502
"""Bytes of a packet in a JPEG's segment; more would have to be split."""


class BesideOnly(Exception):
    """The metadata cannot go into this file without harm, and so go beside it; the message says why."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A file with its metadata: the same bytes where nothing had to change."""

    data: bytes
    merged: Merged


def embed(
    data: bytes, kind: str, values: Values, policy: Merge, tool: ExifTool, elsewhere: Elsewhere | None = None
) -> Embedded:
    """Merge values into a file.

    Args:
        data: the file.
        kind: its format by Pillow's name, one of `SUFFIXES`.
        values: what it is to say.
        policy: what becomes of what it says already.
        tool: writes.
        elsewhere: what else is known to be a person's.

    Raises:
        BesideOnly: exiftool cannot write it, it has more metadata than can be written back in one piece, or the
            picture in it cannot be found, and so not be compared.
        Rejected: exiftool cannot read it, its XMP is hostile, or the picture would not be the same after.
        Crashed: exiftool ended, or took too long.
        Unavailable: no room for temporary files.
    """
    before = tool.read(data, SUFFIXES[kind])
    if before.extended:
        raise BesideOnly("its XMP is in several parts")
    packet = Packet(before.xmp)
    old_marks = frozenset(packet.items(MARKS))
    iim = _iim(before.iim)
    merged = merge(packet, values, policy, _theirs(iim, packet, before.description, elsewhere or Elsewhere()))
    blocks = Blocks(
        xmp=packet.to_bytes() if merged.changed else None,
        iim=None if iim is None or before.iim is None else _other_iim(iim, before.iim, merged, policy, old_marks),
        description=_other_description(before.description, merged, policy, old_marks),
    )
    if blocks == Blocks():
        return Embedded(data, merged)
    if kind == "JPEG" and blocks.xmp is not None and len(blocks.xmp) > MOST_JPEG:
        raise BesideOnly("its XMP would be too long for a JPEG")
    try:
        written = tool.write(data, SUFFIXES[kind], blocks)
    except Rejected as error:
        raise BesideOnly(error.detail) from error
    _require_same_picture(data, written, kind)
    if blocks.xmp is not None:
        there = blocks.xmp if blocks.xmp in written else tool.read(written, SUFFIXES[kind]).xmp
        require_as_meant(there, merged)
    changed = merged.changed or (("description",) if blocks.description is not None else ("iim",))
    return Embedded(written, replace(merged, changed=changed))


def require_as_meant(data: bytes | None, merged: Merged) -> None:
    """Read a packet again. Raises `Rejected` where it does not say what it was made to say."""
    packet = Packet(data)
    said = {name: packet.alternatives(which) for name, which in {**BY_LANGUAGE, **PLAIN}.items()}
    listed = {name: packet.items(which) for name, which in LISTS.items()}
    if said != merged.texts or listed != merged.lists:
        raise Rejected(Reason.UNREADABLE, "its XMP does not take what is written into it")


def _require_same_picture(before: bytes, after: bytes, kind: str) -> None:
    try:
        picture = pixels.fingerprint(before, kind)
    except pixels.Unreadable as error:
        raise BesideOnly(str(error)) from error
    try:
        same = picture == pixels.fingerprint(after, kind)
    except pixels.Unreadable:
        same = False
    if not same:
        raise Rejected(Reason.UNREADABLE, "writing its metadata would have changed the picture, so it was not done")


def _iim(block: bytes | None) -> Iim | None:
    """The file's IIM, if it has one that can be understood; another is left alone."""
    if block:
        with suppress(UnknownIim):
            return Iim(block)
    return None


def _theirs(iim: Iim | None, packet: Packet, description: str | None, elsewhere: Elsewhere) -> Elsewhere:
    """What is a person's outside of the XMP: IIM before Exif before what the record says."""
    texts = dict(elsewhere.texts)
    if description and not is_camera_text(tidy(description)):
        texts["description"] = description
    if iim is None:
        return Elsewhere(texts, elsewhere.keywords)
    texts |= {name: text for name in TEXTS if (text := iim.text(name))}
    # What IIM had no room for is whole in the XMP.
    cut = {fitting("keywords", word) for word in packet.items(LISTS["keywords"])}
    return Elsewhere(texts, (*(word for word in iim.keywords() if word not in cut), *elsewhere.keywords))


def _other_iim(iim: Iim, before: bytes, merged: Merged, policy: Merge, old_marks: frozenset[str]) -> bytes | None:
    """The block with what the XMP says now, as far as the policy lets; `None` where it stays as it is."""

    def free(name: str, value: str) -> bool:
        known = {*old_marks, *merged.marks}
        return policy is Merge.REPLACE or not value or mark(name, value) in known

    texts = {}
    for name in TEXTS:
        old, now = iim.text(name), fitting(name, merged.texts[name].get(DEFAULT, ""))
        # Where there is nothing to say now, only what we wrote goes.
        if now != old and (free(name, old) if now else mark(name, old) in old_marks):
            texts[name] = now
    there = iim.keywords()
    wanted = tuple(dict.fromkeys(fitting("keywords", word) for word in merged.lists["keywords"]))
    if not wanted or not (policy is Merge.ADD or all(free("keywords", word) for word in there)):
        wanted = tuple(word for word in there if word in wanted or mark("keywords", word) not in old_marks)
    keywords = wanted if wanted != there else None
    if not texts and keywords is None:
        return None
    after = iim.changed(texts, keywords)
    return None if after == before else after


def _other_description(before: str | None, merged: Merged, policy: Merge, old_marks: frozenset[str]) -> str | None:
    """Exif's description as the XMP says it now, where a file has the tag; `None` where it stays as it is."""
    now = merged.texts["description"].get(DEFAULT, "")
    if before is None or tidy(before) == now:
        return None
    if not now:
        return "" if mark("description", tidy(before)) in old_marks else None
    known = {*old_marks, *merged.marks}
    free = is_camera_text(tidy(before)) or mark("description", before) in known
    return now if policy is Merge.REPLACE or free else None
