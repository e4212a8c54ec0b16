"""Captions composed from the keywords: no second model, and nothing said that the keywords do not say."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tasks.ports import Picture, Words
from taxonomy.choose import DECIMALS, Chosen
from taxonomy.concepts import Vocabulary
from taxonomy.limits import Limits, load_limits
from worker.captioners import english
from worker.captioners.mentions import THINGS, Mention, Selector

VERSION = "composed/1"

TITLE_MENTIONS = 3
ALT_MENTIONS = 4

UNIQUE = frozenset({"sun", "moon", "sky", "earth", "Milky Way", "outdoors", "indoors"})
"""There is one of each, which in English takes `the`."""
SCENES = {"indoors": "indoor scene", "outdoors": "outdoor scene"}
SCENE_ENDINGS = ("scene", "landscape", "skyline", "interior", "view")
"""Words that already say that the whole picture is meant."""

KINDS = THINGS - {"person", "body", "nature"}
"""Facets of which the widest kind may follow a name, as on any stock site: `rose plant`, but not `rock nature`."""

Candidate = tuple[Mention, ...]


class ComposedCaptioner:
    """Composes candidate sentences and takes the one nearest to the picture.

    Every sentence follows one of a few patterns that claim no more than presence: `A dog and a ball`, `A dog with a
    ball, grass and a tree`, `A beach scene with a dog`. Nothing is on, under or doing anything.

    A candidate stands for the normalised sum of the embeddings of the concepts that it mentions, and is ranked by the
    cosine of that with the picture's embedding: encoding the sentences themselves would cost more than the picture.
    All candidates mention the surest concept; which concepts may be mentioned at all, and that a narrow one is
    preferred to its parent when nearly as sure, is decided in `mentions`.

    Args:
        vocabulary: m concepts.
        embeddings: theirs, (m, d), unit length.
        limits: lengths of the texts; by default the tightest that the agencies set.
        withheld: positions of the concepts that a policy never shows, and no text mentions either.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        embeddings: NDArray[np.float32],
        limits: Limits | None = None,
        withheld: Collection[int] = (),
    ) -> None:
        if len(embeddings) != len(vocabulary.concepts):
            raise ValueError(f"{len(embeddings)} embeddings for {len(vocabulary.concepts)} concepts")
        self.vocabulary = vocabulary
        self.limits = load_limits() if limits is None else limits
        self._embeddings = embeddings
        self._selector = Selector(vocabulary, withheld)
        # The vocabulary's own fingerprint leaves out what only sentences need.
        grammars = [concept.grammar for concept in vocabulary.concepts]
        content = repr((VERSION, vocabulary.fingerprint, grammars, tuple(self.limits)))
        self.fingerprint = hashlib.sha256(content.encode()).hexdigest()[:16]

    def caption(self, picture: Picture, keywords: Sequence[Chosen]) -> Words | None:
        """Title, caption and alt text.

        Args:
            picture: what is known of it otherwise.
            keywords: the picture's, of this captioner's vocabulary.

        Returns:
            `None` without keywords, or where none of them has a letter or digit.
        """
        mentions = self._selector.select(keywords, things=2 if self.vocabulary.flat else 4)
        if not mentions:
            return None
        ranked = self._ranked(picture.vector, mentions)
        return Words(
            title=self._title(ranked),
            caption=self._sentence(ranked, self.limits.caption, most=len(mentions)),
            alt_text=self._sentence(ranked, self.limits.alt_text, most=ALT_MENTIONS),
        )

    def _ranked(self, embedding: NDArray[np.float32], mentions: Sequence[Mention]) -> list[Candidate]:
        """Candidates, the best first; of equals the one that mentions fewer."""
        sets = _sets(mentions)
        vectors = np.asarray(self._embeddings[[mention.chosen.position for mention in mentions]], dtype=np.float64)
        member = np.zeros((len(sets), len(mentions)))
        for row, places in enumerate(sets):
            member[row, places] = 1
        along = member @ (vectors @ embedding.astype(np.float64))
        length = np.sqrt(((member @ (vectors @ vectors.T)) * member).sum(axis=1))
        cosine = np.round(along / np.maximum(length, 1e-9), DECIMALS)
        return [tuple(mentions[place] for place in sets[i]) for i in np.argsort(-cosine, kind="stable")]

    def _title(self, ranked: Sequence[Candidate]) -> str:
        texts = (english.plain(self._headline(candidate)) for candidate in ranked if len(candidate) <= TITLE_MENTIONS)
        return english.headline(_fitting(texts, self.limits.title), self.limits.title)

    def _sentence(self, ranked: Sequence[Candidate], limit: int, most: int) -> str:
        texts = (self._statement(candidate) for candidate in ranked if len(candidate) <= most)
        return english.sentence(_fitting(texts, limit - 1), limit)

    def _headline(self, candidate: Candidate) -> str:
        """In the manner of headlines: no articles, no commas, and never one word if there is another."""
        setting, things = _parts(candidate)
        names = [thing.text for thing in things]
        if setting:
            scene = _scene(setting)
            if names:
                return f"{scene} with {' and '.join(names)}"
            return scene if " " in scene else f"{english.article(scene)} {scene}"
        if len(names) == 1:
            return self._alone(things[0])
        return f"{names[0]} with {' and '.join(names[1:])}" if len(names) > 2 else " and ".join(names)

    def _statement(self, candidate: Candidate) -> str:
        """What is there, with articles; terms of a plain list, whose grammar nobody knows, without."""
        setting, things = _parts(candidate)
        names = [thing.text if self.vocabulary.flat else _noun(thing) for thing in things]
        if setting:
            scene = _scene(setting)
            scene = f"{english.article(scene)} {scene}"
            return f"{scene} with {english.listed(names)}" if names else scene
        if self.vocabulary.flat or len(names) == 2:
            return english.listed(names)
        if len(names) == 1:
            return names[0] if " " in names[0] else f"some {names[0]}"
        return f"{names[0]} with {english.listed(names[1:])}"

    def _alone(self, mention: Mention) -> str:
        """Two words or more for one thing, since agencies refuse titles of one: `elephant animal`, `an architect`."""
        if " " in mention.text or self.vocabulary.flat:
            return mention.text
        kind = self._selector.widest(mention) if mention.concept.facet in KINDS else None
        if kind is not None:
            return f"{mention.text} {english.clean(self.vocabulary.shown(kind))}"
        noun = _noun(mention)
        return noun if " " in noun else f"some {noun}"


def _sets(mentions: Sequence[Mention]) -> list[list[int]]:
    """All sets of mentions, as places, with the surest in it and at most one setting; the smaller first."""
    others = range(1, len(mentions))
    sets = [[0, *more] for count in range(len(mentions)) for more in combinations(others, count)]
    return [places for places in sets if sum(mentions[place].setting for place in places) <= 1]


def _fitting(texts: Iterable[str], limit: int) -> str:
    """The first text that is short enough, else the shortest."""
    tried = []
    for text in texts:
        if len(text) <= limit:
            return text
        tried.append(text)
    return min(tried, key=len)


def _parts(candidate: Candidate) -> tuple[Mention | None, list[Mention]]:
    """The setting, if any, and the things."""
    setting = next((mention for mention in candidate if mention.setting), None)
    return setting, [mention for mention in candidate if not mention.setting]


def _scene(mention: Mention) -> str:
    """A setting as a noun that claims nothing of what is where: `kitchen scene`, `city skyline`."""
    if mention.text.endswith(SCENE_ENDINGS):
        return mention.text
    return SCENES.get(mention.text, f"{mention.text} scene")


def _noun(mention: Mention) -> str:
    """A thing with its article: `an umbrella`, `grass`, `jeans`, `the sun`."""
    if mention.text in UNIQUE:
        return f"the {mention.text}"
    if mention.concept.grammar == "count":
        return f"{english.article(mention.text)} {mention.text}"
    return mention.text
