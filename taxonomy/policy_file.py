"""A customer's policy file: TOML, every problem reported with file, line, cause and what to do.

docs/policy.md is its reference. What a rule or a term means is decided here, once, against the vocabulary with the
customer's own words in it; the policy that comes out knows concepts by their ids.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from taxonomy import limits
from taxonomy.concepts import PERSONAL, TIERS, TaxonomyError, Vocabulary
from taxonomy.own_words import CONCEPT as CONCEPT_KEYS
from taxonomy.own_words import Labels, Wording, read_concepts, read_label_files, read_preferred, read_synonyms
from taxonomy.policy import Policy, apply
from taxonomy.policy_reader import Document, Table, shown
from taxonomy.review import FLAGS
from taxonomy.rules import Finder
from taxonomy.words import Screen, load_screen

TABLES = ("agency", "calibration", "concept", "keywords", "languages", "prefer", "review", "synonyms", "words")
KEYWORDS = ("allow", "deny", "languages", "max", "min", "min_score", "personal", "spelling", "tiers")
SPELLINGS = ("american", "british")
MOST_KEYWORDS = 1000
MOST_CHARACTERS = 10_000


def load(path: Path, vocabulary: Vocabulary, screen: Screen | None = None) -> Policy:
    """Read a policy file.

    Args:
        path: of the file; what it names is relative to its folder.
        vocabulary: whose concepts it speaks of; not a flat one.
        screen: brands and offensive words; by default the shipped lists.

    Raises:
        TaxonomyError: with every problem of the file, a line each.
    """
    document = Document(path)
    root = document.root(TABLES)
    words = root.table("words", ("allow", "block"))
    policy = Policy(blocked=words.texts("block"), unblocked=words.texts("allow"))
    screen = load_screen(vocabulary) if screen is None else screen
    wording = Wording(screen.extended(policy.blocked, policy.unblocked))
    policy = _with_own_words(policy, root, vocabulary, wording)
    policy = _with_terms(policy, root, vocabulary, wording)
    policy = _with_keywords(policy, root.table("keywords", KEYWORDS), apply(policy, vocabulary))
    policy = replace(
        policy,
        agencies=_agencies(root.table("agency")),
        review=_review(root.table("review")),
        calibration=_calibration(root.table("calibration", ("file",))),
    )
    document.finish()
    policy = replace(policy, denied=dict(_blocked(policy, apply(policy, vocabulary))) | dict(policy.denied))
    return replace(policy, warnings=tuple(wording.warnings))


def _with_own_words(policy: Policy, root: Table, vocabulary: Vocabulary, wording: Wording) -> Policy:
    """With the own concepts and languages: what the rest of the file may speak of."""
    concepts, labels = read_concepts(root.tables("concept", CONCEPT_KEYS), vocabulary, wording)
    policy = replace(policy, concepts=concepts)
    from_files = read_label_files(root.table("languages"), apply(policy, vocabulary), wording)
    return replace(policy, labels=_joined(from_files, labels))


def _joined(one: Labels, other: Labels) -> Labels:
    """Labels of both; where both have some for a concept, those of `other` come first."""
    joined = {language: dict(table) for language, table in one.items()}
    for language, table in other.items():
        for id_, words in table.items():
            entry = joined.setdefault(language, {})
            entry[id_] = tuple(dict.fromkeys((*words, *entry.get(id_, ()))))
    return joined


def _with_terms(policy: Policy, root: Table, vocabulary: Vocabulary, wording: Wording) -> Policy:
    """With preferred terms and synonyms."""
    finder = Finder(apply(policy, vocabulary))
    synonyms = read_synonyms(root.table("synonyms"), finder, wording)
    return replace(policy, synonyms=synonyms, preferred=read_preferred(root.table("prefer"), finder, wording))


def _with_keywords(policy: Policy, table: Table, vocabulary: Vocabulary) -> Policy:
    """With the table `[keywords]`, whose rules are matched with the whole vocabulary."""
    most = table.whole("max", least=1, most=MOST_KEYWORDS)
    least = table.whole("min", least=0, most=MOST_KEYWORDS)
    most = policy.max_keywords if most is None else most
    if least is not None and least > most:
        table.problem("min", f"min is {least} and more than max, {most}; lower it, or raise max")
    finder = Finder(vocabulary)
    allowed = _rules(table, "allow", finder)
    return replace(
        policy,
        max_keywords=most,
        min_keywords=min(policy.min_keywords, most) if least is None else least,
        min_score=table.number("min_score"),
        languages=table.texts("languages", choices=vocabulary.languages) or policy.languages,
        personal=_personal(table),
        spelling="british" if table.text("spelling", choices=SPELLINGS) == "british" else "american",
        tiers=frozenset(table.texts("tiers", choices=TIERS)) or policy.tiers,
        allowed=frozenset(allowed) if table.data.get("allow") else None,
        denied=_rules(table, "deny", finder),
    )


def _rules(table: Table, key: str, finder: Finder) -> dict[str, str]:
    """Ids of what a list of rules means, each with the first rule that means it."""
    found: dict[str, str] = {}
    for rule in table.texts(key):
        try:
            found |= {id_: found.get(id_, rule) for id_ in sorted(finder.matching(rule))}
        except TaxonomyError as error:
            table.problem(key, str(error), rule)
    return found


def _blocked(policy: Policy, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """Ids of the concepts that would be shown with a word that the customer blocks, and which word."""
    screen = Screen({}).extended(policy.blocked, policy.unblocked)
    for concept in vocabulary.concepts if policy.blocked else ():
        for label in vocabulary.labels(concept, vocabulary.languages).values():
            if (verdict := screen.screen(label)).level == "block":
                yield concept.id, verdict.reason
                break


def _personal(table: Table) -> frozenset[str]:
    """Kinds, all of them (`true`) or none."""
    value = table.data.get("personal", False)
    if isinstance(value, bool):
        return PERSONAL if value else frozenset()
    if not isinstance(value, list):
        kinds = ", ".join(sorted(PERSONAL))
        table.problem("personal", f"personal has to be true, false or a list of {kinds}, not {shown(value)}")
        return frozenset()
    return frozenset(table.texts("personal", choices=PERSONAL))


def _agencies(table: Table) -> dict[str, dict[str, int]]:
    """Limits of agencies that `limits.tsv` has, in place of its own."""
    shipped = limits.load_agencies()
    table.only(tuple(shipped))
    found: dict[str, dict[str, int]] = {}
    for agency in shipped:
        if agency not in table:
            continue
        part = table.table(agency, limits.FIELDS)
        given = {}
        for name in limits.FIELDS:
            most = MOST_KEYWORDS if name.endswith("_keywords") else MOST_CHARACTERS
            least = 0 if name.endswith("_keywords") or name.startswith("min_") else 20
            if (limit := part.whole(name, least=least, most=most)) is not None:
                given[name] = limit
        found[agency] = given
        whole = shipped[agency]._replace(**given)
        if whole.max_keywords is not None and (whole.min_keywords or 0) > whole.max_keywords:
            cause = f"{agency} would take at least {whole.min_keywords} and at most {whole.max_keywords} keywords"
            part.problem("max_keywords", f"{cause}; set both so that the first is not more")
    return found


def _review(table: Table) -> dict[str, float | None]:
    """A threshold for each flag, or `None` where it is switched off."""
    table.only(FLAGS)
    found: dict[str, float | None] = {}
    for flag in sorted(FLAGS & set(table.data)):
        value = table.data[flag]
        if value == "off" or value is False:  # not `in`: 0 equals False, and is a threshold
            found[flag] = None
        elif isinstance(value, str | bool):
            table.problem(flag, f'{flag} has to be a threshold between 0 and 1, or "off", not {shown(value)}')
        elif (threshold := table.number(flag, least=0, most=1)) is not None:
            found[flag] = threshold
    return found


def _calibration(table: Table) -> Path | None:
    name = table.text("file")
    if name is None:
        return None
    path = table.document.path.parent / name
    if not _there(path):
        table.problem("file", f"there is no file {name!r} beside the policy; make it with `stockmeta calibrate`")
    return path


def _there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False
