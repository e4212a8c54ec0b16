"""The generations of a library, as they lie in its output root: which there are, what made them, how much they hold."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from tasks.errors import ConfigurationError
from tasks.generations.description import Description, read_description
from tasks.generations.pointer import Current, read_current
from tasks.layout import GENERATION
from tasks.records import Record
from worker.library import Library

State = Literal["serving", "filling", "previous", "kept"]

OURS = ("done/", "failed/", "packed/", "generation.json")
"""What lies below a generation's name; another folder of such a name is none of ours."""

COUNTED_AT_A_TIME = 1000

Progress = Callable[[str, int, int | None], None]


class Counts(NamedTuple):
    """How many records a generation has, of all libraries that share its output root."""

    done: int
    failed: int

    @property
    def records(self) -> int:
        """Both kinds."""
        return self.done + self.failed


@dataclass(frozen=True, slots=True)
class Generation:
    """One of a library's generations.

    Attributes:
        state: `previous` served before the one that serves; `kept` is none of the others.
        description: what made it; `None` where an earlier version opened it, and no worker made it since.
        record: any of its sidecars, where it has no description.
    """

    name: str
    state: State
    description: Description | None = None
    record: Record | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON types; `null` for what is not known."""
        made = self.description
        if made is not None:
            known = asdict(made)
            del known["schema"], known["generation"]
            known["languages"] = list(made.languages)
        else:
            found = self.record
            known = {name: getattr(found, name, None) for name in ("model", "engine", "taxonomy")}
            known = {"opened_at": None, **known, "captioner": None, "languages": None}
        return {"generation": self.name, "state": self.state, **known}


def generations(library: Library) -> Iterator[Generation]:
    """All of them: the one that serves, the one being filled, those that served before, then the rest by name.

    Looks one level deep, so it costs a few requests a generation, however much is in them.

    Raises:
        ConfigurationError: the pointer cannot be read.
        Unavailable: the store does not answer.
    """
    current = read_current(library.sidecars, library.layout)
    named = dict.fromkeys((*current.written, *current.previous))
    others = sorted(set(_found(library)) - set(named))
    for name in (*named, *others):
        yield generation(library, current, name)


def generation(library: Library, current: Current, name: str) -> Generation:
    """One of them, whether anything is in it or not. Raises `Unavailable`."""
    description = read_description(library.sidecars, library.layout, name)
    record = _any_record(library, name) if description is None else None
    return Generation(name, _state(current, name), description, record)


def resolve(library: Library, name: str) -> str:
    """A generation's name: itself, or whatever is `serving`, `filling` or was `previous`.

    Raises:
        ConfigurationError: there is none such, or the pointer cannot be read.
        Unavailable: the store does not answer.
    """
    if GENERATION.fullmatch(name):
        return name
    current = read_current(library.sidecars, library.layout)
    found = {"serving": current.serving, "filling": current.filling, "previous": next(iter(current.previous), None)}
    if name not in found:
        raise ConfigurationError(f"{name!r} is no generation: give 12 hex digits, or serving, filling or previous")
    if (wanted := found[name]) is None:
        words = {"serving": "serves", "filling": "is being filled", "previous": "served before"}
        raise ConfigurationError(f"no generation {words[name]} in {library.sidecars.bucket!r}")
    return wanted


def require(library: Library, name: str) -> str:
    """A generation of which there is something. Raises `ConfigurationError` where there is not, and `Unavailable`."""
    name = resolve(library, name)
    if not _is_ours(library, name):
        raise ConfigurationError(
            f"there is no generation {name} in {library.sidecars.bucket!r} below {library.layout.root or '/'!r}"
        )
    return name


def count(library: Library, name: str, progress: Progress | None = None) -> Counts:
    """List all of a generation's records. Raises `Unavailable`."""
    found: dict[str, int] = {}
    for kind in ("done", "failed"):
        number = 0
        for stat in library.sidecars.list(f"{library.layout.generation(name)}{kind}/"):
            number += library.layout.parse(stat.key) is not None
            if progress is not None and number % COUNTED_AT_A_TIME == 0:
                progress(f"counting {name}", sum(found.values()) + number, None)
        found[kind] = number
    return Counts(**found)


def _found(library: Library) -> Iterator[str]:
    root = library.layout.root
    for entry in library.sidecars.walk(root):
        if isinstance(entry, str):
            name = entry[len(root) :].removesuffix("/")
            if GENERATION.fullmatch(name) and _is_ours(library, name):
                yield name


def _is_ours(library: Library, name: str) -> bool:
    """Whether there is an object of a generation; stores may go on listing folders that have none."""
    store, below = library.sidecars, library.layout.generation(name)
    if store.read(library.layout.description(name)) is not None:
        return True
    return any(next(store.list(below + part), None) is not None for part in OURS if part.endswith("/"))


def _state(current: Current, name: str) -> State:
    if name == current.serving:
        return "serving"
    if name == current.filling:
        return "filling"
    return "previous" if name in current.previous else "kept"


def _any_record(library: Library, name: str) -> Record | None:
    stat = next(library.sidecars.list(f"{library.layout.generation(name)}done/"), None)
    found = None if stat is None else library.sidecars.read(stat.key)
    try:
        return None if found is None else Record.from_json(found[0])
    except ValueError:
        return None
