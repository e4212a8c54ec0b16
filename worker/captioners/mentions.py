"""Which of an image's keywords a sentence may speak of, and as what.

A sentence asserts, which a keyword does not, so it asks for more: not for the score that ranks keywords, which favours
narrow words, but for the evidence beneath it, the chance that the concept or anything under it is what the picture
shows. Of what has enough, the narrowest is said: a bus, not a vehicle. Where nothing has, one thing is said, the one
with the most evidence.

The figures were found with `starter` on 106 photographs of COCO, whose 611 keywords that can be said were judged by
eye; `docs/captions.md` has what came of them on 100 others. Of all keywords there 0.75 were right; of those with an
evidence of 0.25 or more 0.94; among those just above it 0.94, and just below 0.72.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from taxonomy.choose import Chosen
from taxonomy.concepts import Concept, Vocabulary
from taxonomy.score import information
from worker.captioners import english

CLAIMED = 0.25
"""Evidence that anything needs to be said."""
NARROWEST = 0.5
"""What a concept needs that has none beneath it; with less the kind it belongs to is right more often."""
ANIMAL = 0.36
"""What the widest kind of animal needs: two fifths of the classes that `starter` knows are animals, and it sees a
little of one everywhere."""
TOGETHER = 0.1
"""What stands together in a picture shares the evidence, and needs no more than this: household goods, rooms, and
scenery."""
SEEN = 0.05
"""The corrected cosine that indoors and outdoors need besides: some of what implies them, as animals and sports
equipment, is found in both."""
GOODS = frozenset({"furniture", "bedding", "kitchenware", "home appliance"})
"""Kinds of household goods, said where nothing more is known of an indoor scene."""
SERVED = 0.055
"""What kitchenware needs beside food."""
MANY = GOODS | {"plant"}
"""Kinds so wide that they are said in the plural: home appliances."""
NEVER = 2.0
"""More evidence than there can be."""
ALIKE = 0.75
"""Share of the evidence for the surer one that a second thing of its kind needs: they are rivals."""
DEEPEST = 24
"""Keywords looked at."""

THINGS = frozenset(
    {"object", "vehicle", "animal", "plant", "food", "drink", "clothing", "person", "body", "building", "nature"}
)
SETTINGS = frozenset({"place", "weather", "activity", "sport", "event", "season"})
SURROUNDINGS = frozenset({"landscape", "body of water", "natural disaster"})
"""Of what is nature, these and what is beneath them surround the picture; a rock or a flame does not."""
AROUND = frozenset({"indoors", "outdoors"})
"""Said of whatever else is said, rather than as a place of its own."""
DRY = frozenset(
    {"mammal", "motor vehicle", "watercraft", "sports ball", "protective sports gear", "vehicle part", "clothing"}
    | {"accessory"}
)
"""Words of classification; a caption says the wider (an animal, a vehicle, sports equipment) or something else."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A keyword as a sentence may speak of it.

    Attributes:
        text: its label, one clean line.
        setting: whether it is what surrounds the picture (`beach scene`) rather than a thing in it.
        evidence: the chance that it, or anything beneath it, is in the picture, 0 to 1; the score of a plain list.
        grammar: of the text, as of a concept.
    """

    chosen: Chosen
    text: str
    setting: bool
    evidence: float
    grammar: str

    @property
    def concept(self) -> Concept:
        """What it speaks of."""
        return self.chosen.concept

    @property
    def around(self) -> bool:
        """Whether it is only indoors or outdoors."""
        return self.setting and self.concept.label in AROUND


class Selector:
    """Chooses what to mention.

    Args:
        vocabulary: m concepts.
        withheld: positions of those that a policy never shows.
    """

    def __init__(self, vocabulary: Vocabulary, withheld: Collection[int] = ()) -> None:
        self.vocabulary = vocabulary
        self._withheld = frozenset(withheld)

    def select(self, keywords: Sequence[Chosen], things: int = 4, settings: int = 2) -> list[Mention]:
        """What may be said, at most so many of each; the first one is the surest. Empty where no label is a word."""
        keywords = sorted(keywords[:DEEPEST], key=lambda chosen: -chosen.score)
        found: dict[int, Mention] = {}
        for chosen in keywords:
            mention = self._mention(chosen)
            if mention and mention.evidence > getattr(found.get(mention.chosen.position), "evidence", -2):
                found[mention.chosen.position] = mention
        sayable = list(found.values())
        if not sayable:
            return [mention for chosen in keywords if (mention := self._fallback(chosen))][:1]
        room = {False: things, True: settings}
        said: list[Mention] = []
        for mention in self._in_order(self._sure(sayable)):
            if room[mention.setting] and self._fits(mention, said):
                said.append(mention)
                room[mention.setting] -= 1
        said += self._goods(sayable, said)
        return sorted(said, key=lambda mention: (mention.around, -mention.chosen.score))

    def _mention(self, chosen: Chosen) -> Mention | None:
        evidence = self._evidence(chosen)
        if chosen.concept.label in DRY and not self.vocabulary.flat:
            chosen = self._wider(chosen)
        concept = chosen.concept
        plural = concept.plural if concept.label in MANY and not self.vocabulary.flat else ""
        text = english.clean(plural or self.vocabulary.shown(concept))
        if not text or text.startswith("no ") or "hidden" in concept.flags:
            return None
        setting = self._is_setting(concept)
        if not setting and (concept.facet not in THINGS or concept.grammar == "adjective"):
            return None
        return Mention(chosen, text, setting, evidence, "plural" if plural else concept.grammar)

    def _wider(self, chosen: Chosen) -> Chosen:
        """The nearest kind above it that may be said; itself where there is none."""
        for kind in self.vocabulary.ancestors(chosen.concept):
            if not kind.flags and kind.label not in DRY and self.vocabulary.index[kind.id] not in self._withheld:
                return chosen._replace(concept=kind, position=self.vocabulary.index[kind.id])
        return chosen

    def _fallback(self, chosen: Chosen) -> Mention | None:
        """For a picture of which only moods, colours and the like are known: adjectives are true of the whole scene."""
        text = english.clean(self.vocabulary.shown(chosen.concept))
        grammar = chosen.concept.grammar
        evidence = self._evidence(chosen)
        enough = bool(text) and (self.vocabulary.flat or evidence >= CLAIMED)
        return Mention(chosen, text, grammar == "adjective", evidence, grammar) if enough else None

    def _evidence(self, chosen: Chosen) -> float:
        """A score is the evidence times the concept's information content."""
        content = 1.0 if self.vocabulary.flat else self._information[chosen.position]
        return min(chosen.score / max(content, 0.01), 1.0)

    @cached_property
    def _size(self) -> Sequence[int]:
        """How many concepts are evidence for each, itself among them, (m,)."""
        places = range(len(self.vocabulary.concepts))
        return [sum(end - start for start, end in self.vocabulary.runs(place)) for place in places]

    @cached_property
    def _information(self) -> Sequence[float]:
        """Information content of each concept, (m,)."""
        content: list[float] = information(np.array(self._size)).tolist()
        return content

    def _is_setting(self, concept: Concept) -> bool:
        if concept.grammar == "adjective":
            # "Sunny scene", but never "sitting scene".
            return concept.facet in ("weather", "nature")
        if concept.facet != "nature":
            return concept.facet in SETTINGS
        return concept.label in SURROUNDINGS | {"nature"} or bool(self._kinds(concept) & SURROUNDINGS)

    def _sure(self, sayable: Sequence[Mention]) -> list[Mention]:
        """What has enough evidence; words of classification only where there is nothing else."""
        if self.vocabulary.flat:
            return list(sayable)
        sure = [mention for mention in sayable if mention.evidence >= self._needed(mention)]
        return [mention for mention in sure if mention.concept.label not in DRY] or sure

    def _in_order(self, sure: Sequence[Mention]) -> Iterator[Mention]:
        """The narrow before what is above them, and things first: most of what speaks for a place is the things there.

        Within that as they come.
        """
        left = sorted(sure, key=lambda mention: mention.setting)
        while left:
            following = next(one for one in left if not any(self._above(one, other) for other in left))
            left.remove(following)
            yield following

    def _goods(self, sayable: Sequence[Mention], said: Sequence[Mention]) -> list[Mention]:
        """One kind of household goods, for which little evidence is enough where it says what else would be missing."""
        things = [mention for mention in said if not mention.setting]
        if self.vocabulary.flat or not said:
            return []
        least = dict.fromkeys(GOODS, TOGETHER) if not things and self._inside(said[0].concept) else {}
        if things and all(thing.concept.facet == "food" for thing in things):
            least = {"kitchenware": SERVED}
        near = [one for one in sayable if one.evidence >= least.get(one.concept.label, NEVER)]
        return [one for one in near if self._fits(one, said)][:1]

    def _inside(self, concept: Concept) -> bool:
        return "indoors" in (concept.label, *self._kinds(concept))

    def _needed(self, mention: Mention) -> float:
        concept, kinds = mention.concept, self._kinds(mention.concept)
        if concept.facet == "animal" and concept.parent is None:
            return ANIMAL
        if mention.around and mention.chosen.raw < SEEN:
            return NEVER
        if mention.setting:
            return TOGETHER if "room" in kinds or (concept.facet == "nature" and kinds) else CLAIMED
        if self._size[mention.chosen.position] == 1:
            return NARROWEST
        return TOGETHER if kinds & GOODS or concept.facet == "nature" else CLAIMED

    def _fits(self, mention: Mention, said: Sequence[Mention]) -> bool:
        """Whether it is another thing than all that is said, and sure enough to be asserted beside them."""
        if any(mention.chosen.position == other.chosen.position or self._repeats(mention, other) for other in said):
            return False
        if not said or self.vocabulary.flat or mention.around:
            return True
        if mention.concept.facet == "body" and any(
            other.concept.facet in ("person", "animal", "body") for other in said
        ):
            return False
        kinds = self._kinds(mention.concept)
        implied = sum(other.evidence for other in said if self._implies(other, mention))
        # A table with food on it is no second subject, and less sure than the food.
        if kinds & GOODS and any(other.concept.facet == "food" for other in said):
            return False
        if implied and "room" not in kinds and mention.evidence - implied < self._needed(mention):
            return False
        return not any(self._rivals(mention, other) for other in said)

    def _rivals(self, mention: Mention, other: Mention) -> bool:
        """Whether two things are of one kind, of which there is less evidence for the first."""
        kinds = self._shown_kinds(mention.concept) & self._shown_kinds(other.concept)
        alike = mention.setting == other.setting and bool(kinds - GOODS)
        return alike and mention.evidence < ALIKE * other.evidence

    def _repeats(self, one: Mention, other: Mention) -> bool:
        """Whether one contains the other, in the tree or in words."""
        if self._above(one, other) or self._above(other, one):
            return True
        # "A ski slope with skis" tells two things; "a tennis ball and a ball" does not.
        return one.setting == other.setting and self._same(one.concept, other.concept)

    def _above(self, one: Mention, other: Mention) -> bool:
        return one.chosen.position < other.chosen.position < self.vocabulary.end[one.chosen.position]

    def _implies(self, one: Mention, other: Mention) -> bool:
        """Whether evidence for one is evidence for the other, from elsewhere in the tree: a bus and a road."""
        first, last = one.chosen.position, self.vocabulary.end[one.chosen.position]
        return any(start < last and first < end for start, end in self.vocabulary.runs(other.chosen.position))

    def _kinds(self, concept: Concept) -> set[str]:
        return {kind.label for kind in self.vocabulary.ancestors(concept)}

    def _shown_kinds(self, concept: Concept) -> set[str]:
        return {kind.label for kind in self.vocabulary.ancestors(concept) if "hidden" not in kind.flags}

    def _same(self, one: Concept, other: Concept) -> bool:
        """Whether two concepts share a word, or one is a synonym of the other, or shown as the other."""
        shown = self.vocabulary.shown
        names, others = ({name.casefold() for name in (c.label, shown(c), *c.synonyms)} for c in (one, other))
        return bool(names & others or english.words(one.label) & english.words(other.label))
