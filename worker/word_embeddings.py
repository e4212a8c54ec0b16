"""What an encoder makes of words: the embeddings of the vocabulary and of all prompts."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from tasks.errors import ConfigurationError
from tasks.ports import Embeddings, Encoder
from taxonomy import categories
from taxonomy.categories import Categorizer
from taxonomy.concepts import TaxonomyError, Vocabulary
from taxonomy.policy import Policy
from taxonomy.review import Reviewer, assessed, load_flags
from worker.encoders.texts import embed_vocabulary
from worker.settings import Settings

Report = Callable[[int, int], None]
"""Called with how much is done and how much there is."""

NO_PROMPTS: Embeddings = np.zeros((0, 1), np.float32)


def make_categorizers(
    settings: Settings, encoder: Encoder, whole: Vocabulary, told: Vocabulary, report: Report | None
) -> tuple[Categorizer, ...]:
    """One for each scheme of which the encoder can tell anything; it can tell the concepts `told`.

    Raises `ConfigurationError` for a scheme that cannot be used.
    """
    try:
        schemes = categories.load_schemes(settings.schemes or ())
        if not whole.flat:
            extra = {path.stem for path in settings.schemes or ()}
            categories.check([scheme for scheme in schemes if scheme.name in extra], whole)
    except TaxonomyError as error:
        raise ConfigurationError(str(error)) from error
    schemes = tuple(kept for scheme in schemes if (kept := scheme.only(encoder.facets)).rows)
    texts = [row.prompt for scheme in schemes for row in scheme.rows]
    prompts = embed_vocabulary(encoder, texts, settings.cache_dir, report)
    made, start = [], 0
    for scheme in schemes:
        rows = prompts[start : start + len(scheme.rows)]
        made.append(Categorizer(scheme, told, rows, encoder.references(), encoder.logit_scale))
        start += len(scheme.rows)
    return tuple(made)


def embed_concepts(
    encoder: Encoder, vocabulary: Vocabulary, own: Collection[str], cache_dir: Path, report: Report | None
) -> Embeddings:
    """The concepts' embeddings, (m, d), each the mean over its name and its synonyms.

    What the customer has words of their own for is embedded apart: one more is no reason to embed all others again.
    """
    if vocabulary.flat:
        return embed_vocabulary(encoder, [concept.name for concept in vocabulary.concepts], cache_dir, report)
    parts: tuple[list[int], list[int]] = ([], [])
    for position, concept in enumerate(vocabulary.concepts):
        parts[concept.id in own].append(position)
    embeddings: Embeddings | None = None
    for part in filter(None, parts):
        words = [(vocabulary.concepts[i].name, *vocabulary.concepts[i].synonyms) for i in part]
        found = embed_vocabulary(encoder, words, cache_dir, report, encoder.concept_prompts)
        if len(part) == len(vocabulary.concepts):
            return found
        if embeddings is None:
            embeddings = np.empty((len(vocabulary.concepts), found.shape[1]), np.float32)
        embeddings[part] = found
    assert embeddings is not None
    return embeddings


def make_reviewer(settings: Settings, encoder: Encoder, policy: Policy) -> Reviewer:
    """What judges the review flags that this encoder can tell and the policy wants."""
    flags = load_flags()
    prompts = [prompt for flag in assessed(flags, encoder.flags, policy.review) for prompt in flag.prompts]
    # As they stand: the flags' prompts are whole sentences.
    embeddings = embed_vocabulary(encoder, prompts, settings.cache_dir, prompts=("{}",)) if prompts else NO_PROMPTS
    return Reviewer(flags, embeddings, encoder.logit_scale, encoder.flags, policy.review)
