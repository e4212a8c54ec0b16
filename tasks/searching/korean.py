"""Korean words as the vocabulary has them: without spaces, without what Korean appends to them, out of compounds.

A Korean word stands with its particles as one: 강아지와 is 강아지 (puppy) and 와 (with). Spaces within a name are a
matter of taste: 새끼 고양이 and 새끼고양이 are both a kitten. And what belongs together may stand as one: 해변산책.
"""

import re
from collections.abc import Iterable

HANGUL = re.compile("[가-힣]")

STOP = frozenset(
    (
        *("있는", "하는", "중인", "되는", "그리고", "또는", "및", "그", "이", "저", "함께"),
        *("위", "위에", "위의", "안", "안에", "안의", "속", "속의", "옆", "옆에", "앞", "앞에", "뒤", "뒤에", "아래"),
    )
)
"""Words that are no query by themselves."""

WITHOUT = frozenset(("없는", "없이", "없음", "아닌", "제외", "제외한"))
"""What comes before these is not wanted; where both together are a concept (사람 없음) that comes first."""

_ENDING = re.compile(
    "(?:들)?(?:은|는|이|가|을|를|의|에|에서|에게|한테|께|와|과|랑|이랑|하고|도|만|로|으로|처럼|같은|보다|까지|부터|마다|"
    "이나|나|이다|인|중|중인|하는|한|할|하며|하기|되는|된|있는)?"
)
"""Particles, and what makes a verb of a noun, as they follow one."""
_OF_A_VERB = re.compile("는|고|며|면서|는중|려는|러")
"""What follows a verb's stem where it goes with a noun, or another verb."""

MOST_TOKENS = 4
"""Of a name; as many as the longest labels have."""


class Names:
    """Finds names in runs of Korean words.

    Args:
        names: as the vocabulary has them; those with Hangul are taken.
        activities: those of them that a verb is made of as well: 먹는 (eating) is said in 먹기 (to eat).
        colors: those of them that stand before a noun without 색 (colour): 빨간 is 빨간색 (red).
    """

    def __init__(self, names: Iterable[str], activities: Iterable[str] = (), colors: Iterable[str] = ()) -> None:
        self._names = {name.replace(" ", ""): name for name in names if HANGUL.search(name)}
        for color in colors:
            if color.endswith("색") and len(color) > 2:
                self._names.setdefault(color.removesuffix("색"), color)
        self._stems = {name.replace(" ", "").removesuffix("기"): name for name in activities if name.endswith("기")}

    def at_start(self, tokens: list[str]) -> tuple[list[str], int]:
        """The names that the first tokens are, and how many tokens that took; none where they are no names.

        The longest name wins; then one that particles follow; then a compound of several names.
        """
        for count in range(min(MOST_TOKENS, len(tokens)), 0, -1):
            joined = "".join(tokens[:count])
            least = len(joined) - len(tokens[count - 1]) + 1
            if (name := self._with_ending(joined, least)) is not None:
                return [name], count
        return self._compound(tokens[0]), 1

    def _with_ending(self, text: str, least: int) -> str | None:
        """The longest name of at least so many syllables that `text` is, or that nothing but an ending follows."""
        for end in range(len(text), least - 1, -1):
            name = self._names.get(text[:end])
            if name is not None and _ENDING.fullmatch(text, end):
                return name
            stem = self._stems.get(text[:end])
            if stem is not None and _OF_A_VERB.fullmatch(text, end):
                return stem
        return None

    def _compound(self, text: str) -> list[str]:
        """The names of two syllables and more that make up all of `text`, but for an ending; the longest first."""
        for end in range(len(text) - 1, 1, -1):
            name = self._names.get(text[:end])
            if name is None:
                continue
            rest = self._with_ending(text[end:], 2)
            further = [rest] if rest is not None else self._compound(text[end:])
            if further:
                return [name, *further]
        return []
