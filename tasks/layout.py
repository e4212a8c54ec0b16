"""Where things lie: the paths of an output root, and what counts as an image.

    <root>current.json                                  which generation serves, which is being filled
    <root><generation>/generation.json                  how the generation is made
    <root><generation>/done/<source bucket>/<key>.json      sidecars with metadata
    <root><generation>/failed/<source bucket>/<key>.json    terminal records
    <root>human/<source bucket>/<key>.json                  what people decided

Pure functions; nothing here looks at a store.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tasks.errors import Reason, Rejected
from tasks.records import ImageRef

Kind = Literal["done", "failed", "human"]

OUTPUT_ROOT = ".stockmeta/"
"""Where outputs lie in a library's own bucket, unless a setting says otherwise."""

SUFFIX = ".json"
GENERATION = re.compile(r"[0-9a-f]{12}")
IMAGE_EXTENSIONS = frozenset({"jpg", "jpeg", "jpe", "png", "webp", "tif", "tiff", "gif", "avif", "heic", "heif"})


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How long a path the output store can hold, in bytes of UTF-8; `None` is no limit.

    Attributes:
        path: the whole key.
        component: what lies between two `/`.
    """

    path: int | None
    component: int | None


S3_KEYS = KeyLimits(path=1024, component=None)
"""Amazon S3 user guide, "Naming Amazon S3 objects"."""

FOLDER_KEYS = KeyLimits(path=None, component=255)
"""ext4, XFS, Btrfs, APFS and NTFS alike. PATH_MAX depends on where the folder lies: the store refuses by itself."""


class Place(NamedTuple):
    """What a path in the output root stands for; what people decided belongs to no generation."""

    kind: Kind
    generation: str | None
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below one output root.

    Attributes:
        root: the prefix: empty where the outputs have a bucket to themselves, else ending with `/`.
        limits: what the output store can hold.
    """

    root: str = OUTPUT_ROOT
    limits: KeyLimits = S3_KEYS

    def __post_init__(self) -> None:
        if self.root.startswith("/") or (self.root and not self.root.endswith("/")):
            raise ValueError(f"the output root {self.root!r} has to be empty, or to end with / and not begin with it")

    @property
    def current(self) -> str:
        """Key of the pointer to the generations."""
        return f"{self.root}current.json"

    def description(self, generation: str) -> str:
        """Key of what a generation was made with."""
        return f"{self.generation(generation)}generation.json"

    def generation(self, generation: str) -> str:
        """What the keys of everything in a generation begin with."""
        if not GENERATION.fullmatch(generation):
            raise ValueError(f"{generation!r} is not a generation")
        return f"{self.root}{generation}/"

    def done(self, generation: str, ref: ImageRef) -> str:
        """Key of the sidecar. Raises `Rejected` (`KEY_TOO_LONG`) where `check` does."""
        return self._key("done", generation, ref)

    def failed(self, generation: str, ref: ImageRef) -> str:
        """Key of the terminal record. Raises `Rejected` (`KEY_TOO_LONG`) where `check` does."""
        return self._key("failed", generation, ref)

    def human(self, ref: ImageRef) -> str:
        """Key of what people decided. Raises `Rejected` (`KEY_TOO_LONG`) where `check` does."""
        return self._key("human", None, ref)

    def prefix(self, kind: Kind, generation: str | None, bucket: str, prefix: str = "") -> str:
        """What the keys of all records of a kind begin with, whose images' keys begin with `prefix`."""
        if "/" in bucket or not bucket:
            raise ValueError(f"{bucket!r} is not a bucket's name")
        if kind == "human":
            return f"{self.root}human/{bucket}/{prefix}"
        if generation is None or not GENERATION.fullmatch(generation):
            raise ValueError(f"{generation!r} is not a generation")
        return f"{self.root}{generation}/{kind}/{bucket}/{prefix}"

    def check(self, ref: ImageRef) -> None:
        """Raise `Rejected` (`KEY_TOO_LONG`) for a key that one of its records' paths could not hold.

        The longest of them decides, so that whether an image is refused does not depend on what becomes of it.
        """
        longest = self.prefix("failed", "0" * 12, ref.bucket, ref.key) + SUFFIX
        _limit(len(_bytes(longest)), self.limits.path, "the path of its record")
        if self.limits.component is not None:
            component = max(len(_bytes(part)) for part in longest.split("/"))
            _limit(component, self.limits.component, "a component of the path of its record")

    def parse(self, path: str) -> Place | None:
        """The inverse of `done`, `failed` and `human`; `None` for a path that none of them makes."""
        if not path.startswith(self.root) or not path.endswith(SUFFIX):
            return None
        below = path[len(self.root) : -len(SUFFIX)]
        kind, _, rest = below.partition("/")
        generation = None
        if GENERATION.fullmatch(kind):
            generation = kind
            kind, _, rest = rest.partition("/")
        bucket, _, key = rest.partition("/")
        if not bucket or not key:
            return None
        match kind, generation:
            case (("done" | "failed"), str()):
                return Place("done" if kind == "done" else "failed", generation, bucket, key)
            case "human", None:
                return Place("human", None, bucket, key)
        return None

    def is_output(self, key: str) -> bool:
        """Whether a key of the library's bucket lies in the output root; never, where outputs have their own bucket."""
        return bool(self.root) and key.startswith(self.root)

    def _key(self, kind: Kind, generation: str | None, ref: ImageRef) -> str:
        self.check(ref)
        return self.prefix(kind, generation, ref.bucket, ref.key) + SUFFIX


def is_image(key: str, extensions: Collection[str] = IMAGE_EXTENSIONS) -> bool:
    """Whether a key is named like an image; `extensions` are lower-case, without dots.

    macOS puts a `._photo.jpg` without any picture beside every `photo.jpg` on foreign disks: these are not meant.
    """
    name = key.rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    return bool(stem and dot) and not name.startswith("._") and extension.lower() in extensions


def _limit(length: int, limit: int | None, what: str) -> None:
    if limit is not None and length > limit:
        raise Rejected(Reason.KEY_TOO_LONG, f"{what} would have {length} bytes and may have {limit}")


def _bytes(text: str) -> bytes:
    # A message may carry half a surrogate pair; that is for the store to refuse, not for us to fall over.
    return text.encode("utf-8", "surrogatepass")
