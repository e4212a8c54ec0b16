"""`stockmeta write`: metadata into images, or into sidecars beside them."""

import collections
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tasks.errors import ConfigurationError, Unavailable
from tasks.generations.pointer import read_current
from tasks.own_writes import OwnWriter
from tasks.ports import Store
from taxonomy.policy import withheld
from worker import console
from worker.announcing import announcing
from worker.library import Library, open_library
from worker.metadata.beside import Naming
from worker.metadata.exiftool import ExifTool
from worker.metadata.fields import Wording
from worker.metadata.merge import Merge
from worker.settings import Settings
from worker.sidecars import Broken, Found, records
from worker.storage.local import LocalStore
from worker.storage.memory import MemoryStore
from worker.vocabulary import load_wording
from worker.writing import Line, Writer

OK, SOME_FAILED = 0, 1
THREADS = 4
"""Images under way at once: exiftool takes one at a time, and the store's latency is what the others wait for."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Attributes:
        embed: into the images; else into sidecars.
        out: the folder for copies and sidecars; `None` is in place.
        merge: what becomes of what is there.
        naming: of sidecars.
        dry_run: whether nothing is written.
    """

    embed: bool
    out: Path | None
    merge: Merge = Merge.KEEP
    naming: Naming = Naming.ADOBE
    dry_run: bool = False


def run(settings: Settings, options: Options) -> int:
    """Write, one line an image to standard output; returns the exit status."""
    library = open_library(settings)
    wording = make_wording(settings)
    counts: collections.Counter[str] = collections.Counter()
    with ExitStack() as stack:
        tool = stack.enter_context(ExifTool(settings.exiftool)) if options.embed else None
        target, own = _target(library, options)
        if own is not None and not options.dry_run:
            own = replace(own, changes=stack.enter_context(announcing(settings)))
        writer = Writer(
            library,
            wording,
            options.merge,
            options.naming,
            target,
            own,
            tool,
            max_bytes=settings.max_bytes,
            dry_run=options.dry_run,
        )
        bars = stack.enter_context(console.bars())
        for line in _in_order(writer.write, records(library, check_source=True)):
            console.emit(_json(line))
            counts[line.status] += 1
            bars.update("writing", counts.total(), None)
    said = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.most_common())
    console.say(f"{counts.total()} images: {said}" if said else "there is nothing to write")
    return SOME_FAILED if counts["failed"] else OK


def make_wording(settings: Settings) -> Wording:
    """Languages and hierarchy, from the vocabulary and the policy that the settings name."""
    vocabulary, policy = load_wording(settings)
    language = policy.languages[0]
    never = withheld(policy, vocabulary)
    shown = [i not in never for i in range(len(vocabulary.concepts))]

    def label(position: int) -> str:
        labels = vocabulary.labels(vocabulary.concepts[position], policy.languages)
        return labels.get(language, labels["en"]).replace("|", "/")

    paths = {}
    for position, concept in enumerate(vocabulary.concepts):
        above = [vocabulary.index[one.id] for one in vocabulary.ancestors(concept)]
        parts = [label(i) for i in reversed(above) if shown[i]]
        if parts:
            paths[concept.id] = "|".join((*parts, label(position)))
    return Wording(policy.languages, paths)


def _target(library: Library, options: Options) -> tuple[Store, OwnWriter | None]:
    """Where it goes. Raises `ConfigurationError` for a folder whose copies would be new images of the library."""
    if options.out is None:
        current = read_current(library.sidecars, library.layout)
        return library.source, OwnWriter(library.source, library.sidecars, library.layout, current.written)
    out = options.out.resolve()
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"--out {options.out}: it is not a folder")
    source = library.source
    if isinstance(source, LocalStore) and (out.is_relative_to(source.root) or source.root.is_relative_to(out)):
        raise ConfigurationError(
            f"--out {options.out}: give a folder apart from the library, or say --in-place to write into the library"
        )
    if options.dry_run and not out.exists():
        return MemoryStore("out"), None
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--out {options.out}: the folder cannot be made: {error.strerror}") from error
    return LocalStore(out, "out"), None


def _in_order(write: Callable[[Found], Line], found: Iterable[Found]) -> Iterator[Line]:
    """The lines in the order of what was found, which is read no further ahead than needed."""
    waiting: deque[tuple[str, Future[Line]]] = deque()
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="write")
    trouble: Unavailable | None = None
    try:
        try:
            for one in found:
                sidecar = Naming.ADOBE.key(one.key if isinstance(one, Broken) else one.record.image.key)
                # Of two images with one sidecar the first gets it, in every run.
                while len(waiting) >= 2 * THREADS or any(sidecar == other for other, _ in waiting):
                    yield waiting.popleft()[1].result()
                waiting.append((sidecar, pool.submit(write, one)))
        except Unavailable as error:
            # Of the listing: what was listed before it is written, and has its lines.
            trouble = error
        while waiting:
            yield waiting.popleft()[1].result()
        if trouble is not None:
            raise trouble
    finally:
        # What is under way ends, or exiftool would be taken away from it; what has not begun does not begin.
        pool.shutdown(wait=True, cancel_futures=True)


def _json(line: Line) -> str:
    content = {name: value for name, value in asdict(line).items() if name != "values" or value is not None}
    return json.dumps(content, ensure_ascii=False)
