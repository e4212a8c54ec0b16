"""`stockmeta demo`: the whole product on ten photographs, on one machine, with nothing set up."""

import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.errors import ConfigurationError, StockmetaError, Unavailable
from tasks.generations.pointer import open_generation, promote
from tasks.layout import FOLDER_KEYS, Layout
from tasks.messages import UPLOADS, TagMessage
from tasks.ports import Decoded
from tasks.publish import Publisher
from tasks.records import ImageRef, Record
from worker import console
from worker.contact_sheet import Entry, render
from worker.inputs import Inputs
from worker.runtime import Model, load_model, make_decoder
from worker.session import Session, session
from worker.settings import Settings, load_settings
from worker.storage.local import LocalStore

PACKAGED = {
    "skimage": (
        "data/astronaut.png",
        "data/camera.png",
        "data/chelsea.png",
        "data/clock_motion.png",
        "data/coffee.png",
        "data/hubble_deep_field.jpg",
        "data/motorcycle_left.png",
        "data/rocket.jpg",
    ),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}
"""Photographs that scikit-image and scikit-learn ship; their licences are in those packages."""

PATIENCE_SECONDS = 300
THUMBNAIL = 320


def run(settings: Settings, photos: Path | None, out: Path) -> int:
    """Run a queue and a worker on the photographs, print a table, write the page; returns the exit status."""
    library = photos or packaged_photographs(out / "photos")
    sidecars = out / "sidecars"
    sidecars.mkdir(parents=True, exist_ok=True)
    source = LocalStore(library)
    listed = Inputs([library], settings.image_extensions, output=out)
    refs = [replace(ref, etag=source.stat(ref.key).etag) for ref in listed]
    if not refs:
        raise ConfigurationError(f"{library}: there are no images in it")
    with console.bars() as bars:
        # Loaded here first, so that what takes long shows its progress; the worker then finds it in the cache.
        model = load_model(settings, bars.update)
        # An earlier version left another generation in this folder, and the worker would refuse to join it.
        for change in (open_generation, promote):
            change(LocalStore(sidecars), Layout("", FOLDER_KEYS), model.provenance.generation)
        start = time.monotonic()
        given = {"broker_url": None, "library": str(library.resolve()), "output": str(sidecars.resolve())}
        ours = load_settings(**settings.model_dump(exclude_unset=True) | given)
        with session(ours, out / "worker.log") as queue:
            queue.queue.send(TagMessage(tuple(refs)), UPLOADS)
            records = []
            for record in _committed(LocalStore(sidecars), model.provenance.generation, refs, queue):
                records.append(record)
                bars.update("tagging", len(records), len(refs))
        seconds = time.monotonic() - start
        entries = _entries(settings, model, source, records)
    what = f"{len(records)} photographs, model {model.provenance.model} on {model.provenance.engine}"
    page = out / "contact-sheet.html"
    title = f"stockmeta: {library.resolve().name}"
    schemes = {categorizer.scheme.name: categorizer.scheme.title for categorizer in model.describer.categorizers}
    text = render(entries, title=title, summary=what, languages=settings.languages, schemes=schemes)
    page.write_text(text, encoding="utf-8")
    _print_table(records)
    console.say(f"{what}, {seconds:.1f} s from the start of the queue and the worker to the last sidecar")
    console.say(f"sidecars: {sidecars}")
    console.say(f"contact sheet: {page}")
    return 0 if all(record.status.done for record in records) else 1


def packaged_photographs(folder: Path) -> Path:
    """Copy the photographs of installed packages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for package, names in PACKAGED.items():
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ConfigurationError("the demo's photographs need `pip install stockmeta[demo]`; or give --photos DIR")
        for name in names:
            photo = Path(spec.origin).parent / name
            if photo.exists():
                shutil.copyfile(photo, folder / photo.name)
    return folder


def _committed(store: LocalStore, generation: str, refs: Sequence[ImageRef], queue: Session) -> Iterator[Record]:
    """Each image's record, as soon as it is committed. Raises `Unavailable` when the worker dies or takes too long."""
    publisher = Publisher(store, Layout("", FOLDER_KEYS), generation)
    for ref in refs:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while (record := publisher.current(ref, ref.etag)) is None:
            queue.check()
            if time.monotonic() > give_up:
                raise Unavailable(f"no sidecar for {ref.key!r} after {PATIENCE_SECONDS} s; the log is {queue.log}")
            time.sleep(0.05)
        yield record


def _entries(settings: Settings, model: Model, source: LocalStore, records: Sequence[Record]) -> list[Entry]:
    """Records with thumbnails, made where hostile files do no harm."""
    decoder = make_decoder(settings, model.encoder, thumbnail=THUMBNAIL)
    try:
        pending = [decoder.submit(source.fetch(record.image.key).body) for record in records]
        return [Entry(record, _thumbnail(future)) for record, future in zip(records, pending, strict=True)]
    finally:
        decoder.close()


def _thumbnail(future: "Future[Decoded]") -> bytes | None:
    try:
        return future.result().thumbnail
    except StockmetaError:
        return None


def _print_table(records: Sequence[Record]) -> None:
    table = Table("image", "title", "keywords", "Adobe Stock")
    for record in records:
        words = ", ".join(f"{word.labels['en']} {word.score:.2f}" for word in record.keywords[:6])
        adobe = ", ".join(category.label for category in record.categories.get("adobe", ()))
        # As text: what stands in brackets in a file's name is not markup.
        table.add_row(*map(Text, (record.image.key, record.title or "", words or record.detail or "", adobe)))
    Console(highlight=False).print(table)
