"""The words that a process works with: the vocabulary, and the customer's policy applied to it."""

import logging
from dataclasses import replace
from typing import NamedTuple

from tasks.errors import ConfigurationError
from tasks.ports import Encoder
from taxonomy import calibration, files, policy_file
from taxonomy.calibration import Calibration
from taxonomy.concepts import PERSONAL, TaxonomyError, Vocabulary
from taxonomy.policy import Policy, apply
from taxonomy.score import VERSION
from worker.encoders.contract import scoring_identity
from worker.settings import Settings

logger = logging.getLogger(__name__)


class Wording(NamedTuple):
    """A vocabulary with the customer's own words in it, and the policy that they came from."""

    vocabulary: Vocabulary
    policy: Policy


def load_wording(settings: Settings) -> Wording:
    """What the settings name; an option or variable that is given wins over the policy file.

    Raises:
        ConfigurationError: a file is wrong, or a language has no labels.
    """
    try:
        vocabulary = files.load(settings.vocabulary)
        policy = _read(settings, vocabulary)
        vocabulary = apply(policy, vocabulary)
    except TaxonomyError as error:
        raise ConfigurationError(str(error)) from error
    policy = _with_options(policy, settings)
    unknown = [language for language in policy.languages if language not in vocabulary.languages]
    if unknown and not vocabulary.flat:
        known = ", ".join(vocabulary.languages)
        raise ConfigurationError(f"the vocabulary has no labels in {unknown[0]!r}; it has {known}")
    return Wording(vocabulary, policy)


def _read(settings: Settings, vocabulary: Vocabulary) -> Policy:
    if settings.policy is None:
        return Policy()
    if vocabulary.flat:
        raise ConfigurationError(
            f"{settings.vocabulary} is a word list, which is taken literally, and {settings.policy} a policy, which "
            "would change it: give one of them (an empty STOCKMETA_POLICY counts as none)"
        )
    policy = policy_file.load(settings.policy, vocabulary)
    for warning in policy.warnings:
        logger.warning("%s", warning)
    return policy


def _with_options(policy: Policy, settings: Settings) -> Policy:
    given = settings.model_fields_set
    if "max_keywords" in given:
        most = settings.max_keywords
        policy = replace(policy, max_keywords=most, min_keywords=min(policy.min_keywords, most))
    if "languages" in given:
        policy = replace(policy, languages=settings.languages)
    if "personal" in given:
        policy = replace(policy, personal=PERSONAL if settings.personal else frozenset())
    if settings.min_score is not None:
        policy = replace(policy, min_score=settings.min_score)
    return policy


def load_calibration(policy: Policy, encoder: Encoder, vocabulary: Vocabulary) -> Calibration | None:
    """The calibration that a policy names, if any. Raises `ConfigurationError` where it is for something else."""
    if policy.calibration is None:
        return None
    try:
        found = calibration.load(policy.calibration)
        gone = found.check(scoring_identity(encoder), vocabulary, VERSION)
    except TaxonomyError as error:
        raise ConfigurationError(f"{policy.calibration}: {error}") from error
    if gone:
        logger.warning("%s: %d of its concepts are not in the vocabulary: %s", policy.calibration, len(gone), gone[0])
    return found


def with_thresholds(policy: Policy, encoder: Encoder, vocabulary: Vocabulary) -> Policy:
    """The policy with what counts as evidence in the encoder's scores, unless it says so itself."""
    thresholds = encoder.thresholds
    if vocabulary.flat:
        thresholds = thresholds._replace(score=encoder.literal_score)
    if policy.min_score is not None:
        thresholds = thresholds._replace(score=policy.min_score)
    return replace(policy, thresholds=thresholds)
