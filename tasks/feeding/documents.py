"""Makes documents of records: a pure function of a sidecar and of what people decided about its image."""

import math
from dataclasses import dataclass

from tasks.feeding import colors
from tasks.feeding.document import Document, Term, document_id
from tasks.feeding.people import PeopleRule
from tasks.published import Human, Published, Text, Word, published
from tasks.records import Embedded, Image, Keyword, Record, Status, Visual

LEAST = 0.0001
"""The least score that counts: engines want a weight above nothing, and plain word lists may have scores below."""


@dataclass(frozen=True)
class Maker:
    """Makes documents, all of one generation in the same way.

    Attributes:
        people: knows what names people; without it `Document.people` stays unknown.
    """

    people: PeopleRule | None = None

    def document(self, record: Record, human: Human | None, tag: str) -> Document:
        """The document of an image.

        Args:
            record: its sidecar, `tagged` or `empty`.
            human: what people decided about it, if anything.
            tag: `document_tag` of the two.

        Raises:
            ValueError: a terminal record, of which there is none.
        """
        if not record.status.done:
            raise ValueError(f"{record.image.key!r}: a record that is {record.status} makes no document")
        words = published(record, human)
        image, visual, embedded = record.image, record.visual, record.embedded or Embedded()
        return Document(
            id=document_id(image.bucket, image.key),
            tag=tag,
            version=record.revision,
            bucket=image.bucket,
            key=image.key,
            etag=image.etag,
            generation=record.generation,
            status="tagged" if record.status is Status.TAGGED else "empty",
            title=_value(words.title),
            caption=_value(words.caption),
            alt_text=_value(words.alt_text),
            keywords=_terms(words, record),
            categories=record.categories,
            width=image.width,
            height=image.height,
            megapixels=_megapixels(image),
            file_size=image.bytes,
            format=image.format,
            orientation=visual.orientation if visual else None,
            colors=visual.colors if visual else (),
            color_names=_color_names(visual),
            phash=visual.phash if visual else None,
            sha256=image.sha256,
            people=self.people.people(words, human) if self.people else None,
            flags=tuple(flag.name for flag in record.flags if flag.verdict == "yes"),
            creators=embedded.creators,
            copyright=embedded.copyright,
            location=embedded.location,
            city=embedded.city,
            state=embedded.state,
            country=embedded.country,
            country_code=embedded.country_code,
            taken=embedded.created,
            model=record.model,
            taxonomy=record.taxonomy,
            created_at=record.created_at,
            updated_at=record.updated_at,
            embedding=record.embedding,
        )


def _value(text: Text | None) -> str | None:
    return text.value if text else None


def _terms(words: Published, record: Record) -> tuple[Term, ...]:
    ours = {keyword.id: keyword for keyword in record.keywords}
    return tuple(
        Term(rank, word.concept, word.labels, _weight(word, ours), word.source)
        for rank, word in enumerate(words.keywords, 1)
    )


def _weight(word: Word, ours: dict[str, Keyword]) -> float:
    """Of people's words 1. Of ours the root of the score, about how likely it is right: `docs/documents.md`.

    The score has one scale for all images of a generation; the place among an image's own keywords has not.
    """
    if word.source != "generated" or word.concept is None:
        return 1.0
    return round(min(1.0, math.sqrt(max(LEAST, ours[word.concept].score))), 4)


def _megapixels(image: Image) -> float | None:
    return round(image.width * image.height / 1e6, 2) if image.width and image.height else None


def _color_names(visual: Visual | None) -> tuple[str, ...]:
    """Each once, of the largest share first."""
    return tuple(dict.fromkeys(colors.name(color.hex) for color in visual.colors)) if visual else ()
