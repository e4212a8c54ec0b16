"""Names of colours: the eleven basic terms of English (Berlin and Kay 1969, "Basic Color Terms").

Which colour has which name is taken from people: 593 colours that the xkcd survey of 2010 has a name for.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxonomy.truth import folded

LABELS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "black": {"en": ("black",), "ko": ("검은색", "검정", "검정색", "까만색", "블랙")},
    "white": {"en": ("white",), "ko": ("흰색", "하양", "하얀색", "백색", "화이트")},
    "gray": {"en": ("gray", "grey"), "ko": ("회색", "잿빛", "그레이")},
    "red": {"en": ("red",), "ko": ("빨간색", "빨강", "빨강색", "붉은색", "레드")},
    "green": {"en": ("green",), "ko": ("초록색", "초록", "녹색", "그린")},
    "blue": {"en": ("blue",), "ko": ("파란색", "파랑", "파랑색", "푸른색", "청색", "블루")},
    "yellow": {"en": ("yellow",), "ko": ("노란색", "노랑", "노랑색", "옐로우")},
    "orange": {"en": ("orange",), "ko": ("주황색", "주황", "오렌지색")},
    "brown": {"en": ("brown",), "ko": ("갈색", "브라운", "밤색")},
    "pink": {"en": ("pink",), "ko": ("분홍색", "분홍", "핑크")},
    "purple": {"en": ("purple", "violet"), "ko": ("보라색", "보라", "자주색", "퍼플")},
}
"""By name and language, the preferred label first."""

NAMES = tuple(LABELS)

NEIGHBOURS = 5
"""So many of the survey's colours decide, the nearer ones more: one alone is as odd as its name may be."""
_NEUTRAL, _DARKEST = 0.03, 0.2
_BLACK, _WHITE = 0.3, 0.92
_STEP = 8
_HEX = re.compile("#[0-9a-fA-F]{6}")


def name(color: str) -> str:
    """The name, of `NAMES`, of an sRGB colour as `#rrggbb`. Raises `ValueError` for anything else.

    What has next to no chroma is black, gray or white by its lightness; all else has the name of what lies nearest in
    the survey. Nearest of eleven typical colours would be simpler and is not what people say: `docs/documents.md`.
    """
    if not _HEX.fullmatch(color):
        raise ValueError(f"{color!r} is no colour: give #rrggbb")
    red, green, blue = bytes.fromhex(color[1:])
    return _name(red // _STEP, green // _STEP, blue // _STEP)


@lru_cache((256 // _STEP) ** 3)
def _name(red: int, green: int, blue: int) -> str:
    """Of all colours of one cell, so that a library's millions of colours are looked up a few thousand times."""
    here = _oklab((np.array([red, green, blue]) + 0.5) * _STEP)
    if np.hypot(here[1], here[2]) < _NEUTRAL or here[0] < _DARKEST:
        return "black" if here[0] < _BLACK else "white" if here[0] > _WHITE else "gray"
    survey = _survey()
    distances = np.linalg.norm(survey.colors - here, axis=1)
    nearest = np.argsort(distances, kind="stable")[:NEIGHBOURS]
    votes = np.bincount(survey.names[nearest], 1 / (distances[nearest] + 1e-6), len(NAMES))
    return NAMES[int(np.argmax(votes))]


def find(word: str) -> str | None:
    """Which of `NAMES` a word means, in any language that we have labels in; `None` if it is none."""
    return _WORDS.get(folded(word))


def _oklab(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKLab of sRGB levels, 0 to 255, (3,): Ottosson 2020, "A perceptual color space for image processing"."""
    encoded = levels / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(_TO_CONES @ linear)
    lab: NDArray[np.float64] = _TO_LAB @ cones
    return lab


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


class _Survey(NamedTuple):
    """Colours (n, 3), OKLab, and the positions (n,) of their names in `NAMES`."""

    colors: NDArray[np.float64]
    names: NDArray[np.intp]


@lru_cache(maxsize=1)
def _survey() -> _Survey:
    text = (files("tasks") / "data" / "color-names.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")][1:]
    pairs = [
        (NAMES.index(called), _oklab(np.array([*bytes.fromhex(color)], np.float64)))
        for called, listed in rows
        for color in listed.split()
    ]
    return _Survey(np.stack([color for _, color in pairs]), np.array([at for at, _ in pairs], np.intp))


_WORDS = {
    folded(label): each for each, languages in LABELS.items() for labels in languages.values() for label in labels
}
