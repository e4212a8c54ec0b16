"""From scores to a record: keywords, categories, words. Nothing here looks at a pixel or a store."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from tasks.embedded_words import FileWords, words_of
from tasks.inference import Scored
from tasks.ports import Captioner, Picture
from tasks.records import (
    UNTITLED,
    Category,
    Embedded,
    Flag,
    Image,
    ImageRef,
    Keyword,
    Outcome,
    Record,
    Source,
    Status,
    Visual,
)
from taxonomy.categories import Categorizer
from taxonomy.choose import Chooser, Chosen
from taxonomy.concepts import Vocabulary
from taxonomy.review import Reviewer


@dataclass(frozen=True)
class Provenance:
    """What a record says of how it was made."""

    generation: str
    model: str
    engine: str
    taxonomy: str


@dataclass(frozen=True)
class Describer:
    """Finds keywords, categories and words for scored images, and says in each record how it was made.

    `whole` has concepts that the encoder cannot tell: a keyword from the file may name one of them.
    """

    chooser: Chooser
    categorizers: tuple[Categorizer, ...]
    reviewer: Reviewer
    captioner: Captioner
    provenance: Provenance
    whole: Vocabulary | None = None

    @cached_property
    def _file_words(self) -> FileWords:
        return FileWords(self.chooser.vocabulary, self.chooser.policy, self.whole)

    def describe(self, image: Image, visual: Visual | None, scored: Scored, embedded: Embedded | None = None) -> Record:
        """The record of an image that was read.

        It is `empty` where nothing in the vocabulary is certain enough, and its file has no keywords either.
        """
        chosen = self.chooser.choose(scored.raw, scored.chance, scored.score)
        picture = Picture(scored.vector, scored.raw, scored.candidates, embedded)
        words = self.captioner.caption(picture, chosen)
        keywords = tuple(self._keyword(rank, word) for rank, word in enumerate(chosen, 1))
        flags = tuple(Flag(*finding) for finding in self.reviewer.judge(scored.flags))
        if embedded is not None and embedded.keywords:
            keywords = self._file_words.merged(embedded.keywords, keywords, scored.raw)
            flags += self._file_words.flags(embedded.keywords)
            words = words_of(embedded) if words is None or words.title == UNTITLED else words
        return replace(
            blank(self.provenance, image, Status.TAGGED if keywords else Status.EMPTY),
            reason=None if keywords else "no_evidence",
            detail=None if keywords else "Nothing in the vocabulary is certain enough for this picture.",
            title=words.title if words else None,
            caption=words.caption if words else None,
            alt_text=words.alt_text if words else None,
            keywords=keywords,
            categories=self._categories(scored) if chosen else {},
            flags=flags,
            visual=visual,
            embedded=embedded,
            candidates=tuple(scored.candidates),
            embedding=scored.stored,
        )

    def _keyword(self, rank: int, word: Chosen) -> Keyword:
        labels = self._labels.get(word.position)
        if labels is None:
            # Kept: a vocabulary has thousands of concepts, and a library millions of keywords.
            labels = self.chooser.vocabulary.labels(word.concept, self.chooser.policy.languages)
            self._labels[word.position] = labels
        return Keyword(rank, word.concept.id, labels, word.score, word.raw, Source(word.source))

    @cached_property
    def _labels(self) -> dict[int, dict[str, str]]:
        return {}

    def _categories(self, scored: Scored) -> dict[str, tuple[Category, ...]]:
        return {
            categorizer.scheme.name: tuple(
                Category(row.id, row.label, score)
                for row, score in categorizer.choose(scored.categories[categorizer.scheme.name])
            )
            for categorizer in self.categorizers
        }


def blank(provenance: Provenance, image: Image, status: Status) -> Record:
    """A record without content."""
    now = datetime.now(UTC)
    return Record(
        status=status,
        image=image,
        generation=provenance.generation,
        revision=int(now.timestamp() * 1e6),
        created_at=now.isoformat(timespec="milliseconds"),
        updated_at=now.isoformat(timespec="milliseconds"),
        model=provenance.model,
        engine=provenance.engine,
        taxonomy=provenance.taxonomy,
    )


def unfinished(provenance: Provenance, ref: ImageRef, status: Status, reason: str, detail: str) -> Outcome:
    """The outcome of an image of which nothing was committed, with the trouble as its record."""
    record = blank(provenance, Image(ref.bucket, ref.key, ref.etag), status)
    return Outcome(ref, replace(record, reason=reason, detail=detail), committed=False)
