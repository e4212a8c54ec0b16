"""Where an open_clip model comes from: a tag of open_clip's, a repository on the Hugging Face hub, a local folder."""

import difflib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import ConfigurationError

LOCAL, HUB = "local-dir:", "hf-hub:"
CONFIG = "open_clip_config.json"
PREFERRED = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
"""What open_clip takes before anything else in a folder."""
SAFE = ".safetensors"
PICKLES = (".bin", ".pth", ".pt")


@dataclass(frozen=True, slots=True)
class Source:
    """A model's name, understood.

    Attributes:
        name: as given by the user.
        open_clip: what open_clip calls the model, without its tag.
        tag: of the weights, for a name of the form `ARCHITECTURE/TAG`.
        folder: of a local model.
    """

    name: str
    open_clip: str
    tag: str | None = None
    folder: Path | None = None

    @classmethod
    def parse(cls, name: str) -> "Source":
        """Understand a name, without looking anything up. Raises `ConfigurationError` if it has none of the forms."""
        if name.startswith(LOCAL):
            folder = Path(name.removeprefix(LOCAL)).expanduser().absolute()
            return cls(name, f"{LOCAL}{folder}", folder=folder)
        if name.startswith(HUB):
            return cls(name, name)
        architecture, _, tag = name.partition("/")
        if not architecture or not tag:
            raise ConfigurationError(f"{name!r} is not of the form ARCHITECTURE/TAG, hf-hub:ORG/REPO or {LOCAL}FOLDER")
        return cls(name, architecture, tag=tag)

    def find_weights(self) -> Path:
        """The weights' file, downloaded if need be. Raises `ConfigurationError` where there is none to be had."""
        if self.folder is not None:
            return _weights_in(self.folder)
        import open_clip
        from open_clip.pretrained import download_pretrained_from_hf

        if self.tag is None:
            with _explained(self):
                return Path(download_pretrained_from_hf(self.name.removeprefix(HUB)))
        known = open_clip.get_pretrained_cfg(self.open_clip, self.tag)
        if not known or self.open_clip not in open_clip.list_models():
            raise ConfigurationError(_unknown(self))
        config = open_clip.get_model_config(self.open_clip) or {}
        if known.get("quick_gelu") and not config.get("quick_gelu"):
            # open_clip only warns, and then computes something else than these weights were trained for.
            raise ConfigurationError(
                f"{self.name} was trained with QuickGELU: ask for {self.open_clip}-quickgelu/{self.tag}"
            )
        with _explained(self):
            return Path(open_clip.download_pretrained(known))

    def load(self) -> Any:
        """open_clip's module, on the processor, in fp32. Raises `ConfigurationError` where it cannot be read."""
        import open_clip

        with _explained(self):
            return open_clip.create_model(self.open_clip, pretrained=self.tag, precision="fp32", device="cpu").eval()

    def tokenizer(self) -> Any:
        """open_clip's tokenizer: texts to token ids (n, context)."""
        import open_clip

        with _explained(self):
            return open_clip.get_tokenizer(self.open_clip)


class LazyModule:
    """A source's module, loaded when first called for and once; from any thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._module: Any = None

    def __call__(self) -> Any:
        """open_clip's module. Raises `ConfigurationError`."""
        with self._lock:
            if self._module is None:
                self._module = self._source.load()
            return self._module


def _weights_in(folder: Path) -> Path:
    """The file that open_clip will read in `folder`, and no other; safetensors or nothing."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder")
    if not (folder / CONFIG).is_file():
        raise ConfigurationError(f"{folder} has no {CONFIG}, without which mean, deviation and activation are guesses")
    safe = sorted(folder.glob(f"*{SAFE}"))
    pickled = [file for file in folder.iterdir() if file.suffix in PICKLES]
    if not safe:
        raise ConfigurationError(f"{folder} has no *{SAFE}; other formats can run code and are not read")
    for name in PREFERRED:
        if folder / name in safe:
            return folder / name
    if len(safe) > 1 or pickled:
        # open_clip prefers some pickles to some safetensors.
        raise ConfigurationError(f"{folder} has several weights' files; leave one *{SAFE} or call it {PREFERRED[0]}")
    return safe[0]


def _unknown(source: Source) -> str:
    """What to say of a pair of architecture and tag that open_clip does not have."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(source.open_clip)
    if tags:
        return f"open_clip has no weights {source.tag!r} for {source.open_clip}; it has {', '.join(tags)}"
    near = difflib.get_close_matches(source.open_clip, open_clip.list_models()) or ["ViT-B-32"]
    return f"open_clip has no weights for an architecture {source.open_clip!r}; close to it: {', '.join(near)}"


@contextmanager
def _explained(source: Source) -> Iterator[None]:
    """Failures of open_clip and of the hub as a `ConfigurationError` that says what to do."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        if source.folder is not None:
            raise ConfigurationError(f"{source.folder} cannot be read as an open_clip model: {error}") from error
        raise ConfigurationError(
            f"{source.name} cannot be downloaded: {error}. On a connected host download its safetensors and {CONFIG} "
            f"into a folder, carry the folder here, and name it as {LOCAL}FOLDER"
        ) from error
