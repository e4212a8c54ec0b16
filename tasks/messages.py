"""What travels through the queue: JSON, versioned, never a URL."""

from dataclasses import dataclass
from typing import Any, Self

from tasks.records import ImageRef

VERSION = 1


@dataclass(frozen=True, slots=True)
class TagMessage:
    """A list of images to tag."""

    refs: tuple[ImageRef, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; about 150 bytes an image."""
        return {
            "v": VERSION,
            "refs": [{"bucket": ref.bucket, "key": ref.key, "etag": ref.etag} for ref in self.refs],
        }

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Inverse of `to_dict`. Raises `ValueError` for anything else, saying what is wrong with it."""
        if not isinstance(data, dict) or data.get("v") != VERSION:
            raise ValueError(f"expected a message of version {VERSION}")
        refs = data.get("refs")
        if not isinstance(refs, list):
            raise ValueError("expected a list of refs")
        return cls(tuple(_ref(ref) for ref in refs))


def _ref(data: object) -> ImageRef:
    if not isinstance(data, dict):
        raise ValueError("expected an object for each image")
    bucket, key, etag = data.get("bucket"), data.get("key"), data.get("etag")
    if not isinstance(bucket, str) or not isinstance(key, str) or not (etag is None or isinstance(etag, str)):
        raise ValueError("expected bucket, key and an ETag or none")
    return ImageRef(bucket, key, etag)
