"""How texts become the terms of the index, and queries the same ones: one way for all languages and fields.

Words are stemmed as English; the same happens to words of other languages on both sides, so that they find themselves.
Korean, Japanese and Chinese have no spaces where a search needs them, and become pairs of characters.
"""

import re
import unicodedata

import tantivy

ANALYZER = "words"

_UNSPACED = re.compile(r"[぀-ヿ㐀-䶿一-鿿가-힣]+")
"""Runs of kana, Han and Hangul."""

_LONGEST = 100


def analyzer() -> tantivy.TextAnalyzer:
    """Of all texts and of queries."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for each in (
        tantivy.Filter.remove_long(_LONGEST),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.stopword("english"),
        tantivy.Filter.stemmer("english"),
    ):
        builder = builder.filter(each)
    return builder.build()


def spaced(text: str) -> str:
    """A text in which runs without spaces are pairs of characters; composed, since macOS decomposes Hangul."""
    text = unicodedata.normalize("NFC", text)
    return text if text.isascii() else _UNSPACED.sub(_pairs, text)


def _pairs(run: re.Match[str]) -> str:
    characters = run[0]
    pairs = [characters[i : i + 2] for i in range(len(characters) - 1)] or [characters]
    return f" {' '.join(pairs)} "
