"""The composition root: the only place that knows every adapter and wires them to the ports."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from types import TracebackType
from typing import Self

import PIL.Image
from threadpoolctl import threadpool_limits

from tasks.budget import Budget
from tasks.describe import Describer, Provenance
from tasks.embedded_words import VERSION as MERGING
from tasks.errors import ConfigurationError
from tasks.generations.description import Description, describe
from tasks.generations.pointer import generation_id, open_generation
from tasks.inference import Inference, Judge
from tasks.layout import Layout
from tasks.observe import Observer, Silent
from tasks.ports import Embeddings, Encoder, Preprocess, Store
from tasks.publish import Publisher
from tasks.records import SCHEMA, Image
from tasks.rescoring.rescore import Rescorer
from tasks.tag import Tagger
from taxonomy.choose import Chooser
from taxonomy.concepts import Vocabulary
from taxonomy.score import VERSION as SCORING
from taxonomy.score import Scorer, statistics
from worker.captioning import make_captioner, make_generator
from worker.encoders import load_encoder
from worker.generations.described import description, sight
from worker.images.decode import VERSION as DECODING
from worker.images.decode import Limits
from worker.images.embedded import VERSION as READING
from worker.images.pool import DecoderPool
from worker.settings import Settings
from worker.vocabulary import load_calibration, load_wording, with_thresholds
from worker.word_embeddings import embed_concepts, make_categorizers, make_reviewer

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Model:
    """Everything that decides what an image's metadata will be, loaded.

    `vocabulary` is what the encoder can tell of the `whole` one, which has the customer's own words in it.
    `description` stands beside the records that it makes.
    """

    encoder: Encoder
    whole: Vocabulary
    vocabulary: Vocabulary
    embeddings: Embeddings
    judge: Judge
    describer: Describer
    description: Description

    @property
    def provenance(self) -> Provenance:
        """How the model's records are made."""
        return self.describer.provenance


def make_encoder(settings: Settings) -> Encoder:
    """The encoder that the settings name. Raises `ConfigurationError`."""
    return load_encoder(
        settings.model,
        engine=settings.engine,
        cache_dir=settings.cache_dir,
        threads=settings.inference_threads,
        sha256=settings.weights_sha256,
        batch=settings.batch,
    )


def load_model(settings: Settings, progress: Progress | None = None, *, calibrated: bool = True) -> Model:
    """Load the model, embed the vocabulary, and say which generation that makes.

    Args:
        settings: what the operator decided.
        progress: is told of what takes long.
        calibrated: whether a calibration that the policy names is used.

    Raises:
        ConfigurationError: something is missing, or does not fit.
    """
    # Scoring is a small matrix product a batch. With more threads OpenBLAS splits it, and its idle threads spin on the
    # cores that decode: measured, scoring took twice its own time in processor time.
    threadpool_limits(1, user_api="blas")
    wording = load_wording(settings)
    encoder = make_encoder(settings)
    vocabulary = _told(wording.vocabulary, encoder)

    def report(what: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(what, done, total)

    own = {concept.id for concept in wording.policy.concepts} | set(wording.policy.synonyms.get("en", ()))
    embeddings = embed_concepts(encoder, vocabulary, own, settings.cache_dir, report("embedding the vocabulary"))
    references = encoder.references()
    categorizers = make_categorizers(
        settings, encoder, wording.vocabulary, vocabulary, report("embedding the categories")
    )
    policy = with_thresholds(wording.policy, encoder, vocabulary)
    calibration = load_calibration(policy, encoder, vocabulary) if calibrated else None
    own_thresholds: Mapping[str, float] = {}
    if calibration is not None:
        policy, own_thresholds = calibration.applied(policy)
    chooser = Chooser(vocabulary, policy, own_thresholds)
    generator = make_generator(settings, encoder)
    captioner = make_captioner(wording.vocabulary, embeddings, chooser, generator)
    reviewer = make_reviewer(settings, encoder, policy)
    usual = None if references is None else statistics(embeddings, references)
    if calibration is not None:
        usual = calibration.usual(vocabulary, usual)
    scorer = Scorer(vocabulary, embeddings, usual, encoder.logit_scale)
    parts = {
        "encoder": encoder.fingerprint,
        "texts": encoder.text_fingerprint,
        "prompts": repr((encoder.prompts, encoder.concept_prompts)),
        "captioner": captioner.fingerprint,
        "vocabulary": vocabulary.fingerprint,
        "categories": repr([categorizer.scheme for categorizer in categorizers]),
        "policy": policy.fingerprint,
        "calibration": "" if calibration is None else calibration.fingerprint,
        "review": repr(reviewer.flags),
        "logit_scale": repr(encoder.logit_scale),
        "arithmetic": repr((DECODING, READING, MERGING, SCORING)),
        "schema": SCHEMA,
    } | ({"rendition": settings.renditions.fingerprint} if settings.renditions else {})
    provenance = Provenance(generation_id(parts), encoder.model, encoder.engine, vocabulary.fingerprint)
    judge = Judge(encoder, scorer, categorizers, reviewer, generator)
    describer = Describer(chooser, categorizers, reviewer, captioner, provenance, wording.vocabulary)
    told = description(settings, provenance, policy, sight(encoder, generator, settings.renditions), parts)
    return Model(encoder, wording.vocabulary, vocabulary, embeddings, judge, describer, told)


def _told(whole: Vocabulary, encoder: Encoder) -> Vocabulary:
    """The concepts that the encoder can tell. Raises `ConfigurationError` where it can tell none."""
    vocabulary = whole.only(encoder.facets)
    if not vocabulary.concepts:
        raise ConfigurationError(f"the vocabulary has no concepts of a kind that {encoder.model} can tell")
    return vocabulary


class Runtime:
    """A loaded model with its decoder processes and its inference thread, ready to tag.

    Args:
        settings: what the operator decided.
        model: the loaded model.
        sources: stores by bucket.
        sidecars: where to commit, if anywhere; opens the generation there.
        retry_terminal: whether earlier rejections are tried again.
        metadata: whether to read what the files themselves say.
        observer: is told of batches.
        on_broken: called when the model does not work any more.
    """

    def __init__(
        self,
        settings: Settings,
        model: Model,
        sources: Mapping[str, Store],
        sidecars: tuple[Store, Layout] | None = None,
        *,
        retry_terminal: bool = False,
        metadata: bool = True,
        observer: Observer | None = None,
        on_broken: Callable[[], None] = lambda: None,
    ) -> None:
        publisher = rescorer = None
        if sidecars is not None:
            store, layout = sidecars
            open_generation(store, layout, model.provenance.generation)
            describe(store, layout, model.description)
            publisher = Publisher(store, layout, model.provenance.generation)
            rescorer = Rescorer(store, layout, model.description.sight, model.embeddings.shape[1])
        self.model = model
        self._decoder = make_decoder(settings, model.encoder, metadata=metadata)
        self.inference = Inference(model.judge, model.encoder.batch, observer=observer, on_broken=on_broken)
        self.tagger = Tagger(
            sources=sources,
            decoder=self._decoder,
            inference=self.inference,
            describer=model.describer,
            publisher=publisher,
            retry_terminal=retry_terminal,
            max_bytes=settings.max_bytes,
            budget=Budget(settings.memory_mib << 20),
            observer=observer or Silent(),
            renditions=settings.renditions,
            rescorer=rescorer,
        )

    def probe(self) -> None:
        """Take a picture that no part refuses through all of them, but for stores. Raises what they raise."""
        buffer = BytesIO()
        PIL.Image.linear_gradient("L").convert("RGB").save(buffer, "JPEG")
        decoded = self._decoder.submit(buffer.getvalue()).result()
        (scored,) = self.model.judge.judge(decoded.pixels[None])
        self.model.describer.describe(Image("", "", None), decoded.visual, scored)

    def close(self, *, wait: bool = True) -> None:
        """Stop the processes and the thread, if asked after its batch; images under way end as unavailable."""
        self._decoder.close()
        self.inference.close(wait=wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_decoder(settings: Settings, encoder: Encoder, thumbnail: int = 0, *, metadata: bool = True) -> DecoderPool:
    """Decoder processes for this encoder, within the settings' limits."""
    return _decoder_pool(settings, encoder.preprocess, thumbnail, metadata=metadata)


def make_thumbnailer(settings: Settings, size: int) -> DecoderPool:
    """Decoder processes of which nobody wants but thumbnails, so that no model has to say how it wants its pixels."""
    # As large as the thumbnail: JPEGs are decoded at a scale that suits the pixels.
    return _decoder_pool(settings, Preprocess(size), size, metadata=False)


def _decoder_pool(settings: Settings, preprocess: Preprocess, thumbnail: int, *, metadata: bool) -> DecoderPool:
    limits = Limits(file_bytes=settings.max_bytes, pixels=settings.max_pixels)
    if settings.formats is not None:
        limits = replace(limits, formats=settings.formats)
    return DecoderPool(
        preprocess,
        limits,
        thumbnail=thumbnail,
        metadata=metadata,
        processes=settings.decode_processes,
        memory=settings.decode_memory_mib << 20,
        seconds=settings.decode_seconds,
    )
