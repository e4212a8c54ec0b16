"""Metadata beside a file: `.xmp` sidecars as other programs name and read them."""

from enum import StrEnum

from tasks.errors import Reason, Rejected
from worker.metadata.embed import require_as_meant
from worker.metadata.fields import PHOTOSHOP, Values
from worker.metadata.merge import Elsewhere, Merge, Merged, merge
from worker.metadata.xmp import Packet, Property

SUFFIX = ".xmp"
FOR = Property(PHOTOSHOP, "SidecarForExtension")
"""Which of several files of one name a sidecar is for."""


class Naming(StrEnum):
    """What a sidecar is called."""

    ADOBE = "adobe"
    """`photo.xmp` beside `photo.jpg`: Lightroom, Bridge, Capture One."""
    FULL = "full"
    """`photo.jpg.xmp`: darktable, digiKam, RawTherapee."""

    def key(self, image: str) -> str:
        """The key of an image's sidecar."""
        if self is Naming.FULL:
            return image + SUFFIX
        folder, slash, name = image.rpartition("/")
        stem, dot, _ = name.rpartition(".")
        return f"{folder}{slash}{stem if dot and stem else name}{SUFFIX}"

    def extension(self, image: str) -> str | None:
        """The image's, where the sidecar's name does not tell it."""
        return None if self is Naming.FULL else image.rpartition("/")[2].rpartition(".")[2]


def beside(
    existing: bytes | None, values: Values, policy: Merge, elsewhere: Elsewhere, extension: str | None = None
) -> tuple[bytes, Merged]:
    """A sidecar's new content, and what it says.

    Args:
        existing: what there is.
        values: what it is to say; `policy` and `elsewhere` are as for `merge`.
        policy: what becomes of what it says already.
        elsewhere: what else is a person's.
        extension: of the image, to be noted in the sidecar as Adobe does.

    Raises:
        Rejected: the existing one is another image's, or not to be trusted.
    """
    packet = Packet(existing)
    noted = next(iter(packet.alternatives(FOR).values()), None)
    if extension is not None and noted is not None and noted.casefold() != extension.casefold():
        raise Rejected(Reason.KEY_INVALID, f"the sidecar of that name is that of the .{noted} file: say --naming full")
    merged = merge(packet, values, policy, elsewhere)
    if existing is not None and not merged.changed:
        return existing, merged
    if extension is not None:
        packet.set_text(FOR, extension)
    data = packet.to_bytes()
    require_as_meant(data, merged)
    return data, merged
