"""`stockmeta taxonomy`: whether the vocabulary is sound, what is in it, what changed."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from tasks.errors import ConfigurationError
from taxonomy import difference, files, overview, policy_file, tables
from taxonomy.categories import Scheme, load_schemes
from taxonomy.concepts import TaxonomyError, Vocabulary
from taxonomy.overview import Entry, Statistics
from taxonomy.rules import Finder
from taxonomy.validate import problems, standing
from taxonomy.words import load_screen
from worker import console
from worker.settings import Settings
from worker.vocabulary import Wording, load_wording

OK, FOUND = 0, 1


def run_validate(settings: Settings, path: Path | None, *, notes: bool) -> int:
    """Print every problem, a line each; returns the exit status.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    try:
        read = tables.read(path)
        extra = [tables.read_sheet(scheme) for scheme in settings.schemes or ()]
        shipped = files.load() if path is not None or settings.policy else None
    except TaxonomyError as error:
        for line in _told(error):
            console.emit(line)
        return FOUND
    found = problems(read, load_screen(shipped), extra)
    for problem in found:
        if problem.level == "error":
            console.emit(str(problem))
        elif notes:
            console.emit(f"{problem} (note)")
    errors = sum(problem.level == "error" for problem in found)
    wrong, warnings = _policy(settings, None if path is None else read)
    for line in (*wrong, *(f"{warning} (note)" for warning in warnings if notes)):
        console.emit(line)
    errors += len(wrong)
    remarks = len(found) + len(wrong) + len(warnings) - errors
    console.say(
        f"{len(read.concepts.rows)} concepts, {errors} problems, {remarks} notes{'' if notes else ' (--notes)'}"
    )
    return FOUND if errors else OK


def _told(error: TaxonomyError) -> list[str]:
    """The problems of a file, a line each; one that cannot be read has none, and is raised as wrong usage."""
    if isinstance(error.__cause__, OSError):
        raise ConfigurationError(str(error)) from error
    return str(error).splitlines()


def _policy(settings: Settings, read: tables.Tables | None) -> tuple[list[str], tuple[str, ...]]:
    """Problems and notes of the policy file, if there is one, with the taxonomy that is checked or is in use."""
    if settings.policy is None:
        return [], ()
    try:
        vocabulary: Vocabulary | None = files.load(settings.vocabulary) if read is None else standing(read)
        if vocabulary is None:
            console.say(f"{settings.policy} was not checked; correct the taxonomy first")
            return [], ()
        return [], policy_file.load(settings.policy, vocabulary).warnings
    except TaxonomyError as error:
        return _told(error), ()


def run_stats(settings: Settings, *, as_json: bool) -> int:
    """Print figures; returns the exit status."""
    wording, schemes = _loaded(settings)
    found = overview.statistics(wording.vocabulary, schemes)
    if as_json:
        console.emit(json.dumps(_figures(found), ensure_ascii=False))
    else:
        for line in _readable(found):
            console.emit(line)
    return OK


def _loaded(settings: Settings) -> tuple[Wording, tuple[Scheme, ...]]:
    wording = load_wording(settings)
    if wording.vocabulary.flat:
        raise ConfigurationError(f"{settings.vocabulary} is a plain word list; there is nothing to say of it")
    try:
        return wording, load_schemes(settings.schemes or ())
    except TaxonomyError as error:
        raise ConfigurationError(str(error)) from error


def _figures(found: Statistics) -> dict[str, object]:
    schemes = {name: {"categories": rows, "concepts": led} for name, (rows, led) in found.categories.items()}
    return asdict(found) | {"categories": schemes}


def _readable(found: Statistics) -> Iterator[str]:
    yield f"concepts     {found.concepts:,}: {_counted(found.tiers, 'tier ')}; {found.hidden:,} hidden, never shown"
    yield f"words        {found.words:,} in English; {found.shared:,} shared by several concepts, in any language"
    for language, coverage in found.languages.items():
        share = coverage.concepts / found.concepts
        tiers = _counted(coverage.tiers, "tier ")
        yield f"language {language}  {coverage.concepts:,} concepts ({share:.1%}): {tiers}; {coverage.words:,} words"
    depth = max(found.depths)
    yield f"tree         {found.roots:,} roots, {found.parents:,} parents, at most {depth} steps from a root"
    yield f"steps        {', '.join(f'{steps}: {count:,}' for steps, count in found.depths.items())}"
    yield f"ids          {_counted(found.sources)}"
    yield f"personal     {_counted(found.personal)}"
    yield f"facets       {_counted(found.facets)}"
    for name, (rows, led) in found.categories.items():
        yield f"categories   {name}: {rows:,}, to which {led:,} concepts lead"


def _counted(counts: Mapping[str, int], before: str = "") -> str:
    return ", ".join(f"{before}{name} {count:,}" for name, count in counts.items()) or "none"


def run_show(settings: Settings, term: str, *, as_json: bool) -> int:
    """Print what is known of every concept that a term may mean; returns the exit status."""
    wording, schemes = _loaded(settings)
    vocabulary = wording.vocabulary
    try:
        ids = Finder(vocabulary).matching(term)
    except TaxonomyError as error:
        console.say(str(error))
        return FOUND
    for position in sorted(vocabulary.index[id_] for id_ in ids):
        entry = overview.entry(vocabulary, schemes, vocabulary.concepts[position])
        if as_json:
            console.emit(json.dumps(_entry(entry), ensure_ascii=False))
        else:
            for line in _lines(entry):
                console.emit(line)
    return OK


def _entry(entry: Entry) -> dict[str, object]:
    concept = entry.concept
    schemes = {name: [{"id": id_, "label": label} for id_, label in found] for name, found in entry.categories.items()}
    return {
        "id": concept.id,
        "name": concept.name,
        "label": concept.label,
        "hint": concept.hint,
        "facet": concept.facet,
        "tier": concept.tier,
        "grammar": concept.grammar,
        "flags": sorted(concept.flags),
        "path": entry.path,
        "children": entry.children,
        "beneath": entry.beneath,
        "plural": concept.plural,
        "british": concept.british,
        "synonyms": concept.synonyms,
        "labels": {"en": (concept.label,)} | dict(entry.labels),
        "categories": schemes,
        "shared": entry.shared,
        "implied_by": entry.implied_by,
    }


def _lines(entry: Entry) -> Iterator[str]:
    concept = entry.concept
    yield f"{concept.name}  {concept.id}"
    flags = "".join(f", {flag}" for flag in sorted(concept.flags))
    yield f"  what         {concept.facet}, tier {concept.tier}, {concept.grammar}{flags}"
    yield f"  path         {' > '.join(entry.path)}"
    shown = entry.children[:20]
    more = len(entry.children) - len(shown)
    rest = f" and {more} more" if more > 0 else ""
    texts = {
        "children": f"{', '.join(shown)}{rest}; {entry.beneath} beneath in all" if shown else "",
        "plural": concept.plural,
        "British": ", ".join(concept.british),
        "synonyms": ", ".join(concept.synonyms),
        **{language: ", ".join(labels) for language, labels in entry.labels.items()},
        **{name: ", ".join(_category(*each) for each in found) for name, found in entry.categories.items()},
        "implied by": ", ".join(entry.implied_by),
    }
    yield from (f"  {name:<12} {text}" for name, text in texts.items() if text)
    for word, others in entry.shared.items():
        yield f"  shares       {word} with {', '.join(others)}"


def _category(id_: str, label: str) -> str:
    return label if id_ == label else f"{id_} {label}"


def run_diff(old: Path, new: Path, *, as_json: bool) -> int:
    """Print what differs; returns the exit status."""
    try:
        found = difference.changes(tables.read(old), tables.read(new))
    except TaxonomyError as error:
        raise ConfigurationError(str(error)) from error
    for change in found:
        if as_json:
            console.emit(json.dumps(asdict(change), ensure_ascii=False))
            continue
        where = f" {change.where}" if change.where else ""
        told = (
            "" if change.kind in ("added", "removed") else f": {change.old or 'nothing'} -> {change.new or 'nothing'}"
        )
        console.emit(f"{change.kind}{where} {change.name} [{change.id}]{told}")
    counts = Counter(change.kind for change in found)
    console.say(", ".join(f"{counts[kind]} {kind}" for kind in difference.KINDS if counts[kind]) or "no difference")
    return FOUND if found else OK
