"""Labelled images through the product: read, tagged as ever, and put beside what people say is true of them."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.errors import ConfigurationError
from tasks.records import Record
from tasks.tag import tag_many
from taxonomy.truth import Meaning, Meanings
from worker import console
from worker.inputs import Inputs
from worker.label_files import Labelled, Labels, read_labels
from worker.runtime import Model, Progress, Runtime
from worker.settings import Settings

SHOWN_TROUBLES = 10


@dataclass(frozen=True, slots=True)
class Source:
    """Which labelled images are meant; the arguments of `read_labels`."""

    file: str
    images: Path | None = None
    where: tuple[str, ...] = ()
    limit: int | None = None

    def read(self) -> Labels:
        """The label file's content. Raises `ConfigurationError`."""
        return read_labels(self.file, sys.stdin, self.images, self.where, self.limit)


@dataclass(frozen=True, slots=True)
class Trouble:
    """An image that could not be looked at."""

    key: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Tagged:
    """Labelled images that were tagged, in order, with their records, and those that could not be."""

    pairs: tuple[tuple[Labelled, Record], ...]
    troubles: tuple[Trouble, ...]


def tag_labelled(settings: Settings, model: Model, labels: Labels, progress: Progress) -> Tagged:
    """Tag every image as `stockmeta tag` does; what cannot be read is told and never stops the rest.

    Raises:
        ConfigurationError: none could be read.
    """
    there = [labelled for labelled in labels.images if _is_file(labelled.path)]
    known = {labelled.key for labelled in there}
    troubles = [
        Trouble(labelled.key, "missing", f"there is no file {str(labelled.path)!r}")
        for labelled in labels.images
        if labelled.key not in known
    ]
    pairs: list[tuple[Labelled, Record]] = []
    inputs = Inputs([labelled.path for labelled in there], settings.image_extensions)
    # A person's keywords in the files would be measured as if the model had found them.
    with Runtime(settings, model, inputs.stores, metadata=False) as runtime:
        outcomes = tag_many(runtime.tagger, inputs, settings.threads)
        for done, (labelled, outcome) in enumerate(zip(there, outcomes, strict=True), 1):
            record = outcome.record
            if record.status.done:
                pairs.append((labelled, record))
            else:
                troubles.append(Trouble(labelled.key, record.reason or record.status, record.detail or ""))
            progress("tagging", done, len(there))
    if not pairs:
        first = troubles[0]
        raise ConfigurationError(
            f"none of {len(labels.images)} images could be read; {first.key}: {first.detail}. "
            "Paths are relative to the label file's folder, or to --images DIR"
        )
    return Tagged(tuple(pairs), tuple(troubles))


def scores(model: Model, records: Sequence[Record]) -> Iterator[NDArray[np.float32]]:
    """(m,) scores of each record's image, from its embedding as stored."""
    for record in records:
        assert record.embedding is not None, "a record of an image that was read has an embedding"
        yield model.judge.rescore([record.embedding])[0].score


def meanings_of(model: Model) -> Meanings:
    """What terms mean in the model's whole vocabulary; that is more than the encoder can tell."""
    return Meanings(model.whole, model.vocabulary)


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms that cannot be found, with how many images have them: unknown words, and what the encoder cannot tell."""

    unknown: dict[str, int]
    untellable: dict[str, int]


def count_terms(pairs: Sequence[tuple[Labelled, Record]], meanings: Meanings) -> Terms:
    """Count what cannot be found, the most frequent first."""
    unknown: dict[str, int] = {}
    untellable: dict[str, int] = {}
    for labelled, _ in pairs:
        for term in labelled.terms:
            if (meaning := meanings.find(term)) is None:
                unknown[term] = unknown.get(term, 0) + 1
            elif not len(meaning.exact):
                untellable[term] = untellable.get(term, 0) + 1
    return Terms(_frequent(unknown), _frequent(untellable))


def true_terms(labelled: Labelled, meanings: Meanings, *, strict: bool) -> list[Meaning]:
    """What an image's terms mean; a word that is not known is left out, or, if `strict`, can never be found."""
    found, unknown = meanings.all(labelled.terms)
    return [*found, *(Meaning(term) for term in unknown)] if strict else found


def say_troubles(troubles: Sequence[Trouble]) -> None:
    """Name the first images that could not be read, and count the others."""
    for trouble in troubles[:SHOWN_TROUBLES]:
        console.say(f"{trouble.key}: {trouble.reason.replace('_', ' ')}: {trouble.detail}")
    if len(troubles) > SHOWN_TROUBLES:
        console.say(f"and {len(troubles) - SHOWN_TROUBLES} more that could not be read")


def _frequent(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the system, or a folder that may not be looked into
        return False
