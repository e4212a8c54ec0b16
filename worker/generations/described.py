"""What a generation's description says of a loaded model, in fingerprints and in the operator's words."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tasks.describe import Provenance
from tasks.generations.description import Description, Sight
from tasks.ports import Encoder, Generator
from tasks.renditions import Renditions
from taxonomy.policy import Policy
from worker.images.decode import VERSION as DECODING
from worker.images.embedded import VERSION as READING
from worker.settings import Settings

TOLD = (
    "model",
    "weights_sha256",
    "engine",
    "vocabulary",
    "policy",
    "schemes",
    "languages",
    "max_keywords",
    "min_score",
    "personal",
    "captioner",
    "captioner_sha256",
    "caption_beams",
    "rendition",
)
"""The settings that decide what is written about an image."""

LONGEST = 64


def sight(encoder: Encoder, generator: Generator | None, renditions: Renditions | None) -> Sight:
    """What these see of an image. The encoder's fingerprint covers its preprocessing."""
    return Sight(
        encoder=encoder.fingerprint,
        decoding=str(DECODING),
        reading=str(READING),
        generator="" if generator is None else generator.fingerprint,
        rendition="" if renditions is None else renditions.fingerprint,
    )


def description(
    settings: Settings, provenance: Provenance, policy: Policy, seen: Sight, parts: Mapping[str, str]
) -> Description:
    """The description of the generation that a model makes, opened now.

    Args:
        settings: what the operator decided.
        provenance: what the model's records say.
        policy: the one that holds, files and options together.
        seen: what the model sees.
        parts: what the generation's name is a hash of.
    """
    return Description(
        generation=provenance.generation,
        opened_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        model=_plain(provenance.model),
        engine=provenance.engine,
        taxonomy=provenance.taxonomy,
        captioner=_plain(settings.captioner),
        languages=policy.languages,
        sight=seen,
        parts={name: _fingerprint(part) for name, part in parts.items()},
        settings={name: text for name in TOLD if (text := _told(getattr(settings, name))) is not None},
    )


def _told(value: object) -> str | None:
    """A setting in words; `None` for one that was not given."""
    if value is None:
        return None
    if isinstance(value, Path):
        return value.name
    if isinstance(value, tuple):
        return ",".join(filter(None, map(_told, value)))
    return _plain(str(value))


def _fingerprint(part: str) -> str:
    """A part as it is, if it is short; else, as of whole category schemes, a hash of it."""
    return part if len(part) <= LONGEST else hashlib.sha256(part.encode()).hexdigest()[:16]


def _plain(name: str) -> str:
    """A model's name; of one in a local folder, without where that folder lies."""
    scheme, colon, folder = name.partition("local-dir:")
    return f"local-dir:{Path(folder).name}" if colon and not scheme else name
