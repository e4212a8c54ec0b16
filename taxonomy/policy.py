"""What a customer wants to see, and what counts as evidence. `taxonomy.policy_file` reads it from a file."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from taxonomy.concepts import TIERS, Concept, Vocabulary, build

Labels = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Language to concept id to labels, the preferred one first."""


class Thresholds(NamedTuple):
    """What counts as evidence; depends on the encoder, which brings its own.

    Attributes:
        score: no keyword with a lower score.
        margin: no keyword whose score is below this share of the best one's.
        raw: an image whose best `raw` is lower gets no keywords: the encoder knows nothing like it.
    """

    score: float = 0.0
    margin: float = 0.0
    raw: float = -1.0


NO_THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True)
class Policy:
    """What a customer wants to see. The defaults are neutral: `Policy()` is no customer's policy.

    Attributes:
        max_keywords: at most so many; agencies take 49 or 50.
        languages: of the labels; English is always there.
        personal: kinds of personal attribute that may be shown, of `concepts.PERSONAL`.
        thresholds: what counts as evidence; a flat vocabulary knows only `thresholds.score`.
        min_keywords: so many where the picture supports them; never more than `max_keywords`.
        min_score: in place of the encoder's own `thresholds.score`, if given; a floor under calibrated thresholds.
        spelling: `british` shows a concept's British form where it has one.
        tiers: of the concepts that are shown.
        allowed: ids of the concepts that may be shown; `None` for all.
        denied: ids of the concepts that are never shown, each with the rule that says so; wins over `allowed`.
        preferred: language to concept id to the label that is shown.
        synonyms: language to concept id to words that mean it too.
        concepts: the customer's own.
        labels: the customer's own label files; they win over the shipped ones.
        agencies: an agency's limits to the field and its limit, over those of `taxonomy.limits`.
        review: flag to the threshold in place of its own; `None` switches it off.
        blocked: words that must not be keywords, besides those of `taxonomy.words`.
        unblocked: words that may be, although `taxonomy.words` has them.
        calibration: file with thresholds and reference statistics, if any.
        warnings: what a person should look at, one line each.
    """

    max_keywords: int = 49
    languages: tuple[str, ...] = ("en",)
    personal: frozenset[str] = frozenset()
    thresholds: Thresholds = NO_THRESHOLDS
    min_keywords: int = 7
    min_score: float | None = None
    spelling: Literal["american", "british"] = "american"
    tiers: frozenset[str] = frozenset(TIERS)
    allowed: frozenset[str] | None = None
    denied: Mapping[str, str] = field(default_factory=dict)
    preferred: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    synonyms: Labels = field(default_factory=dict)
    concepts: tuple[Concept, ...] = ()
    labels: Labels = field(default_factory=dict)
    agencies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    review: Mapping[str, float | None] = field(default_factory=dict)
    blocked: tuple[str, ...] = ()
    unblocked: tuple[str, ...] = ()
    calibration: Path | None = None
    warnings: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Changes when a picture could get other metadata; 16 hex digits.

        Agencies' limits are left out, because they hold for what is exported, and so is the calibration file's place:
        what is in it has a fingerprint of its own.
        """
        left_out = {"agencies", "calibration", "warnings"}
        content = [(name, _ordered(getattr(self, name))) for name in self.__slots__ if name not in left_out]
        return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def _ordered(value: Any) -> Any:
    """The same content in an order that does not change from process to process, as sets' does."""
    if isinstance(value, Mapping):
        return sorted((key, _ordered(entry)) for key, entry in value.items())
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Concept):
        return [(name, _ordered(getattr(value, name))) for name in value.__slots__]
    return [_ordered(entry) for entry in value] if isinstance(value, tuple) else value


def withheld(policy: Policy, vocabulary: Vocabulary) -> dict[int, str]:
    """The concepts that are never shown, by position, each with the reason.

    They are scored all the same, so that the evidence for them does not go to a neighbour.
    """
    if vocabulary.flat:
        return {}
    reasons = ((i, _reason(policy, concept)) for i, concept in enumerate(vocabulary.concepts))
    return {i: reason for i, reason in reasons if reason}


def _reason(policy: Policy, concept: Concept) -> str:
    if "hidden" in concept.flags:
        return "it groups others and means nothing to a buyer"
    if rule := policy.denied.get(concept.id):
        return f"the policy denies {rule!r}"
    if policy.allowed is not None and concept.id not in policy.allowed:
        return "it is not among what the policy allows"
    if concept.tier not in policy.tiers:
        return f"it is of tier {concept.tier}, and the policy shows {', '.join(sorted(policy.tiers))}"
    if unasked := concept.personal - policy.personal:
        return f"it names a personal attribute ({', '.join(sorted(unasked))}) that the policy does not ask for"
    return ""


def apply(policy: Policy, vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary with the customer's concepts, languages, synonyms and preferred labels.

    What is shown instead of a label goes into `translations["en"]`; the label itself stays, because prompts and
    categories know the concept by it.

    Raises:
        TaxonomyError: an own concept repeats an id or has no parent; `policy_file` finds that with the line.
    """
    british = policy.spelling == "british"
    if vocabulary.flat or not (policy.concepts or policy.labels or policy.synonyms or policy.preferred or british):
        return vocabulary
    concepts = [_widened(policy, concept) for concept in (*vocabulary.concepts, *policy.concepts)]
    languages = {*vocabulary.translations, *policy.labels, *policy.synonyms, *policy.preferred} - {"en"}
    translations = {language: _merged(policy, vocabulary, language) for language in sorted(languages)}
    if english := dict(_english(policy, concepts)):
        translations["en"] = english
    return build(concepts, translations=translations, implied=vocabulary.implied, contrary=vocabulary.contrary)


def _widened(policy: Policy, concept: Concept) -> Concept:
    """With the English synonyms that the policy adds; not what it prefers, since synonyms are scored."""
    wanted = policy.synonyms.get("en", {}).get(concept.id, ())
    known = {word.casefold() for word in concept.words}
    added = _unique(word for word in wanted if word.casefold() not in known)
    return replace(concept, synonyms=(*concept.synonyms, *added)) if added else concept


def _english(policy: Policy, concepts: Sequence[Concept]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is shown in English instead of the label, by id."""
    preferred = policy.preferred.get("en", {})
    for concept in concepts:
        british = concept.british[:1] if policy.spelling == "british" else ()
        if shown := (preferred[concept.id],) if concept.id in preferred else british:
            yield concept.id, shown


def _merged(policy: Policy, vocabulary: Vocabulary, language: str) -> dict[str, tuple[str, ...]]:
    """Labels of one language by id: what is preferred, the customer's, the shipped ones, the customer's synonyms."""
    preferred = {id_: (label,) for id_, label in policy.preferred.get(language, {}).items()}
    sources: list[Mapping[str, tuple[str, ...]]] = [
        preferred,
        policy.labels.get(language, {}),
        vocabulary.translations.get(language, {}),
        policy.synonyms.get(language, {}),
    ]
    ids = dict.fromkeys(id_ for source in sources for id_ in source)
    return {id_: _unique(label for source in sources for label in source.get(id_, ())) for id_ in ids}


def _unique(words: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
