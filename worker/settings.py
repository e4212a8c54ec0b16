"""All settings, and the only reader of the environment.

Every setting can be given as an environment variable, `STOCKMETA_` before its name in capitals; what a command is told
by an option comes first. Settings are built by a function call and passed down.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tasks.errors import ConfigurationError
from tasks.layout import IMAGE_EXTENSIONS
from tasks.renditions import Renditions

Words = Annotated[tuple[str, ...], NoDecode]
"""A tuple, written with commas in the environment."""


class Settings(BaseSettings):
    """What an operator may decide; the defaults suit a laptop."""

    model_config = SettingsConfigDict(env_prefix="STOCKMETA_", frozen=True, extra="forbid")

    model: str = "starter"
    """Encoder: `starter`, `architecture/tag` of open_clip, `hf-hub:…`, or `local-dir:FOLDER`."""
    weights_sha256: str | None = None
    """If given, weights with another hash are refused."""
    engine: str = "auto"
    """What runs the model: auto, openvino, openvino-bf16, openvino-fp32, torch."""
    inference_threads: int | None = Field(None, ge=1)
    """Processor threads of the model; default: all cores."""
    batch: int | None = Field(None, ge=1, le=1024)
    """Images encoded at once; default: the model's own best."""

    vocabulary: Path | None = None
    """A word list taken literally, or a taxonomy file; default: the shipped vocabulary."""
    policy: Path | None = None
    """A policy file: own words, what is allowed and denied, limits; default: none. docs/policy.md describes it."""
    schemes: Annotated[tuple[Path, ...] | None, NoDecode] = None
    """Files with category schemes of your own, besides the shipped ones: `agency.tsv,other.tsv`."""
    languages: Words = ("en",)
    """Languages of the keywords' labels, such as `en,ko`."""
    max_keywords: int = Field(49, ge=1, le=1000)
    """At most so many keywords an image; agencies take 49 or 50."""
    min_score: float | None = Field(None, allow_inf_nan=False)
    """No keyword below this score; default: the model's own threshold."""
    personal: bool = False
    """Whether keywords may name personal attributes (age, gender, origin …)."""

    captioner: str = "composed"
    """What writes captions: `composed` out of the keywords, or a CoCa, named as a model is; `coca` is a good one."""
    captioner_sha256: str | None = None
    """If given, a captioner's weights with another hash are refused; needed for weights that are no safetensors."""
    caption_beams: int = Field(4, ge=1, le=16)
    """Captions that a CoCa follows at once, and so most candidates; 1 is the fastest and gives one."""

    broker_url: SecretStr | None = None
    """Redis for the queue, such as `redis://host:6379/0`."""
    library: str | None = None
    """The images that a worker may read: a folder, or `s3://bucket` or `s3://bucket/prefix`."""
    output: str | None = None
    """Where sidecars go: a folder or `s3://bucket/prefix`; default: `.stockmeta/` in the library's folder or bucket."""

    s3_endpoint: str | None = None
    """URL of an S3-compatible store; default: Amazon's. Credentials are found by boto3, as always."""
    s3_region: str | None = None
    """Region; default: what boto3 finds."""
    s3_addressing: Literal["auto", "path", "virtual"] = "auto"
    """How a bucket is addressed: most stores other than Amazon's want `path`."""
    s3_checksums: Literal["when_supported", "when_required"] = "when_supported"
    """Whether requests carry checksums; some S3-compatible stores refuse them: `when_required`."""
    s3_connect_seconds: float = Field(5.0, gt=0)
    """How long a connection may take."""
    s3_read_seconds: float = Field(30.0, gt=0)
    """How long the store may be silent."""
    s3_attempts: int = Field(4, ge=1)
    """How often a request is tried, with growing pauses, before the image is put off."""

    s3_order: Literal["auto", "bytes", "path"] = "auto"
    """In which order the store lists keys: Amazon's by `bytes`, SeaweedFS by `path` component; auto: by its name."""

    opensearch_url: str = "http://localhost:9200"
    """OpenSearch for `feed opensearch` and searches in it; without a name or password, which are the next two."""
    opensearch_user: str | None = None
    """User there; default: none is given."""
    opensearch_password: SecretStr | None = None
    """That user's password."""
    opensearch_ca: Path | None = None
    """Certificates that OpenSearch's own is signed by, PEM; default: those that the system trusts."""

    price_put: float = Field(0.005, ge=0)
    """US dollars for 1,000 PUT or LIST requests, for reports and estimates; default: S3 Standard in us-east-1."""
    price_get: float = Field(0.0004, ge=0)
    """US dollars for 1,000 GET or HEAD requests."""

    concurrency: int = Field(8, ge=1)
    """Messages that a worker has in hand at once."""
    visibility_seconds: int = Field(3600, ge=1)
    """After so long a message that was not acknowledged is delivered again: its worker is taken for dead."""
    deadline_seconds: float = Field(900.0, gt=0)
    """A message that takes longer is put back with what is left of it; at most a third of the visibility timeout."""
    grace_seconds: float = Field(20.0, ge=0)
    """After SIGTERM a worker goes on with what it has in hand for so long, then puts the rest back."""
    changes_kept: int = Field(250_000, ge=0)
    """Changes that are kept for feeds of search indexes, once there is one; 0: none are announced."""
    suspect_seconds: float = Field(300.0, gt=0)
    """An image in a process of its own that takes longer, less the store's time, is stopped, and has failed there."""
    http_host: str = "127.0.0.1"
    """Address on which `/metrics`, `/healthz` and `/readyz` are served."""
    http_port: int | None = Field(None, ge=0, le=65535)
    """Port for these; default: they are not served. 0 takes a free one and logs it."""
    log_format: Literal["text", "json"] = "text"
    """One JSON object a line, or text."""
    webhook_secret: SecretStr | None = None
    """What senders to `stockmeta listen webhook` have to present as `Authorization: Bearer …`."""

    image_extensions: Annotated[frozenset[str], NoDecode] = IMAGE_EXTENSIONS
    """What counts as an image in a listing: lower case, without dots."""
    rendition: str | None = None
    """Template of keys under which smaller versions lie, read instead of the originals: docs/renditions.md."""
    formats: Words | None = None
    """Formats that are decoded, by Pillow's names; HEIF needs the extra `heif`."""
    max_pixels: int = Field(100_000_000, ge=1)
    """Larger images are refused, before they are decoded."""
    max_bytes: int = Field(100 << 20, ge=1)
    """Larger files are refused, unread."""
    decode_processes: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Processes that decode images."""
    decode_seconds: float = Field(20.0, gt=0)
    """Processor time that one image may take to decode."""
    decode_memory_mib: int = Field(2048, ge=256)
    """Address space of a decoding process."""
    threads: int = Field(64, ge=1)
    """Images under way at once."""
    memory_mib: int = Field(1024, ge=1)
    """Bytes of files in memory at once; a larger file passes alone."""

    exiftool: str = "exiftool"
    """The program that writes metadata into images, by name or path."""

    cache_dir: Path = Field(default_factory=lambda: platformdirs.user_cache_path("stockmeta"))
    """Converted models and embedded vocabularies; may be deleted at any time."""

    @field_validator("policy", "rendition", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("image_extensions")
    @classmethod
    def _plain(cls, extensions: frozenset[str]) -> frozenset[str]:
        return frozenset(extension.lower().lstrip(".") for extension in extensions)

    @field_validator("languages", "image_extensions", "formats", "schemes", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _template(self) -> Self:
        # Said now, and not at the first image.
        _ = self.renditions
        return self

    @property
    def renditions(self) -> Renditions | None:
        """Where smaller versions of the images lie, if anywhere. Raises `ConfigurationError` for no template."""
        return None if self.rendition is None else Renditions(self.rendition, self.image_extensions)

    @model_validator(mode="after")
    def _deadline(self) -> Self:
        # Else a message is delivered again while it is worked on, and again and again.
        if 3 * self.deadline_seconds > self.visibility_seconds:
            raise ValueError("visibility_seconds has to be at least three times deadline_seconds")
        return self

    def to_environment(self, *leave_out: str) -> dict[str, str]:
        """What differs from the defaults, as variables that give another process the same settings."""
        given = self.model_dump(exclude_unset=True, exclude={*leave_out})
        return {f"STOCKMETA_{name.upper()}": _variable(value) for name, value in given.items() if value is not None}


def _variable(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple | frozenset) else str(value)


def drop_celery_variables() -> None:
    """Make Celery connect where we say: its own variables would come before any broker that it is given."""
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"):
        os.environ.pop(name, None)


def load_settings(**given: Any) -> Settings:
    """Settings from the environment, less those given here; `None` counts as not given.

    Raises:
        ConfigurationError: naming each setting that is wrong, and how.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise ConfigurationError(f"settings: {wrong}") from error
