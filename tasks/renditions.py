"""Renditions: smaller versions of the originals, found under keys that a template makes of the originals' keys.

| template                   | an image               | its rendition              |
|----------------------------|------------------------|----------------------------|
| `previews/{stem}_1000.jpg` | `2024/a.tif`           | `previews/2024/a_1000.jpg` |
| `{dir}previews/{base}.jpg` | `2024/a.tif`           | `2024/previews/a.jpg`      |
| `previews/{below}.webp`    | `originals/2024/a.tif` | `previews/2024/a.webp`     |

Pure functions; nothing here looks at a store.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import NoReturn

from tasks.errors import ConfigurationError
from tasks.layout import IMAGE_EXTENSIONS

VERSION = 1
"""Raised when another rendition would be read, or the same one otherwise."""

PLACEHOLDERS = {
    "key": "the whole key",
    "stem": "the key without its extension, folders and all",
    "below": "the key without its first folder and without its extension",
    "dir": "the folder, with / at its end; empty where there is none",
    "name": "the file's name",
    "base": "the file's name without its extension",
    "ext": "the extension, without the dot",
}
WILD = 2
"""With more, telling whether a long key could be a rendition takes seconds: each may stand for any part of it."""

_WITH_FOLDERS = frozenset({"key", "stem", "below"})
_TELLING = _WITH_FOLDERS | {"name", "base"}
"""Without one of these all images of a folder would share one rendition."""

_PROBES = ("stockmeta-probe.{}", "stockmeta-probe/p.{}", "stockmeta-probe/p/q.{}")


@dataclass(frozen=True)
class Renditions:
    """Where the renditions of a library lie.

    Attributes:
        template: a key with placeholders, in the originals' bucket.
        extensions: of images, lower case, without dots.

    Raises:
        ConfigurationError: a template that is none, or that would take every image for a rendition; says what there is.
    """

    template: str
    extensions: Collection[str] = IMAGE_EXTENSIONS

    def __post_init__(self) -> None:
        names = {name for _, name in self._pieces if name is not None}
        if unknown := sorted(names - PLACEHOLDERS.keys()):
            self._refuse(f"{{{unknown[0]}}} is no placeholder")
        if not names & _TELLING:
            self._refuse("many images would have the same rendition: it names no image")
        if "dir" in names and names & _WITH_FOLDERS:
            self._refuse("it has the folder twice: beside {dir} write {base} or {name}")
        if len(names - {"ext"}) > WILD:
            self._refuse(f"at most {WILD} placeholders, {{ext}} aside, may be in one template")
        if any(part in ("", ".", "..") for part in (self.of("p/q.jpg") or "p").split("/")):
            self._refuse("a key has no empty components, and no . or ..")
        if any(self.is_rendition(probe.format(one)) for one in self.extensions for probe in _PROBES):
            self._refuse(
                "every image named so would be taken for a rendition: give renditions a folder of their own, or an "
                "ending such as _1000.jpg"
            )

    @property
    def fingerprint(self) -> str:
        """Changes when other files would be read."""
        return f"{VERSION} {self.template}"

    def of(self, key: str) -> str | None:
        """Key of an image's rendition; `None` where the template gives none."""
        if "/" not in key and any(name == "below" for _, name in self._pieces):
            return None
        values = _values(key)
        return "".join(text + (values[name] if name is not None else "") for text, name in self._pieces)

    def is_rendition(self, key: str) -> bool:
        """Whether a key is named like some image's rendition: then it is not an image of the library itself.

        That original need not exist; who names an original like this keeps it out of the library.
        """
        return self._pattern.fullmatch(key) is not None

    def require_outside(self, root: str) -> None:
        """Raise `ConfigurationError` if renditions would lie in the output root, a prefix of the same bucket."""
        if root and (self.of("p/q.jpg") or "").startswith(root):
            self._refuse(f"renditions would lie among the outputs, in {root}")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        extension = f"(?i:{'|'.join(map(re.escape, sorted(self.extensions)))})"
        patterns = {
            "key": rf".+\.{extension}",
            "stem": ".*[^/]",
            "below": ".*[^/]",
            "dir": "(?:.+/)?",
            "name": rf"[^/]+\.{extension}",
            "base": "[^/]+",
            "ext": extension,
        }
        made = ""
        seen: set[str] = set()
        for text, name in self._pieces:
            made += re.escape(text)
            if name is not None:
                made += f"(?P={name})" if name in seen else f"(?P<{name}>{patterns[name]})"
                seen.add(name)
        return re.compile(made, re.DOTALL)

    @cached_property
    def _pieces(self) -> tuple[tuple[str, str | None], ...]:
        """Texts, each with the placeholder that follows it, if any."""
        try:
            pieces = list(Formatter().parse(self.template))
        except ValueError:
            self._refuse("its braces do not match")
        for _, name, form, conversion in pieces:
            if form or conversion:
                self._refuse(f"{{{name}}} takes neither a format nor a conversion")
        return tuple((text, name) for text, name, _, _ in pieces)

    def _refuse(self, why: str) -> NoReturn:
        listed = "; ".join(f"{{{name}}}: {meaning}" for name, meaning in PLACEHOLDERS.items())
        raise ConfigurationError(f"STOCKMETA_RENDITION={self.template}: {why}. There are {listed}")


def _values(key: str) -> dict[str, str]:
    folder, slash, name = key.rpartition("/")
    base, dot, ext = name.rpartition(".")
    if not base or not dot:
        base, ext = name, ""
    stem = folder + slash + base
    return {
        "key": key,
        "stem": stem,
        "below": stem.partition("/")[2],
        "dir": folder + slash,
        "name": name,
        "base": base,
        "ext": ext,
    }
