"""How good searches are, on labelled photographs. Prints figures; `docs/quality.md` quotes them.

The photographs are a folder with a `manifest.jsonl` (file, set, labels, captions), not part of the project. They are
tagged, fed to an embedded index in a temporary folder, and searched:

1. by the labels' names: how many of the photographs with that label are among the first ten;
2. by captions that people wrote: whether a caption's own photograph is among the first ten;
3. by the names in Korean: whether that finds the same as in English.

Each by words alone, by vectors alone, by both fused as the product does it, and, to compare with, by brute-force cosine
of the text as it was typed. `--seed` draws other captions; `--all` takes every caption.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.feeding.document import document_tag
from tasks.feeding.documents import Maker
from tasks.feeding.ports import Put
from tasks.records import Record
from tasks.searching.meaning import Meaning
from tasks.searching.ports import Filters
from tasks.searching.search import Asked, Hit, Search
from tasks.searching.understand import Understanding
from tasks.tag import tag_many
from worker.encoders.queries import load_query_encoder
from worker.feeds.local.searcher import LocalSearcher
from worker.feeds.local.sink import LocalSink
from worker.inputs import Inputs, expand
from worker.runtime import Runtime, load_model
from worker.settings import Settings, load_settings
from worker.vocabulary import load_wording

REPOSITORY = Path(__file__).resolve().parent.parent
PHOTOS = REPOSITORY.parent / "shared" / "photos"
CAPTIONS, SEED, FIRST = 100, 20261122, 10


@dataclass(frozen=True)
class Photo:
    """A photograph as the manifest has it, and its record."""

    labels: frozenset[str]
    captions: tuple[str, ...]
    record: Record


class Question(NamedTuple):
    """A text, and the keys that it should find."""

    text: str
    keys: frozenset[str]


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="folder with manifest.jsonl")
    parser.add_argument("--set", default="coco_train2017", help="which set of the manifest")
    parser.add_argument("--seed", type=int, default=SEED, help="which captions are drawn")
    parser.add_argument("--all", action="store_true", help="every caption")
    parser.add_argument(
        "--list", action="store_true", help="the Korean names, and what they find that English does not"
    )
    given = parser.parse_args()
    if not (given.photos / "manifest.jsonl").is_file():
        print(f"skipped: there are no labelled photographs at {given.photos}; give --photos DIR")
        return 0
    settings = load_settings(languages="en,ko")
    photos = tagged(settings, given.photos, given.set)
    with TemporaryDirectory(prefix="stockmeta-") as folder:
        bench = Bench(settings, photos, Path(folder))
        print(f"{len(photos)} photographs, model {bench.searcher.model}")
        labels = sorted({label for photo in photos for label in photo.labels})
        names = [
            Question(name, frozenset(photo.record.image.key for photo in photos if name in photo.labels))
            for name in labels
        ]
        captions = [
            Question(caption, frozenset({photo.record.image.key})) for photo in photos for caption in photo.captions
        ]
        if not given.all:
            captions = random.Random(given.seed).sample(captions, CAPTIONS)  # noqa: S311
        for what, questions in ((f"{len(names)} names", names), (f"{len(captions)} captions", captions)):
            for way in WAYS:
                print(f"{what}, {way}: {figures(bench, questions, way)}", flush=True)
        print(
            f"found by the index of the ten nearest by brute force: {recall_of_index(bench, [*names, *captions]):.4f}"
        )
        print(korean(bench, labels, show=given.list))
        milliseconds = 1000 * np.percentile(bench.seconds, [50, 95])
        print("processor time of a query: p50 {:.0f} ms, p95 {:.0f} ms".format(*milliseconds))
        bench.close()
    return 0


WAYS = ("words", "vectors", "fused", "brute-force cosine")


def tagged(settings: Settings, folder: Path, which: str) -> list[Photo]:
    """The photographs of a set that have labels, tagged as the product does it."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").open(encoding="utf-8")]
    rows = [row for row in rows if row["set"] == which and row["labels"]]
    inputs = Inputs(
        expand([str(folder / row["file"]) for row in rows], sys.stdin), settings.image_extensions, output=None
    )
    with Runtime(settings, load_model(settings), inputs.stores) as runtime:
        records = [outcome.record for outcome in tag_many(runtime.tagger, inputs, settings.threads)]
    return [
        Photo(frozenset(row["labels"]), tuple(row["captions"] or ()), record)
        for row, record in zip(rows, records, strict=True)
    ]


class Bench:
    """The photographs in an index, ready to be searched."""

    def __init__(self, settings: Settings, photos: Sequence[Photo], folder: Path) -> None:
        records = [photo.record for photo in photos]
        bucket, generation = records[0].image.bucket, records[0].generation
        sink = LocalSink(folder / "index", bucket)
        index = sink.open(generation)
        maker = Maker()
        documents = [maker.document(record, None, document_tag(str(record.revision), None)) for record in records]
        index.deliver([Put(document) for document in documents])
        index.commit()
        index.completed()
        sink.serve(index)
        sink.close()
        self.searcher = LocalSearcher(folder / "index")
        self.encoder = load_query_encoder(settings.model, cache_dir=settings.cache_dir)
        understanding = Understanding(load_wording(settings).vocabulary)
        self.search = Search(self.searcher, understanding, Meaning(lambda: self.encoder))
        self.keys = {document.id: document.key for document in documents}
        self._ids = [document.id for document in documents]
        stored = [record.embedding.unpack() for record in records if record.embedding]
        self._matrix = np.stack(stored)
        self._found: dict[str, tuple[Hit, ...]] = {}
        self.seconds: list[float] = []

    def ranked(self, text: str, way: str) -> list[str]:
        """Keys, the best first, as many as there are."""
        if way == "brute-force cosine":
            return [self.keys[id_] for id_ in self.nearest(self.typed(text))]
        if text not in self._found:
            started = time.process_time()
            self._found[text] = self.search.find(Asked(text=text, limit=len(self._ids), folded=False)).hits
            self.seconds.append(time.process_time() - started)
        hits = self._found[text]
        if way != "fused":
            name = {"words": "words", "vectors": "text"}[way]
            hits = tuple(sorted((hit for hit in hits if name in hit.ranks), key=lambda hit: hit.ranks[name]))
        return [hit.document.key for hit in hits]

    def typed(self, text: str) -> NDArray[np.float32]:
        """The direction of a text as it stands, in the model's own prompts."""
        found = self.encoder.encode_texts([prompt.format(text) for prompt in self.encoder.prompts]).mean(axis=0)
        direction: NDArray[np.float32] = found / np.linalg.norm(found)
        return direction

    def nearest(self, vector: NDArray[np.float32]) -> list[str]:
        """Ids of all documents, by exact cosine."""
        return [self._ids[i] for i in np.argsort(-(self._matrix @ vector), kind="stable")]

    def close(self) -> None:
        """Let go of the index."""
        self.searcher.close()


def figures(bench: Bench, questions: Sequence[Question], way: str) -> str:
    """Recall among the first ten, the same of what ten places can hold, precision, mean average precision."""
    rows = []
    for question in questions:
        right = np.array([key in question.keys for key in bench.ranked(question.text, way)], bool)
        hits, there = right[:FIRST].sum(), len(question.keys)
        precisions = (np.cumsum(right) / np.arange(1, len(right) + 1))[right]
        rows.append((hits / there, hits / min(there, FIRST), hits / FIRST, precisions.sum() / there))
    recall, capped, precision, mean = np.mean(rows, axis=0)
    return f"recall@10 {recall:.3f}, of what ten can hold {capped:.3f}, P@10 {precision:.3f}, mAP {mean:.3f}"


def recall_of_index(bench: Bench, questions: Sequence[Question]) -> float:
    """Of the ten nearest by brute force, the share that the index has among its ten, for the same vectors."""
    shares = []
    for question in questions:
        vector = bench.typed(question.text)
        found = {one.id for one in bench.searcher.by_vector(vector, Filters(), FIRST)}
        shares.append(len(found & set(bench.nearest(vector)[:FIRST])) / FIRST)
    return float(np.mean(shares))


def korean(bench: Bench, labels: Sequence[str], *, show: bool) -> str:
    """Whether names find the same first ten photographs in Korean as in English."""
    understanding = bench.search.understanding
    table = load_wording(load_settings()).vocabulary.translations["ko"]
    overlaps, of_same, resolved, alike = [], [], 0, 0
    for label in labels:
        english = understanding.understand(label)
        named = [concept for phrase in english.wanted for concept, _ in phrase.concepts]
        twin = " ".join(table[concept.id][0] for concept in named[:1])
        understood = understanding.understand(twin)
        resolved += bool(understood.wanted) and not understood.rest
        ids = [{concept.id for phrase in one.wanted for concept, _ in phrase.concepts} for one in (english, understood)]
        tens = [bench.ranked(text, "fused")[:FIRST] for text in (label, twin)]
        overlaps.append(len(set(tens[0]) & set(tens[1])) / FIRST)
        if ids[0] == ids[1]:
            of_same.append(overlaps[-1])
            alike += tens[0] == tens[1]
        if show:
            print(f"{label}\t{twin}\t{overlaps[-1]:.1f}\t{'' if ids[0] == ids[1] else 'other concepts'}")
    return (
        f"{len(labels)} names in Korean: {resolved} understood, {len(of_same)} as the same concepts, of which {alike} "
        f"find the same in the same order; overlap@10 {np.mean(overlaps):.3f}, of those {np.mean(of_same):.3f}"
    )


if __name__ == "__main__":
    sys.exit(main())
