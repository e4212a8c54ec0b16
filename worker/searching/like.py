"""The direction of a picture that hits are to resemble: of one in the index, or of any file."""

import os
from pathlib import Path
from typing import NamedTuple

from tasks.errors import ConfigurationError, Rejected
from tasks.feeding.document import document_id
from tasks.searching.ports import Searcher
from tasks.searching.search import Vector
from worker.library import Library
from worker.settings import Settings
from worker.storage.local import LocalStore


class Like(NamedTuple):
    """A direction (d,) of unit length, and the id of the picture's own document, if it has one."""

    direction: Vector
    document: str | None


def find(given: str, searcher: Searcher, library: Library, settings: Settings) -> Like:
    """What `--like` means: a key of the index, a path to one of its images, or another file.

    Only another file needs the model.

    Raises:
        ConfigurationError: it is none of these, the document has no embedding, or the file cannot be read as an image.
        Unavailable: the index does not answer.
    """
    keys = {document_id(library.source.bucket, key): key for key in _keys(given, library)}
    for id_, document in searcher.documents(list(keys)).items():
        if document.embedding is None:
            raise ConfigurationError(f"--like {given}: the index has no embedding of {keys[id_]!r}")
        return Like(document.embedding.unpack(), id_)
    if not os.path.isfile(given):  # noqa: PTH113 - Path's own fails where it is too long for a path
        raise ConfigurationError(f"--like {given}: no image in the index has that key, and there is no such file")
    try:
        return Like(_encoded(Path(given), searcher, settings), None)
    except Rejected as error:
        raise ConfigurationError(f"--like {given}: {error}") from error


def _keys(given: str, library: Library) -> list[str]:
    """Keys that may be meant."""
    keys = [given, given.removeprefix(f"s3://{library.source.bucket}/")]
    if library.prefix and not given.startswith(library.prefix):
        keys.append(library.prefix + given)
    if isinstance(library.source, LocalStore):
        path = Path(os.path.realpath(given))
        if path.is_relative_to(library.source.root.resolve()):
            keys.append(path.relative_to(library.source.root.resolve()).as_posix())
    return keys


def _encoded(path: Path, searcher: Searcher, settings: Settings) -> Vector:
    # Pillow's processes and the image side of the model: seconds that no other search needs.
    from worker.runtime import make_decoder, make_encoder

    # One process: to stop one that has not yet started makes a noise.
    own = settings.model_copy(update={"model": searcher.model or settings.model, "decode_processes": 1})
    encoder = make_encoder(own)
    decoder = make_decoder(own, encoder, metadata=False)
    try:
        pixels = decoder.submit(path).result().pixels
    finally:
        decoder.close()
    vector: Vector = encoder.encode(pixels[None]).embeddings[0]
    return vector
