"""Captions out of a model that writes them: the best candidate that passes every check, else a composed one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.ports import Captioner, Picture, Words
from tasks.records import Embedded
from taxonomy.choose import Chosen
from taxonomy.concepts import Vocabulary
from taxonomy.limits import Limits
from taxonomy.policy import Policy
from taxonomy.words import Screen, load_screen, tokens
from worker.captioners import cleaning, facts
from worker.captioners.claims import FEWEST, REJECTED, Claims
from worker.captioners.neutral import Neutralizer, load_rules
from worker.captioners.phrases import Phrases

VERSION = "generated/2"


@dataclass(frozen=True)
class Checks:
    """What every candidate has to pass.

    Attributes:
        claims: what it names is in the picture.
        neutralizer: what it says of people can be seen.
        screen: brands, offensive words, what the policy blocks.
        phrases: of the vocabulary with all its kinds.
        policy: what is denied.
    """

    claims: Claims
    neutralizer: Neutralizer
    screen: Screen
    phrases: Phrases
    policy: Policy

    def passed(self, text: str, picture: Picture) -> str | None:
        """The caption, cleaned and without a full stop; `None` where it cannot be used."""
        line = cleaning.tidy(text)
        line = self.neutralizer.neutral(line) if line else None
        line = cleaning.tidy(line) if line else None
        if line is None or self.screen.screen(line).level != "pass" or self._denied(line):
            return None
        return None if self.claims.rejected(line, picture.raw) else self.phrases.spelt(line)

    def _denied(self, text: str) -> bool:
        """Whether a word of it means nothing but what the policy denies."""
        concepts = self.phrases.vocabulary.concepts
        return any(
            all(concepts[position].id in self.policy.denied for position in span.positions)
            for span in self.phrases.find(tokens(text))
        )


def make_checks(whole: Vocabulary, told: Vocabulary, policy: Policy) -> Checks:
    """The checks for a vocabulary, of which the encoder can tell the concepts in `told`.

    A word that may be a brand and is an ordinary one too (next, shell) is taken for that: the models write few brands.
    One that may be offensive passes where the vocabulary has it.
    """
    screen = load_screen(whole)
    strict = {text: word for text, word in screen.words.items() if word.level == "block" or "offensive" in word.kind}
    ordinary = [word for concept in whole.concepts for word in concept.words]
    screen = Screen(strict, screen.known).extended(allowed=ordinary).extended(policy.blocked, policy.unblocked)
    phrases = Phrases(whole)
    return Checks(Claims(told), Neutralizer(phrases, policy.personal), screen, phrases, policy)


class GeneratedCaptioner:
    """Keeps the contract of `tasks.ports.Captioner`.

    The caption ends with place and date, if the file itself says them.

    Args:
        fallback: where no candidate passes.
        checks: what candidates have to pass.
        limits: lengths of the texts.
        generator: the fingerprint of what makes the candidates.
    """

    def __init__(self, fallback: Captioner, checks: Checks, limits: Limits, generator: str) -> None:
        self._fallback, self._checks, self._limits = fallback, checks, limits
        rules = load_rules()
        content = repr(
            (
                (VERSION, fallback.fingerprint, generator, tuple(limits), REJECTED, FEWEST),
                (checks.phrases.vocabulary.fingerprint, checks.policy.fingerprint),
                (sorted(rules.words.items()), sorted(rules.names), checks.phrases.capitals),
                sorted(checks.screen.words.items()),
            )
        )
        self.fingerprint = hashlib.sha256(content.encode()).hexdigest()[:16]

    def caption(self, picture: Picture, keywords: Sequence[Chosen]) -> Words | None:
        """Title, caption and alt text out of the first candidate that can be used; else the fallback's."""
        for candidate in picture.candidates:
            line = self._checks.passed(candidate.text, picture)
            if line and (title := cleaning.title(line, self._limits.title)):
                return Words(
                    title=title,
                    caption=self._caption(line, picture.embedded),
                    alt_text=cleaning.sentence(line, self._limits.alt_text),
                )
        return self._fallback.caption(picture, keywords)

    def _caption(self, line: str, embedded: Embedded | None) -> str:
        """The sentence, with as much of place and date as there is room for."""
        said = cleaning.sentence(line, self._limits.caption)
        longer = (f"{said[:-1]}{ending}." for ending in facts.endings(embedded))
        return next((text for text in longer if len(text) <= self._limits.caption), said)
