"""Where in a TOML file a key or a value stands: `tomllib` reads files, and keeps no positions."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

Keys = tuple[str | int, ...]
"""The way to a value: keys, and for an entry of an array of tables its index."""

_STRING = (
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")',
    r"'''.*?'{3,5}(?!')",
    r'"(?:\\.|[^"\\\n])*"',
    r"'[^'\n]*'",
)
_TOKEN = re.compile(
    rf"(?P<string>{'|'.join(_STRING)})|(?P<comment>#[^\n]*)|(?P<open>[\[{{])|(?P<close>[\]}}])|\n", re.S
)
_HEADER = re.compile(r"(\[\[?)(.*?)\]\]?\s*(?:#.*)?", re.S)
_KEY = re.compile(rf"((?:{_STRING[2]}|{_STRING[3]}|[A-Za-z0-9_-]++|\s*+\.\s*+)++)\s*=")


class _Statement(NamedTuple):
    """A header, or a key and its value: the text, and the offset at which it begins."""

    text: str
    start: int


class Lines:
    """Finds lines in a text that `tomllib` has read.

    Args:
        text: a whole TOML file.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._places: dict[Keys, _Statement] = {}
        self._find()

    def line(self, keys: Keys, value: str | None = None) -> int:
        """The line, from 1, of a key or of a string in its value; where it is unknown, of what is nearest above."""
        for length in range(len(keys), 0, -1):
            if statement := self._places.get(keys[:length]):
                offset = statement.start + (0 if value is None else _offset(statement.text, value))
                return self._text.count("\n", 0, offset) + 1
        return 1

    def _find(self) -> None:
        prefix: Keys = ()
        counts: dict[Keys, int] = {}
        for statement in _statements(self._text):
            if header := _HEADER.fullmatch(statement.text):
                prefix = _path(header[2], counts, several=header[1] == "[[")
                self._places.setdefault(prefix, statement)
            elif key := _KEY.match(statement.text):
                self._places.setdefault((*prefix, *_keys(key[1])), statement)


def _statements(text: str) -> Iterator[_Statement]:
    """What stands between line ends outside brackets and strings."""
    depth = start = 0
    for token in _TOKEN.finditer(text):
        depth += bool(token["open"]) - bool(token["close"])
        if token[0] == "\n" and depth <= 0:
            yield _statement(text, start, token.start())
            start = token.end()
    yield _statement(text, start, len(text))


def _statement(text: str, start: int, end: int) -> _Statement:
    stripped = text[start:end].lstrip()
    return _Statement(stripped.rstrip(), end - len(stripped))


def _path(header: str, counts: dict[Keys, int], *, several: bool) -> Keys:
    """A header's keys, with the index of the last entry wherever they pass an array of tables."""
    path: Keys = ()
    keys = _keys(header)
    for position, key in enumerate(keys, 1):
        path = (*path, key)
        if several and position == len(keys):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _keys(text: str) -> tuple[str, ...]:
    """`a."b c"` to its keys."""
    try:
        found: Any = tomllib.loads(f"{text.strip()} = 0")
    except tomllib.TOMLDecodeError:  # a position is a courtesy, and not worth an error
        return ()
    keys = []
    while isinstance(found, dict):
        ((key, found),) = found.items()
        keys.append(key)
    return tuple(keys)


def _offset(statement: str, value: str) -> int:
    """Where in a statement a string value stands; 0 where it is not found."""
    for token in _TOKEN.finditer(statement):
        if token["string"] and _is(token["string"], value):
            return token.start()
    return 0


def _is(literal: str, value: str) -> bool:
    try:
        return bool(tomllib.loads(f"x = {literal}")["x"] == value)
    except tomllib.TOMLDecodeError:  # as above
        return False
