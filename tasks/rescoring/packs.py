"""Packs: what a generation has stored of about a thousand images in one file, so that a re-score is few large reads.

    <output>/<generation>/packed/<bucket>/manifest.json      which shard holds which keys
    <output>/<generation>/packed/<bucket>/<content>.zip      shards, named by a hash of what they hold

A shard is a zip of two files: `embeddings.npy`, float16 (n, d), and `carried.ndjson`, a line for each row with all else
that a re-score takes over (`tasks.rescoring.stored`) and the ETag of the sidecar that it comes from. Rows and shards
are in the order in which the store lists the sidecars. Packs are a copy: sidecars that are younger count for more, and
whatever a pack does not have is read from them.

Pure: bytes in, bytes out. What is read is limited in size, and no pickle is ever loaded.
"""

import base64
import hashlib
import io
import struct
import tokenize
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.layout import SUFFIX, Layout
from tasks.listing.order import Order, sortable
from tasks.records import Candidate, Embedded, Embedding, Image, Visual, decoded
from tasks.rescoring.stored import Stored

SCHEMA: Literal["stockmeta-packed/1"] = "stockmeta-packed/1"
ROWS = 1000
"""Images a shard: about 2.5 MB with embeddings of 512 dimensions."""
MOST_ROWS = 10 * ROWS
MOST_BYTES = 256 << 20
"""Of a file within a shard, unpacked."""
MANIFEST_BYTES = 1 << 30
EMBEDDINGS, CARRIED = "embeddings.npy", "carried.ndjson"
STAMP = (1980, 1, 1, 0, 0, 0)
"""The least time that a zip can say; the same content gives the same bytes."""


BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    KeyError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TypeError,
    tokenize.TokenError,
)
"""What `zipfile` and NumPy's reader of headers raise for files that are not what they seem, besides `ValueError`."""


class Row(NamedTuple):
    """What is stored of one image, and the ETag of the sidecar that it comes from."""

    stored: Stored
    sidecar: str


@dataclass(frozen=True, slots=True)
class Carried:
    """A line of `carried.ndjson`: `Stored` without the embedding, and the sidecar's ETag."""

    sidecar: str
    image: Image
    visual: Visual
    embedded: Embedded | None = None
    candidates: tuple[Candidate, ...] = ()
    written: str | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard, as the manifest has it.

    Attributes:
        name: of its file.
        first: the first key in it; `last` likewise.
        rows: how many images.
        bytes: of the file.
    """

    name: str
    first: str
    last: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """Which shard holds which keys.

    Attributes:
        order: of the store that lists the sidecars.
        shards: in that order; none overlaps another.
    """

    generation: str
    bucket: str
    order: Order
    shards: tuple[Shard, ...] = ()
    schema: Literal["stockmeta-packed/1"] = field(default=SCHEMA, kw_only=True)

    def find(self, key: str) -> Shard | None:
        """The shard in whose range a key lies."""
        place = bisect_right(self._firsts, self._sortable(key)) - 1
        if place < 0 or self._sortable(self.shards[place].last) < self._sortable(key):
            return None
        return self.shards[place]

    def starts(self, key: str) -> bool:
        """Whether a shard begins with this key."""
        shard = self.find(key)
        return shard is not None and shard.first == key

    def to_json(self) -> bytes:
        """Indented by nothing: a library of a hundred million has a hundred thousand shards."""
        return msgspec.json.encode(self) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Inverse of `to_json`. Raises `ValueError`, saying where, if it is nothing such."""
        if len(data) > MANIFEST_BYTES:
            raise ValueError(f"it has {len(data)} bytes")
        return decoded(data, cls)

    @cached_property
    def _firsts(self) -> list[str]:
        return [self._sortable(shard.first) for shard in self.shards]

    def _sortable(self, key: str) -> str:
        return sortable(key + SUFFIX, self.order)


def prefix(layout: Layout, generation: str, bucket: str) -> str:
    """What the keys of a bucket's packs begin with. Raises `ValueError` for what is no generation or bucket."""
    if "/" in bucket or not bucket:
        raise ValueError(f"{bucket!r} is not a bucket's name")
    return f"{layout.generation(generation)}packed/{bucket}/"


def manifest_key(layout: Layout, generation: str, bucket: str) -> str:
    """Key of the manifest. Raises `ValueError` as `prefix` does."""
    return f"{prefix(layout, generation, bucket)}manifest.json"


def shard_name(sidecars: Iterable[tuple[str, str]]) -> str:
    """Name of the shard that is made of these sidecars, (key of the image, ETag of the sidecar)."""
    content = hashlib.sha256(SCHEMA.encode())
    for key, etag in sidecars:
        content.update(f"{len(key)} {key} {etag}\n".encode("utf-8", "surrogatepass"))
    return f"{content.hexdigest()[:32]}.zip"


def write_shard(rows: Sequence[Row]) -> bytes:
    """A shard of rows, at least one; the embeddings have one number of dimensions."""
    vectors = np.stack([np.frombuffer(base64.b64decode(row.stored.embedding.float16), "<f2") for row in rows])
    table = io.BytesIO()
    np.lib.format.write_array(table, vectors, allow_pickle=False)
    lines = b"".join(msgspec.json.encode(_carried(row)) + b"\n" for row in rows)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as shard:
        # Numbers do not get smaller; words do, to a quarter.
        shard.writestr(zipfile.ZipInfo(EMBEDDINGS, STAMP), table.getvalue(), zipfile.ZIP_STORED)
        shard.writestr(zipfile.ZipInfo(CARRIED, STAMP), lines, zipfile.ZIP_DEFLATED)
    return file.getvalue()


@dataclass(frozen=True, eq=False)
class Rows:
    """A shard that was read; lines are made sense of one by one, when they are asked for.

    Attributes:
        vectors: float16 (n, d).
        lines: n lines of JSON.
    """

    vectors: NDArray[np.float16]
    lines: Sequence[bytes]

    @property
    def bytes(self) -> int:
        """How much memory it takes, roughly: with each line goes what finds it."""
        return self.vectors.nbytes + sum(len(line) + 300 for line in self.lines)

    def get(self, key: str) -> Row | None:
        """What is stored of the image of this key. Raises `ValueError` where its line is broken."""
        place = self._places.get(key)
        return None if place is None else self.row(place)

    def row(self, place: int) -> Row:
        """What is stored in a row. Raises `ValueError` where its line is broken."""
        line = decoded(self.lines[place], Carried)
        vector = self.vectors[place]
        embedding = Embedding(len(vector), base64.b64encode(vector.tobytes()).decode("ascii"))
        stored = Stored(line.image, line.visual, embedding, line.embedded, line.candidates, line.written)
        return Row(stored, line.sidecar)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {decoded(line, _Keyed).image.key: place for place, line in enumerate(self.lines)}


class _Key(msgspec.Struct):
    key: str


class _Keyed(msgspec.Struct):
    """As much of a line as finds it."""

    image: _Key


def read_shard(data: bytes) -> Rows:
    """Inverse of `write_shard`. Raises `ValueError`, saying what is wrong, for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as shard:
            table, lines = (_member(shard, name) for name in (EMBEDDINGS, CARRIED))
        vectors = np.lib.format.read_array(io.BytesIO(table), allow_pickle=False)
    except BROKEN as error:
        raise ValueError(f"it is no shard: {error}") from error
    except MemoryError:
        raise ValueError("it is no shard: it says that it has more numbers than fit into memory") from None
    if vectors.dtype != np.dtype("<f2") or vectors.ndim != 2:
        raise ValueError(f"its embeddings are {vectors.dtype} in {vectors.ndim} dimensions, not float16 in 2")
    rows = Rows(vectors, lines.splitlines())
    if len(rows.lines) != len(vectors) or len(vectors) > MOST_ROWS:
        raise ValueError(f"it has {len(vectors)} embeddings and {len(rows.lines)} lines")
    # Read here, so that a broken line is found before anybody relies on the shard.
    rows._places  # noqa: B018 - kept
    return rows


def _member(shard: zipfile.ZipFile, name: str) -> bytes:
    """A file of a shard. Its header says how long it is, and no more than that is unpacked."""
    info = shard.getinfo(name)
    if info.file_size > MOST_BYTES:
        raise ValueError(f"its {name} has {info.file_size} bytes")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # `zipfile` knows no bounds in these.
        raise ValueError(f"its {name} is compressed by method {info.compress_type}")
    with shard.open(info) as file:
        # Not `read()`, which unpacks all that there is, and cuts it off then.
        data = file.read(info.file_size)
    if len(data) != info.file_size:
        raise ValueError(f"its {name} ends too soon")
    return data


def _carried(row: Row) -> Carried:
    stored = row.stored
    return Carried(row.sidecar, stored.image, stored.visual, stored.embedded, stored.candidates, stored.written)
