"""Why an image got its keywords, and not others: for `stockmeta tag --explain`."""

import difflib
import json
from collections.abc import Sequence

from tasks.errors import ConfigurationError
from tasks.records import Record
from taxonomy.concepts import Concept, Vocabulary
from taxonomy.explain import Explanation, explain
from taxonomy.truth import Lexicon
from worker.runtime import Model


class Explainer:
    """Explains records from the embedding in them.

    Args:
        model: which made them.
        about: words for concepts that are explained however low their score. Raises `ConfigurationError` for one that
            the model does not score.
    """

    def __init__(self, model: Model, about: Sequence[str] = ()) -> None:
        self._model = model
        self._about = [concept for word in about for concept in _meant(model.vocabulary, word)]

    def explained(self, record: Record) -> str:
        """A record as JSON, with a member `explanation` more: keywords first, then what came nearest to being one."""
        members = json.loads(record.to_json())
        members["explanation"] = [_members(each) for each in self._explanations(record)]
        return json.dumps(members, ensure_ascii=False)

    def _explanations(self, record: Record) -> list[Explanation]:
        if record.embedding is None:
            return []
        (scored,) = self._model.judge.rescore([record.embedding])
        chooser = self._model.describer.chooser
        return explain(chooser, scored.raw, scored.chance, scored.score, about=self._about)


def _members(each: Explanation) -> dict[str, object]:
    return {
        "id": each.concept.id,
        "name": each.concept.name,
        "rank": each.rank,
        "score": each.score,
        "needed": each.needed,
        "raw": each.raw,
        "evidence": each.evidence,
        "reason": each.reason,
    }


def _meant(vocabulary: Vocabulary, word: str) -> tuple[Concept, ...]:
    """The concepts that a word of any language may mean."""
    if found := vocabulary.by_word.get(word.casefold()) or Lexicon(vocabulary).find(word):
        return found
    near = difflib.get_close_matches(word.casefold(), vocabulary.by_word, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ConfigurationError(f"--about {word}: not a concept that this model can tell{hint}")
