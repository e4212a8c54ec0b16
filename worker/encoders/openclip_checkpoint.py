"""What an open_clip model's weights are and ask for.

Reading that out of open_clip takes torch and seconds, so it is remembered on disk for as long as the weights' file is
the same one; a warm start needs neither.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from tasks.errors import ConfigurationError
from tasks.ports import Preprocess
from worker.encoders.contract import digest, file_sha256, replacing
from worker.encoders.openclip_source import CONFIG, SAFE, Source

FORMAT = 1
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "vocab.txt")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An open_clip model without its weights in memory.

    Attributes:
        weights: the file, by absolute path; `size` in bytes and `modified` in nanoseconds tell whether it is still it.
        sha256: of that file, hex.
        architecture: sha256, hex, of open_clip's `model_cfg` and of a local folder's tokenizer.
        preprocess: open_clip's `preprocess_cfg`.
        logit_scale: inverse temperature.
    """

    weights: str
    size: int
    modified: int
    sha256: str
    architecture: str
    preprocess: Mapping[str, Any]
    logit_scale: float

    @classmethod
    def examine(cls, source: Source, module: Any, weights: Path) -> Self:
        """Ask a loaded module of open_clip's."""
        import open_clip

        stat = weights.stat()
        return cls(
            weights=str(weights),
            size=stat.st_size,
            modified=stat.st_mtime_ns,
            sha256=file_sha256(weights),
            architecture=digest(open_clip.get_model_config(source.open_clip), _hashes(source, TOKENIZER_FILES)),
            # Through JSON, so that what is found equals what is remembered: tuples become lists.
            preprocess=json.loads(json.dumps(open_clip.get_model_preprocess_cfg(module))),
            logit_scale=float(module.logit_scale.detach().exp().reshape(-1)[0]),
        )

    def is_current(self) -> bool:
        """Whether the weights' file is the one that was looked at."""
        try:
            stat = Path(self.weights).stat()
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.modified)

    def as_preprocess(self) -> Preprocess:
        """How the model wants its pixels. Raises `ConfigurationError` for a way that this product does not know."""
        config = self.preprocess
        size = config["size"] if isinstance(config["size"], list) else [config["size"]] * 2
        known = (
            size[0] == size[1]
            and config["mode"] == "RGB"
            and config["resize_mode"] in ("shortest", "squash", "longest")
            and config["interpolation"] in ("bicubic", "bilinear")
        )
        if not known:
            raise ConfigurationError(f"{self.weights} asks for preprocessing that is not known here: {dict(config)}")
        return Preprocess(size[0], config["resize_mode"], config["interpolation"], config["fill_color"])


def describe(source: Source, module: Callable[[], Any], cache_dir: Path, sha256: str | None) -> Checkpoint:
    """Recall what is known of a model, or load it and ask.

    Args:
        source: the model.
        module: gives open_clip's module; only called if nothing is remembered.
        cache_dir: where it is remembered, in the folder `open_clip`.
        sha256: what the weights' file must be. Without it only safetensors are read, because pickles can run code.

    Raises:
        ConfigurationError: the weights are missing, unsafe or not the ones asked for.
    """
    key = digest(FORMAT, source.open_clip, source.tag, version("open_clip_torch"), _hashes(source, (CONFIG,)))
    path = cache_dir / "open_clip" / f"{key}.json"
    known = _recall(path)
    local = source.find_weights() if source.folder is not None or known is None else Path(known.weights)
    _check_weights(local, sha256)
    if known is not None and known.weights == str(local):
        return known
    found = Checkpoint.examine(source, module(), local)
    with replacing(path) as draft:
        draft.write_text(json.dumps(asdict(found), indent=2))
    return found


def _recall(path: Path) -> Checkpoint | None:
    """What was remembered, if the weights are still the same file."""
    try:
        known = Checkpoint(**json.loads(path.read_text()))
        return known if known.is_current() else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        logger.warning("forgetting a model's description: %s cannot be read (%s)", path, error)
        return None


def _check_weights(weights: Path, sha256: str | None) -> None:
    """Raises `ConfigurationError` for weights that must not be read. A pin is held against the bytes, every time."""
    if sha256 is None:
        if weights.suffix != SAFE:
            raise ConfigurationError(f"{weights} is not {SAFE} and can run code: give its sha256 if you trust it")
        return
    found = file_sha256(weights)
    if found != sha256.lower():
        raise ConfigurationError(f"{weights} is not the file asked for: sha256 {found}, expected {sha256.lower()}")


def _hashes(source: Source, names: tuple[str, ...]) -> list[str]:
    """Name and sha256 of those files that a local folder has; nothing for a model that open_clip finds itself."""
    files = [source.folder / name for name in names] if source.folder is not None else []
    return [f"{file.name} {file_sha256(file)}" for file in files if file.is_file()]
