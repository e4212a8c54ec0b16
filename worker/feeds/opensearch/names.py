"""Names of indices and aliases.

    <name>                      alias of the index that searches use
    <name>-<generation>-<n>     an index; n grows with each that is begun anew
    <index>-writes              alias of that index, to write to
    <name>-dead-letters         what was refused

Writing through an alias that has to exist keeps an index that somebody deleted from coming back by itself, made by the
first write and without what belongs to it.
"""

import hashlib
import re

from tasks.errors import ConfigurationError

LEGAL = re.compile(r"[a-z0-9][a-z0-9._-]*")
LONGEST = 180
"""Bytes; names of indices may have 255, and a generation, a number and an alias's ending follow."""

KEPT = 120


def default_name(bucket: str, prefix: str = "") -> str:
    """`stockmeta-<bucket>`, and with a prefix, or where anything had to be changed, a short hash of both."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", f"{bucket}-{prefix}".lower() if prefix else bucket.lower()).strip("-._")[
        :KEPT
    ]
    if not prefix and plain == bucket:
        return f"stockmeta-{bucket}"
    mark = hashlib.sha256(f"{bucket}\0{prefix}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"stockmeta-{plain}-{mark}" if plain else f"stockmeta-{mark}"


def checked(name: str) -> str:
    """A name that an operator chose. Raises `ConfigurationError` where it is none for an index."""
    if not LEGAL.fullmatch(name) or len(name) > LONGEST:
        raise ConfigurationError(
            f"{name!r} cannot be the name of an index: lower-case Latin letters, digits, '.', '_' and '-', beginning "
            f"with a letter or digit, at most {LONGEST}"
        )
    return name


def index_name(name: str, generation: str, number: int) -> str:
    """The n-th index of a generation."""
    return f"{name}-{generation}-{number}"


def number_of(index: str, name: str, generation: str) -> int | None:
    """Inverse of `index_name`; `None` for the name of anything else."""
    match = re.fullmatch(rf"{re.escape(name)}-{re.escape(generation)}-([1-9][0-9]*)", index)
    return int(match[1]) if match else None


def writes(index: str) -> str:
    """The alias through which an index is written."""
    return f"{index}-writes"


def dead_letters(name: str) -> str:
    """The index of what was refused."""
    return f"{name}-dead-letters"
