"""Who writes the captions: wires the generator to the encoders, and the captioners to each other."""

from tasks.errors import ConfigurationError
from tasks.ports import Captioner, Embeddings, Encoder
from taxonomy.choose import Chooser
from taxonomy.concepts import Vocabulary
from taxonomy.limits import load_limits
from worker.captioners.coca import CocaGenerator
from worker.captioners.composed import ComposedCaptioner
from worker.captioners.decoding import Decoding
from worker.captioners.generated import GeneratedCaptioner, make_checks
from worker.encoders import OpenClipEncoder
from worker.encoders.engine_torch import has_cuda
from worker.settings import Settings

COMPOSED = "composed"
COCA = "coca_ViT-L-14/mscoco_finetuned_laion2B-s13B-b90k"
"""What `coca` alone stands for: the larger of open_clip's two, tuned on people's captions."""


def make_generator(settings: Settings, encoder: Encoder) -> CocaGenerator | None:
    """The generator that the settings name, if any; it shares the encoder's model where that is the same one.

    Raises:
        ConfigurationError: it is no CoCa, or not to be had.
    """
    name = settings.captioner
    if name == COMPOSED:
        return None
    name = COCA if name == "coca" else name
    if "/" not in name and ":" not in name:
        raise ConfigurationError(
            f"unknown captioner {settings.captioner!r}; there are `composed`, `coca`, and open_clip's CoCa models: "
            f"ARCHITECTURE/TAG such as {COCA}, hf-hub:ORG/REPO, local-dir:FOLDER"
        )
    shared = isinstance(encoder, OpenClipEncoder) and encoder.model == name
    tower = encoder if shared else _tower(settings, name)
    assert isinstance(tower, OpenClipEncoder)
    return CocaGenerator(
        tower,
        tower.module,
        tower.source.tokenizer,
        Decoding(beams=settings.caption_beams),
        shared=shared,
        device="cuda" if settings.engine in ("auto", "torch") and has_cuda() else "cpu",
    )


def _tower(settings: Settings, name: str) -> OpenClipEncoder:
    """The image side of a CoCa that is not the encoder."""
    return OpenClipEncoder(
        name,
        settings.engine,
        settings.cache_dir,
        threads=settings.inference_threads,
        sha256=settings.captioner_sha256,
        batch=settings.batch,
    )


def make_captioner(
    whole: Vocabulary, embeddings: Embeddings, chooser: Chooser, generator: CocaGenerator | None
) -> Captioner:
    """The captioner for what the chooser chooses.

    Args:
        whole: the vocabulary with the kinds that the encoder cannot tell.
        embeddings: of the chooser's vocabulary, (m, d).
        chooser: whose vocabulary and policy hold.
        generator: what generates candidates, if anything does.
    """
    limits = load_limits(chooser.policy.agencies)
    composed = ComposedCaptioner(chooser.vocabulary, embeddings, limits, chooser.withheld)
    if generator is None:
        return composed
    checks = make_checks(whole, chooser.vocabulary, chooser.policy)
    return GeneratedCaptioner(composed, checks, limits, generator.fingerprint)
