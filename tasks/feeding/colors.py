"""Names of colours: the eleven basic terms of English (Berlin and Kay 1969, "Basic Color Terms")."""

from collections.abc import Mapping
from functools import lru_cache

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

_FOCI = {
    "black": "#000000",
    "white": "#ffffff",
    "gray": "#929591",
    "red": "#e50000",
    "green": "#15b01a",
    "blue": "#0343df",
    "yellow": "#ffff14",
    "orange": "#f97306",
    "brown": "#653700",
    "pink": "#ff81c0",
    "purple": "#7e1e9c",
}


@lru_cache(1 << 16)
def name(color: str) -> str:
    """The name, of `NAMES`, of an sRGB colour as `#rrggbb`. Raises `ValueError` for anything else."""
    distances = np.linalg.norm(_PROTOTYPES - _oklab(color), axis=1)
    return NAMES[int(np.argmin(distances))]


def find(word: str) -> str | None:
    """Which of `NAMES` a word means, in any language that we have labels in; `None` if it is none."""
    return _WORDS.get(folded(word))


def _oklab(color: str) -> NDArray[np.float64]:
    """OKLab of `#rrggbb`, (3,): Ottosson 2020, "A perceptual color space for image processing"."""
    if len(color) != 7 or color[0] != "#":
        raise ValueError(f"{color!r} is no colour: give #rrggbb")
    encoded = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
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
_PROTOTYPES = np.stack([_oklab(_FOCI[each]) for each in NAMES])
_WORDS = {
    folded(label): each for each, languages in LABELS.items() for labels in languages.values() for label in labels
}
