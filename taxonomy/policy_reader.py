"""The form of a policy file: TOML, tables with known keys, values of the right type; every problem with its line."""

import math
import re
import sys
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from taxonomy.concepts import TaxonomyError
from taxonomy.rules import suggest
from taxonomy.toml_lines import Keys, Lines

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TYPES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


class Document:
    """A policy file that is being read, and what is wrong with it so far.

    Args:
        path: the file.

    Raises:
        TaxonomyError: it cannot be read, or is not TOML.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = _text(path)
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = _PLACE.search(str(error))
            line = int(place[1]) if place and place[1] else text.count("\n") + 1
            cause = _PLACE.sub("", str(error))
            raise TaxonomyError(f"{path}:{line}: not TOML: {cause}; see https://toml.io for its rules") from error
        except (ValueError, RecursionError) as error:
            cause = "nested too deeply" if isinstance(error, RecursionError) else f"not TOML: {error}"
            raise TaxonomyError(f"{path}:1: {cause}; shorten the value") from error
        self._lines = Lines(text)
        self._problems: dict[tuple[int, str], None] = {}

    def line(self, keys: Keys, value: str | None = None) -> int:
        """The line of a key, or of a text in its value."""
        return self._lines.line(keys, value)

    def problem(self, keys: Keys, cause: str, value: str | None = None) -> None:
        """Note that something is wrong at a key, or at a text in its value."""
        self._problems[self.line(keys, value), cause] = None

    def finish(self) -> None:
        """Raise `TaxonomyError` with all problems, one a line, in the order of the file; or return."""
        if self._problems:
            raise TaxonomyError("\n".join(f"{self.path}:{line}: {cause}" for line, cause in sorted(self._problems)))

    def root(self, known: Collection[str]) -> "Table":
        """The whole file as a table with these keys."""
        table = Table(self, (), self.data)
        table.only(known)
        return table


class Table:
    """A table of the file. Every reading method gives `None` or nothing where the value is absent or wrong."""

    def __init__(self, document: Document, keys: Keys, data: Mapping[str, Any]) -> None:
        self.document = document
        self.keys = keys
        self.data = data

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def problem(self, key: str, cause: str, value: str | None = None) -> None:
        """Note that something is wrong with a key."""
        self.document.problem((*self.keys, key), cause, value)

    def only(self, known: Collection[str]) -> None:
        """Note every key that is not known."""
        for key in self.data:
            if key not in known:
                what = "table" if isinstance(self.data[key], dict) else "key"
                hint = suggest(key, known) or f"; there are {', '.join(sorted(known))}"
                self.problem(key, f"unknown {what} {key!r}{hint}")

    def table(self, key: str, known: Collection[str] | None = None) -> "Table":
        """A table below, with these keys, or with any."""
        found = self._typed(key, dict)
        table = Table(self.document, (*self.keys, key), found or {})
        if known is not None:
            table.only(known)
        return table

    def tables(self, key: str, known: Collection[str]) -> list["Table"]:
        """An array of tables."""
        found = self._typed(key, list) or []
        if not all(isinstance(entry, dict) for entry in found):
            self.problem(key, f"{key} has to be tables, each under [[{key}]]")
            return []
        tables = [Table(self.document, (*self.keys, key, i), entry) for i, entry in enumerate(found)]
        for table in tables:
            table.only(known)
        return tables

    def text(self, key: str, *, choices: Collection[str] = ()) -> str | None:
        """A text that is not empty, one line, and one of `choices` if there are any."""
        found = self._typed(key, str)
        if found is None or not self._plain(key, found, choices):
            return None
        return str(found).strip()

    def texts(self, key: str, *, choices: Collection[str] = ()) -> tuple[str, ...]:
        """A list of such texts."""
        found = self._typed(key, list) or []
        for entry in found:
            if not isinstance(entry, str):
                self.problem(key, f"{key} has to be a list of texts, and {shown(entry)} is none")
                return ()
        return tuple(entry.strip() for entry in found if self._plain(key, entry, choices))

    def number(self, key: str, *, least: float = -math.inf, most: float = math.inf) -> float | None:
        """A finite number between two bounds."""
        found = self._typed(key, float)
        return None if found is None or not self._within(key, found, least, most) else float(found)

    def whole(self, key: str, *, least: int, most: int) -> int | None:
        """A whole number between two bounds."""
        found = self._typed(key, int)
        return None if found is None or not self._within(key, found, least, most) else int(found)

    def _typed(self, key: str, kind: type) -> Any:
        if key not in self.data:
            return None
        value = self.data[key]
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            self.problem(key, f"{key} has to be {_TYPES[kind]}, not {shown(value)}")
            return None
        return value

    def _plain(self, key: str, value: str, choices: Collection[str]) -> bool:
        if not value.strip() or not value.isprintable():
            self.problem(key, f"{key} has to be one line of text, not {value!r:.60}", value)
        elif choices and value.strip() not in choices:
            names = ", ".join(sorted(choices))
            self.problem(key, f"{value!r} is none of {names}{suggest(value, choices)}", value)
        else:
            return True
        return False

    def _within(self, key: str, value: float, least: float, most: float) -> bool:
        # No float is compared that an integer of any length would have to become first.
        if max(least, -sys.float_info.max) <= value <= min(most, sys.float_info.max):
            return True
        bounds = f"between {least:g} and {most:g}" if math.isfinite(most - least) else "finite"
        self.problem(key, f"{key} has to be {bounds}, not {shown(value)}")
        return False


def shown(value: Any) -> str:
    """A value as it is quoted in a message, cut short."""
    try:
        return f"{value!r:.60}"
    except ValueError:  # a whole number of thousands of digits
        return "a number that long"


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TaxonomyError(f"{path}:{line}: not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    except OSError as error:
        raise TaxonomyError(f"{path}: {error.strerror}; name a policy file that can be read") from error
