"""The patterns of composed sentences: what is mentioned, as a title or as a caption.

None claims more than presence: `A dog and a ball`, `A kitchen with a stove`, `A bus outdoors`. Nothing is on, under or
doing anything.
"""

from collections.abc import Sequence

from taxonomy.concepts import Concept, Vocabulary
from worker.captioners import english
from worker.captioners.mentions import Mention

UNIQUE = frozenset({"sun", "moon", "sky", "earth", "Milky Way"})
"""There is one of each, which in English takes `the`."""
SCENES = {"indoors": "indoor scene", "outdoors": "outdoor scene"}
SCENE_ENDINGS = ("scene", "landscape", "skyline", "interior", "view")
"""Words that already say that the whole picture is meant."""
COUNTED = frozenset({"count", "proper", "phrase"})
ANYWHERE = frozenset({"food", "drink", "body"})
"""Facets of which nobody says that they are indoors or outdoors."""
AFLOAT = frozenset({"aircraft", "watercraft"})
"""Likewise: an airplane outdoors."""
SCENERY = frozenset({"nature", "plant", "building"})
"""Facets of what makes a scene: an outdoor scene with water, but a dog outdoors."""

Candidate = tuple[Mention, ...]


class Patterns:
    """Says what a candidate mentions.

    Args:
        vocabulary: whose concepts are mentioned. Of a plain list nobody knows the grammar, so it gets no articles.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def headline(self, candidate: Candidate) -> str:
        """In the manner of headlines: no articles, no commas, and never one word if there is another."""
        place, around, things = self._parts(candidate)
        names = [thing.text for thing in things]
        if place is not None:
            if names:
                return f"{self._place(place)} with {' and '.join(names)}"
            scene = self._scene(place)
            return scene if " " in scene else _with_article(scene)
        if around:
            return f"{_together(names)} {around}"
        return _together(names) if len(names) > 1 else self._alone(things[0])

    def statement(self, candidate: Candidate) -> str:
        """What is there, with articles."""
        place, around, things = self._parts(candidate)
        names = [thing.text if self.vocabulary.flat else _noun(thing) for thing in things]
        if place is not None:
            if names:
                return f"{_with_article(self._place(place))} with {english.listed(names)}"
            return _with_article(self._scene(place))
        if len(names) == 1 and not around and not self.vocabulary.flat:
            return names[0] if " " in names[0] else f"some {names[0]}"
        several = len(names) > 2 and not self.vocabulary.flat
        listed = f"{names[0]} with {english.listed(names[1:])}" if several else english.listed(names)
        return f"{listed} {around}" if around else listed

    def _parts(self, candidate: Candidate) -> tuple[Mention | None, str, list[Mention]]:
        """What surrounds the picture, if that is said first; else `indoors` or `outdoors`, if that follows; things."""
        settings = [mention for mention in candidate if mention.setting]
        things = sorted((mention for mention in candidate if not mention.setting), key=_behind)
        place = next((setting for setting in settings if not setting.around), None)
        if place is not None or not settings:
            return place, "", things
        around = settings[0]
        if any(thing.text in UNIQUE or self._anywhere(thing.concept) for thing in things):
            return None, "", things
        if things and all(thing.grammar in COUNTED and thing.concept.facet not in SCENERY for thing in things):
            return None, around.text, things
        # A theater indoors is no thing in a scene.
        inside = around.text == "indoors" and any(thing.concept.facet == "building" for thing in things)
        return None if inside else around, "", things

    def _anywhere(self, concept: Concept) -> bool:
        if concept.facet in ANYWHERE:
            return True
        return not AFLOAT.isdisjoint({concept.label, *(kind.label for kind in self.vocabulary.ancestors(concept))})

    def _alone(self, mention: Mention) -> str:
        """Two words or more for one thing, since agencies refuse titles of one: `an architect`, `some food`."""
        if self.vocabulary.flat or " " in mention.text:
            return mention.text
        noun = _noun(mention)
        return noun if " " in noun else f"some {noun}"

    def _place(self, mention: Mention) -> str:
        """A setting with things in it: `kitchen`, but `baseball scene`."""
        if mention.concept.facet in ("place", "nature") and mention.grammar == "count":
            return mention.text
        return self._scene(mention)

    def _scene(self, mention: Mention) -> str:
        """A setting as a noun that claims nothing of what is where: `kitchen interior`, `beach scene`."""
        if mention.text.endswith(SCENE_ENDINGS):
            return mention.text
        if mention.around:
            return SCENES.get(mention.text, f"{mention.text} scene")
        inside = any(kind.label == "indoors" for kind in self.vocabulary.ancestors(mention.concept))
        return f"{mention.text} {'interior' if inside else 'scene'}"


def _behind(mention: Mention) -> bool:
    """Whether it is what other things are seen before: a boat and water."""
    return mention.text in UNIQUE or (mention.concept.facet == "nature" and mention.grammar == "mass")


def _together(names: Sequence[str]) -> str:
    return f"{names[0]} with {' and '.join(names[1:])}" if len(names) > 2 else " and ".join(names)


def _with_article(noun: str) -> str:
    return f"{english.article(noun)} {noun}"


def _noun(mention: Mention) -> str:
    """A thing with its article: `an umbrella`, `grass`, `jeans`, `the sun`."""
    if mention.text in UNIQUE:
        return f"the {mention.text}"
    return _with_article(mention.text) if mention.grammar == "count" else mention.text
