"""Which stored embeddings may be scored again in place of reading pixels, and where they are found.

A record of another generation is taken if a fresh look at the image would find the same: the content is the same (its
ETag), and so is all that the embedding and what is stored beside it depend on (`tasks.generations.description.Sight`).
Anything else, and anything broken, is no trouble: the image is read, as if there were no such record.

Terminal records are never taken over. What could not be read once may be read by now, with other limits or another
decoder, which no fingerprint tells; and looking again costs one image, not a library.
"""

import threading
import time
from dataclasses import dataclass, field, replace

from tasks.generations.description import Sight, read_description, reusable
from tasks.layout import GENERATION, Layout
from tasks.ports import Store
from tasks.records import ImageRef, Record
from tasks.rescoring.packed import PackReader
from tasks.rescoring.stored import Stored, stored_in, vector_of

LOOK_SECONDS = 60.0
"""So long after a generation was found to say nothing of itself it is asked again."""


@dataclass(frozen=True)
class Rescorer:
    """Finds what other generations have stored; for many threads.

    Attributes:
        sidecars: holds the records and packs.
        layout: where.
        sight: what this worker would see of an image.
        dimensions: of its embeddings.
    """

    sidecars: Store
    layout: Layout
    sight: Sight
    dimensions: int
    _sights: dict[str, tuple[float, Sight | None]] = field(default_factory=dict)
    _packs: dict[tuple[str, str], PackReader] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, ref: ImageRef, etag: str, generation: str) -> Stored | None:
        """What `generation` has stored of the content `etag`, as a fresh look would find it; `None`: look afresh.

        Raises:
            Unavailable: the store does not answer.
        """
        sight = self._sight(generation)
        if sight is None or not reusable(self.sight, sight):
            return None
        found = self._pack(ref.bucket, generation).find(ref.key)
        if found is None or not self._fits(found, ref, etag):
            # Not packed, or packed before it was replaced.
            found = self._recorded(ref, generation)
            if found is None or not self._fits(found, ref, etag):
                return None
        # Candidates of a generator that this worker has not would be in no fresh record.
        return found if self.sight.generator else replace(found, candidates=())

    def _sight(self, generation: str) -> Sight | None:
        """What the generation's records saw. A description stays as it is, so it is read once."""
        if not GENERATION.fullmatch(generation):
            return None
        now = time.monotonic()
        looked, sight = self._sights.get(generation, (None, None))
        if looked is None or (sight is None and now - looked > LOOK_SECONDS):
            description = read_description(self.sidecars, self.layout, generation)
            sight = description.sight if description else None
            self._sights[generation] = (now, sight)
        return sight

    def _pack(self, bucket: str, generation: str) -> PackReader:
        with self._lock:
            place = (bucket, generation)
            if place not in self._packs:
                self._packs[place] = PackReader(self.sidecars, self.layout, generation, bucket)
            return self._packs[place]

    def _recorded(self, ref: ImageRef, generation: str) -> Stored | None:
        found = self.sidecars.read(self.layout.done(generation, ref))
        if found is None:
            return None
        try:
            record = Record.from_json(found[0])
        except ValueError:
            return None
        return stored_in(record) if record.generation == generation else None

    def _fits(self, found: Stored, ref: ImageRef, etag: str) -> bool:
        image = found.image
        same = (image.bucket, image.key, image.etag) == (ref.bucket, ref.key, etag)
        return same and vector_of(found.embedding, self.dimensions) is not None
