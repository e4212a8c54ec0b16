"""Embeddings of a vocabulary: computed once per text tower, prompts and words; kept on disk and memory-mapped."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from tasks.ports import Embeddings
from worker.encoders.contract import digest, replacing, unit

FORMAT = 1
CHUNK = 256
"""Texts between two reports of progress; enough for sorting by length to pay."""

logger = logging.getLogger(__name__)


class TextEncoder(Protocol):
    """The part of an `Encoder` that a vocabulary needs."""

    prompts: tuple[str, ...]
    text_fingerprint: str

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """N texts to embeddings (n, d) of unit length."""


def embed_vocabulary(
    encoder: TextEncoder,
    terms: Sequence[Sequence[str]] | Sequence[str],
    cache_dir: Path,
    progress: Callable[[int, int], None] | None = None,
    prompts: tuple[str, ...] | None = None,
) -> Embeddings:
    """Embed every term in every prompt, or map the result of an earlier call.

    Processes may call this at once: both compute, both write the same, and neither sees half a file.

    Args:
        encoder: whose text tower to ask, if the result is not on disk.
        terms: one entry a concept: a word, or several words for the same concept.
        cache_dir: where results are kept, in its folder `texts`.
        prompts: templates with one `{}`; the encoder's own by default.
        progress: called with texts done and texts in all, only when there is something to compute.

    Returns:
        Float32 (m, d), read-only, memory-mapped: for each term the mean over its words and the prompts, of unit length.
    """
    words = [(term,) if isinstance(term, str) else tuple(term) for term in terms]
    if not all(words):
        raise ValueError("a term without a word cannot be embedded")
    prompts = encoder.prompts if prompts is None else prompts
    path = cache_dir / "texts" / f"{digest(FORMAT, encoder.text_fingerprint, prompts, words)}.npy"
    found = _load(path, len(words))
    if found is not None:
        return found
    vectors = _embed(encoder, words, prompts, progress)
    with replacing(path) as draft, draft.open("wb") as file:
        np.save(file, vectors)
    # What another process wrote meanwhile is the same; what cannot be read back is no reason to stop.
    found = _load(path, len(words))
    return vectors if found is None else found


def _load(path: Path, count: int) -> Embeddings | None:
    """The file's embeddings, or `None` where there is none or it is not what was asked for."""
    try:
        vectors: Embeddings = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        logger.warning("recomputing text embeddings: %s cannot be read (%s)", path, error)
        return None
    sound = vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == count
    # A file cut or overwritten in place keeps its header; unit lengths are a cheap witness for the rest.
    if not (sound and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)):
        logger.warning("recomputing text embeddings: %s holds something else", path)
        return None
    return vectors


def _embed(
    encoder: TextEncoder,
    words: Sequence[tuple[str, ...]],
    prompts: Sequence[str],
    progress: Callable[[int, int], None] | None,
) -> Embeddings:
    """The embeddings (m, d) themselves, a chunk of texts at a time."""
    owners = [row for row, term in enumerate(words) for _ in range(len(term) * len(prompts))]
    texts = [prompt.format(word) for term in words for word in term for prompt in prompts]
    done: list[Embeddings] = []
    count = 0
    for start in range(0, len(texts), CHUNK):
        done.append(encoder.encode_texts(texts[start : start + CHUNK]))
        count += len(done[-1])
        if progress is not None:
            progress(count, len(texts))
    vectors = np.concatenate(done) if done else encoder.encode_texts([])
    sums = np.zeros((len(words), vectors.shape[1]), dtype=np.float64)
    np.add.at(sums, owners, vectors)
    return unit(sums)
