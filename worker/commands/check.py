"""`stockmeta check`: what is configured, and whether it works. Every line is something that was just tried."""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from io import BytesIO

import numpy as np
from celery import Celery
from kombu.utils.url import parse_url
from PIL import Image

from taxonomy.policy import withheld
from worker import console
from worker.broker import embedded_broker
from worker.captioning import make_generator
from worker.library import open_library
from worker.metadata.exiftool import INSTALL, ExifTool
from worker.runtime import make_decoder, make_encoder
from worker.settings import Settings, drop_celery_variables
from worker.storage.probe import require_conditional_writes
from worker.vocabulary import load_wording

PACKAGES = ("stockmeta", "celery", "kombu", "redis", "boto3", "torch", "open_clip_torch", "openvino", "pillow", "numpy")


def run(settings: Settings, *, as_json: bool) -> int:
    """Try everything; returns 0 if all of it works, else 1."""
    works = True
    for what, attempt in _checks(settings):
        start = time.perf_counter()
        try:
            good, detail = True, attempt()
        except Exception as error:  # noqa: BLE001 - whatever a part raises is what this command is to tell
            good, detail = False, f"{type(error).__name__}: {error}"
        works &= good
        if as_json:
            seconds = round(time.perf_counter() - start, 3)
            console.emit(json.dumps({"check": what, "ok": good, "detail": detail, "seconds": seconds}))
        else:
            console.emit(f"{'ok  ' if good else 'FAIL'}  {what:<11} {detail}")
    return 0 if works else 1


def _checks(settings: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "versions", _versions
    yield "vocabulary", lambda: _vocabulary(settings)
    yield "policy", lambda: _policy(settings)
    yield "model", lambda: _model(settings)
    yield "captioner", lambda: _captioner(settings)
    yield "decoder", lambda: _decoder(settings)
    yield "broker", lambda: _broker(settings)
    yield "store", lambda: _store(settings)
    yield "cache", lambda: _cache(settings)
    yield "exiftool", lambda: _exiftool(settings)


def _versions() -> str:
    return ", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)])


def _vocabulary(settings: Settings) -> str:
    vocabulary = load_wording(settings).vocabulary
    kind = "a literal word list" if vocabulary.flat else ", ".join(vocabulary.languages)
    return f"{settings.vocabulary or 'shipped'}: {len(vocabulary.concepts)} concepts ({kind})"


def _policy(settings: Settings) -> str:
    if settings.policy is None:
        return "none (STOCKMETA_POLICY is not set)"
    vocabulary, policy = load_wording(settings)
    parts = [
        f"{len(policy.concepts)} own concepts",
        f"{len(withheld(policy, vocabulary))} of {len(vocabulary.concepts)} never shown",
        f"at most {policy.max_keywords} keywords",
        f"{len(policy.warnings)} warnings",
    ]
    return f"{settings.policy}: {', '.join(parts)}"


def _model(settings: Settings) -> str:
    start = time.perf_counter()
    encoder = make_encoder(settings)
    size = encoder.preprocess.size
    embeddings = encoder.encode(np.zeros((2, size, size, 3), np.uint8)).embeddings
    return (
        f"{encoder.model} on {encoder.engine}: {size} x {size} pixels to {embeddings.shape[1]} dimensions, "
        f"loaded in {time.perf_counter() - start:.1f} s"
    )


def _captioner(settings: Settings) -> str:
    start = time.perf_counter()
    encoder = make_encoder(settings)
    generator = make_generator(settings, encoder)
    if generator is None:
        return "composed of the keywords"
    size = encoder.preprocess.size
    pixels = np.full((1, size, size, 3), 127, np.uint8)
    (found,) = generator.generate(pixels, encoder.encode(pixels))
    how = "with the encoder's image tower" if generator.shared else "with an image tower of its own"
    return f"{generator.model} {how}: {len(found)} candidates of a grey picture in {time.perf_counter() - start:.1f} s"


def _decoder(settings: Settings) -> str:
    buffer = BytesIO()
    Image.new("RGB", (640, 480)).save(buffer, "JPEG")
    decoder = make_decoder(settings, make_encoder(settings))
    try:
        decoder.submit(buffer.getvalue()).result()
    finally:
        decoder.close()
    formats = ", ".join(settings.formats) if settings.formats else "the default formats"
    return (
        f"{settings.decode_processes} processes of at most {settings.decode_memory_mib} MiB, {formats}, "
        f"up to {settings.max_pixels / 1e6:g} megapixels and {settings.max_bytes >> 20} MiB"
    )


def _broker(settings: Settings) -> str:
    if settings.broker_url is None:
        with embedded_broker() as url:
            _connect(url)
        return "embedded (STOCKMETA_BROKER_URL is not set)"
    _connect(settings.broker_url.get_secret_value())
    return "as STOCKMETA_BROKER_URL says"


def _connect(url: str) -> None:
    drop_celery_variables()
    try:
        parse_url(url)
    except ValueError:
        # Its own words would show a part of the URL, and that may be of the password.
        raise ValueError(
            "STOCKMETA_BROKER_URL is not a URL; special characters of a password are written %2F"
        ) from None
    with Celery(broker=url) as client, client.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=5)


def _store(settings: Settings) -> str:
    if settings.library is None:
        return "no library (STOCKMETA_LIBRARY is not set): `tag` needs none"
    library = open_library(settings)
    some = next(library.source.list(library.prefix), None)
    if some is not None:
        # Listing is a right of its own, and so is reading.
        library.source.stat(some.key)
    require_conditional_writes(library.sidecars, library.layout)
    target = settings.output or f"{library.layout.root} in it"
    state = "has objects" if some else "is empty"
    return f"{settings.library}: {state}; sidecars go to {target}; conditional writes are respected"


def _cache(settings: Settings) -> str:
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.cache_dir, os.W_OK):
        raise PermissionError(f"{settings.cache_dir} cannot be written; set STOCKMETA_CACHE_DIR")
    size = sum(path.stat().st_size for path in settings.cache_dir.rglob("*") if path.is_file())
    return f"{settings.cache_dir}: {size / 1e6:.0f} MB"


def _exiftool(settings: Settings) -> str:
    """Only `write --embed` needs it, so it may be missing. Raises `ConfigurationError` where it is there and no use."""
    if shutil.which(settings.exiftool) is None:
        return f"none, so `stockmeta write` makes sidecars only; for --embed {INSTALL}"
    with ExifTool(settings.exiftool) as tool:
        return f"{tool.version}, for `stockmeta write --embed`"
