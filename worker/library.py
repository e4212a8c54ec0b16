"""A library: where images lie and where their sidecars go, as the settings name them."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tasks.errors import ConfigurationError
from tasks.layout import FOLDER_KEYS, IMAGE_EXTENSIONS, OUTPUT_ROOT, S3_KEYS, Layout, is_image
from tasks.ports import Stat, Store
from tasks.renditions import Renditions
from worker.settings import Settings
from worker.storage.counted import Meter
from worker.storage.local import LocalStore

S3 = "s3://"
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
"""Amazon allows 63 characters, older and other stores more."""


@dataclass(frozen=True)
class Library:
    """Images in one bucket or folder, and the output root that belongs to them.

    Attributes:
        source: where the images lie.
        prefix: only keys that begin so belong to the library.
        sidecars: where the output root lies; the same object as `source` where they share a bucket.
        layout: paths below the output root.
        extensions: what counts as an image, lower case, without dots.
        meter: counts the requests to both of its stores, where they are S3's.
        renditions: what is named like one is not an image of the library; `None` where there are none.
    """

    source: Store
    prefix: str
    sidecars: Store
    layout: Layout
    extensions: Collection[str] = IMAGE_EXTENSIONS
    meter: Meter = field(default_factory=Meter, compare=False)
    renditions: Renditions | None = None

    def owns(self, key: str) -> bool:
        """Whether a key of the source's bucket is an image of this library: not an output of ours, and no rendition."""
        return (
            key.startswith(self.prefix)
            and is_image(key, self.extensions)
            and not self.is_output(key)
            and not (self.renditions and self.renditions.is_rendition(key))
        )

    def images(self) -> Iterator[Stat]:
        """All images of the library. Raises `Unavailable`."""
        root = self.layout.root if self.is_output(self.layout.root) else ""
        listed = self.source.list(self.prefix, without=root if root.startswith(self.prefix) else "")
        return (stat for stat in listed if self.owns(stat.key))

    def is_output(self, key: str) -> bool:
        """Whether a key of the source's bucket lies in the output root."""
        return self.sidecars is self.source and self.layout.is_output(key)


class Place(NamedTuple):
    """A bucket and a prefix in it, empty or ending with `/`."""

    bucket: str
    prefix: str


def parse(text: str, setting: str) -> Path | Place:
    """A folder, or what `s3://bucket/prefix` names; the prefix stands for what is below it, as a folder does.

    Raises:
        ConfigurationError: naming the setting, where the text is neither.
    """
    if not text.startswith(S3):
        if URL.match(text):
            raise ConfigurationError(
                f"{setting}={text}: give a folder, or s3://bucket/prefix; other URLs are not known"
            )
        if not text:
            raise ConfigurationError(f"{setting} is empty: give a folder, or s3://bucket/prefix")
        return Path(text)
    bucket, _, prefix = text.removeprefix(S3).partition("/")
    if not BUCKET.fullmatch(bucket):
        raise ConfigurationError(
            f"{setting}={text}: after s3:// comes the name of a bucket, then / and a prefix if any"
        )
    parts = prefix.removesuffix("/").split("/") if prefix else []
    if any(part in ("", ".", "..") for part in parts):
        raise ConfigurationError(f"{setting}={text}: a prefix has no empty components, and no . or ..")
    return Place(bucket, "".join(f"{part}/" for part in parts))


def open_library(settings: Settings) -> Library:
    """The library that the settings name; an output folder is made where it is missing.

    Raises:
        ConfigurationError: no library, no such folder, or an output that would take the library for its own.
    """
    if settings.library is None:
        raise ConfigurationError("there is no library: set STOCKMETA_LIBRARY to a folder or to s3://bucket/prefix")
    place = parse(settings.library, "STOCKMETA_LIBRARY")
    output = None if settings.output is None else parse(settings.output, "STOCKMETA_OUTPUT")
    meter = Meter()
    if isinstance(place, Place):
        source: Store = s3_store(place.bucket, settings, meter)
        prefix = place.prefix
    else:
        source, prefix = LocalStore(place), ""
    sidecars, layout = _output(place, output, source, settings, meter)
    library = Library(source, prefix, sidecars, layout, settings.image_extensions, meter, settings.renditions)
    if library.renditions and sidecars is source:
        library.renditions.require_outside(layout.root)
    if sidecars is source and prefix.startswith(layout.root):
        raise ConfigurationError(
            f"STOCKMETA_OUTPUT={settings.output} contains the library: every image would count as an output of ours; "
            f"give it a prefix or a folder of its own, such as {OUTPUT_ROOT}"
        )
    return library


def s3_store(bucket: str, settings: Settings, meter: Meter | None = None) -> Store:
    """A bucket as the settings reach it, whose requests `meter` counts. Raises `ConfigurationError`."""
    # A third of a second to import, which folders need not pay.
    from worker.storage.s3 import S3Store
    from worker.storage.s3_client import S3Options

    return S3Store(
        bucket,
        S3Options(
            endpoint=settings.s3_endpoint,
            region=settings.s3_region,
            addressing=settings.s3_addressing,
            checksums=settings.s3_checksums,
            connect_seconds=settings.s3_connect_seconds,
            read_seconds=settings.s3_read_seconds,
            attempts=settings.s3_attempts,
            # A thread an image, and those of the messages.
            connections=settings.threads + settings.concurrency,
            order=settings.s3_order,
        ),
        meter,
    )


def _output(
    place: Path | Place, output: Path | Place | None, source: Store, settings: Settings, meter: Meter
) -> tuple[Store, Layout]:
    """Where sidecars go: the source's own store wherever they share a bucket, so that outputs are known as such."""
    if isinstance(output, Place):
        same = isinstance(place, Place) and place.bucket == output.bucket
        return source if same else s3_store(output.bucket, settings, meter), Layout(output.prefix, S3_KEYS)
    if output is None:
        return source, Layout(OUTPUT_ROOT, S3_KEYS if isinstance(place, Place) else FOLDER_KEYS)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"STOCKMETA_OUTPUT={output}: the folder cannot be made: {error.strerror}") from error
    if isinstance(source, LocalStore) and (inside := output.resolve()).is_relative_to(source.root):
        below = inside.relative_to(source.root).as_posix()
        return source, Layout("" if below == "." else f"{below}/", FOLDER_KEYS)
    return LocalStore(output), Layout("", FOLDER_KEYS)
