"""What is written: the fields, their XMP properties, and their values for one image.

Never written: who made or owns the picture, and the 2025.1 fields about AI (`AISystemUsed` and so on), which speak of
what generated the picture.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tasks import own_words
from tasks.published import Origin, Published, Text
from worker.metadata.tree import clean
from worker.metadata.xmp import DEFAULT, Property

DC = "http://purl.org/dc/elements/1.1/"
IPTC = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
LIGHTROOM = "http://ns.adobe.com/lightroom/1.0/"

BY_LANGUAGE: Mapping[str, Property] = {
    "title": Property(DC, "title"),
    "description": Property(DC, "description"),
    "alt_text": Property(IPTC, "AltTextAccessibility"),
}
"""Fields that hold a text in each language."""
PLAIN: Mapping[str, Property] = {"headline": Property(PHOTOSHOP, "Headline")}
"""Fields that hold one text."""
LISTS: Mapping[str, Property] = {
    "keywords": Property(DC, "subject"),
    "hierarchy": Property(LIGHTROOM, "hierarchicalSubject"),
    "scene": Property(IPTC, "Scene"),
    "subject_code": Property(IPTC, "SubjectCode"),
}
"""Fields that hold several values."""
MARKS = Property(own_words.NAMESPACE, own_words.PROPERTY)
CHANGED = Property("http://ns.adobe.com/xap/1.0/", "MetadataDate")

MEDIA_TOPIC, FIRST_LEVEL = "medtop:", "000000"
PEOPLE: Origin = "embedded"
"""The words that the file has from people, and which stay theirs when they are written again."""


@dataclass(frozen=True, slots=True)
class Values:
    """What one image is to say.

    Attributes:
        texts: by field, then by language.
        lists: by field, each value once, the most important first.
        theirs: the values among them that are not ours, by field.
    """

    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    theirs: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def said(self) -> bool:
        """Whether there is anything to say."""
        return any((*self.texts.values(), *self.lists.values()))


@dataclass(frozen=True)
class Wording:
    """In which languages, and with which paths.

    Attributes:
        languages: the first is the one of keywords, whose labels in the others follow.
        paths: by concept, its path in the hierarchy in the first language, from the root, `|` between its parts.
    """

    languages: Sequence[str] = ("en",)
    paths: Mapping[str, str] = field(default_factory=dict)

    def values(self, said: Published) -> Values:
        """What is written for an image."""
        texts = {
            "title": self._alternatives(said.title),
            "headline": {DEFAULT: text} if said.title and (text := tidy(said.title.value)) else {},
            "description": self._alternatives(said.caption),
            "alt_text": self._alternatives(said.alt_text),
        }
        lists = {
            "keywords": _once(self._keywords(said)),
            "hierarchy": _once(self.paths.get(word.concept or "", "") for word in said.keywords),
            "scene": _once(category.id for category in said.categories.get("iptc_scene", ())),
            "subject_code": _once(_subject_codes(said)),
        }
        return Values(texts, lists, _theirs(said))

    def _alternatives(self, text: Text | None) -> dict[str, str]:
        if text is None or not (value := tidy(text.value)):
            return {}
        # What we generate is English. Of a person's text nobody said.
        known = text.source == "generated" and len(self.languages) > 1 and "en" in self.languages
        return {DEFAULT: value} | ({"en": value} if known else {})

    def _keywords(self, said: Published) -> Iterator[str]:
        first, *others = self.languages
        for word in said.keywords:
            yield word.labels.get(first) or word.labels.get("en") or next(iter(word.labels.values()), "")
        for language in others:
            yield from (word.labels[language] for word in said.keywords if language in word.labels)


def tidy(text: str) -> str:
    """A text as it is written: on one line for the eye, with nothing in it that XML or IIM cannot carry."""
    return "\n".join(" ".join(line.split()) for line in clean(text).splitlines()).strip()


def _subject_codes(said: Published) -> Iterator[str]:
    for category in said.categories.get("iptc", ()):
        # The first level of the Media Topics has the codes of the Subject NewsCodes; the second has not.
        if category.id.endswith(FIRST_LEVEL):
            yield category.id.removeprefix(MEDIA_TOPIC)


def _theirs(said: Published) -> dict[str, frozenset[str]]:
    texts = {"title": said.title, "headline": said.title, "description": said.caption, "alt_text": said.alt_text}
    found = {
        name: frozenset({tidy(text.value)} if text is not None and text.source == PEOPLE else ())
        for name, text in texts.items()
    }
    # As the file has them: a label of ours in another language is a translation, and ours.
    words = said.embedded.keywords if said.embedded is not None else ()
    return found | {"keywords": frozenset(map(tidy, words))}


def _once(values: Iterator[str]) -> tuple[str, ...]:
    """Each value once, whatever its case, the first of them."""
    found: dict[str, str] = {}
    for value in values:
        if value := " ".join(clean(value).split()):
            found.setdefault(value.casefold(), value)
    return tuple(found.values())
