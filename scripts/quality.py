"""How good the keywords are, on labelled photographs. Prints figures; `docs/quality.md` quotes them.

The photographs are a folder with a `manifest.jsonl` (file, set, labels), not part of the project. Two measures:

1. The labels' own names as a literal vocabulary, ranked by the corrected cosine: P@1, a right one among five, mAP.
2. The shipped vocabulary as `stockmeta tag` shows it. A keyword is right when it is a label of the photograph, a
   synonym, a parent or a child of one, or shares a whole word with it; generic keywords are neither shown nor counted.
   Whether a keyword that matches no label is wrong only an eye can tell: `docs/quality-by-eye.tsv` has the verdicts.
"""

import argparse
import csv
import json
import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.inference import Judge, Scored
from tasks.ports import Encoder
from taxonomy.choose import Chooser, Chosen
from taxonomy.concepts import Concept, Vocabulary, literal
from taxonomy.exact import Floats
from taxonomy.policy import Policy
from taxonomy.score import Scorer, statistics
from worker.encoders.texts import embed_vocabulary
from worker.runtime import load_model, make_decoder
from worker.settings import load_settings

REPOSITORY = Path(__file__).resolve().parent.parent
PHOTOS = REPOSITORY.parent / "shared" / "photos"
BY_EYE = REPOSITORY / "docs" / "quality-by-eye.tsv"
SEED, READ = 20261122, 50
GENERIC = frozenset({"person", "animal", "mammal", "food", "vehicle", "clothing"})
"""Too general to earn a point; abstract parents are hidden by the vocabulary itself."""
OTHER_NAMES = {"couch": "sofa", "cell phone": "smartphone", "potted plant": "houseplant", "sports ball": "ball"}
"""COCO's names that the vocabulary may say otherwise; a label is also looked up as it is."""

SAME_FIVE = ("chair", "car", "table", "dog", "cup")

Row = dict[str, object]


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="folder with manifest.jsonl")
    parser.add_argument("--set", default="coco_train2017", help="which set of the manifest")
    parser.add_argument("--model", help="as for stockmeta tag")
    parser.add_argument("--list", action="store_true", help="print what is shown on the photographs read by eye")
    given = parser.parse_args()
    if not (given.photos / "manifest.jsonl").is_file():
        print(f"skipped: there are no labelled photographs at {given.photos}; give --photos DIR")
        return 0
    rows = [json.loads(line) for line in (given.photos / "manifest.jsonl").open(encoding="utf-8")]
    rows = [row for row in rows if row["set"] == given.set and row["labels"]]
    settings = load_settings(model=given.model)
    model = load_model(settings)
    embeddings = encode(model.encoder, given.photos, rows)
    print(f"{len(rows)} photographs of {given.set}, {model.provenance.model} on {model.provenance.engine}")
    print(literal_names(model.encoder, settings.cache_dir, rows, embeddings))
    chooser = Chooser(model.vocabulary, replace(model.describer.chooser.policy, max_keywords=1000))
    scored = rescore(model.judge, embeddings)
    chosen = [chooser.choose(one.raw, one.chance, one.score) for one in scored]
    shown = [first_five(words) for words in chosen]
    loose = Chooser(model.vocabulary, Policy(min_keywords=0))
    ranked = [first_five(loose.choose(one.raw, one.chance, one.score)) for one in scored]
    matcher = Matcher(model.vocabulary)
    print(report("shipped vocabulary, no threshold", matcher, rows, ranked))
    print(report("shipped vocabulary, as shown", matcher, rows, shown))
    for what, five in (
        ("always chair, car, table, dog, cup", [model.vocabulary.by_name[name] for name in SAME_FIVE]),
        ("always the best five, chosen knowing the labels", constant(matcher, rows, model.vocabulary)),
    ):
        print(report(what, matcher, rows, [five] * len(rows)))
    read = sorted(random.Random(SEED).sample(range(len(rows)), READ))  # noqa: S311
    print(by_eye("all", [(rows[i], [word.concept for word in chosen[i][:5]]) for i in read], show=given.list))
    print(by_eye("without generic ones", [(rows[i], shown[i]) for i in read], show=False))
    return 0


def encode(encoder: Encoder, photos: Path, rows: list[Row]) -> Floats:
    """Embeddings (n, d) through the product's own decoder."""
    decoder = make_decoder(load_settings(), encoder)
    try:
        futures = [decoder.submit(photos / str(row["file"])) for row in rows]
        pixels = [future.result().pixels for future in futures]
    finally:
        decoder.close()
    batches = [np.stack(pixels[i : i + encoder.batch]) for i in range(0, len(pixels), encoder.batch)]
    return np.concatenate([encoder.encode(batch).embeddings for batch in batches])


def rescore(judge: Judge, embeddings: Floats) -> list[Scored]:
    """Scores from the embeddings in their stored form, as the product scores."""
    from tasks.records import Embedding

    return judge.rescore([Embedding.pack(row) for row in embeddings])


def literal_names(encoder: Encoder, cache_dir: Path, rows: list[Row], embeddings: Floats) -> str:
    """P@1, a right one in the first five and mAP, with the labels' names as vocabulary."""
    names = sorted({label for row in rows for label in row["labels"]})  # type: ignore[attr-defined]
    texts = embed_vocabulary(encoder, names, cache_dir)
    references = encoder.references()
    usual = None if references is None else statistics(texts, references)
    scorer = Scorer(literal(names), texts, usual, encoder.logit_scale)
    index = {concept.label: i for i, concept in enumerate(scorer.vocabulary.concepts)}
    raw = scorer.score(embeddings.astype(np.float16).astype(np.float32)).raw
    truth = np.array([[name in row["labels"] for name in index] for row in rows])  # type: ignore[operator]
    hits = np.take_along_axis(truth, np.argsort(-raw, axis=1), axis=1)
    precisions = []
    for column in np.flatnonzero(truth.any(axis=0)):
        found = truth[np.argsort(-raw[:, column]), column]
        precisions.append((np.cumsum(found) / np.arange(1, len(found) + 1))[found].mean())
    return (
        f"{len(names)} names as vocabulary: P@1 {hits[:, 0].mean():.3f}, "
        f"right in five {hits[:, :5].any(axis=1).mean():.3f}, mAP {np.mean(precisions):.3f}"
    )


def first_five(chosen: list[Chosen]) -> list[Concept]:
    """The first five keywords that are not generic."""
    return [word.concept for word in chosen if word.concept.label not in GENERIC][:5]


class Matcher:
    """Whether a keyword matches a label."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._above = {concept.id: {up.id for up in vocabulary.ancestors(concept)} for concept in vocabulary.concepts}
        self._named: dict[str, set[str]] = {}
        for concept in vocabulary.concepts:
            for name in (concept.label, *concept.synonyms):
                self._named.setdefault(name.lower(), set()).add(concept.id)

    def right(self, keyword: Concept, label: str) -> bool:
        """A label, a synonym, a parent or a child of it, or a whole word in common."""
        for meant in self._named.get(label, set()) | self._named.get(OTHER_NAMES.get(label, label), set()):
            if keyword.id == meant or keyword.id in self._above[meant] or meant in self._above[keyword.id]:
                return True
        return label in keyword.label.split() or keyword.label in label.split()

    def hits(self, row: Row, shown: list[Concept]) -> list[bool]:
        """For each keyword, whether it matches one of the photograph's labels."""
        labels: list[str] = row["labels"]  # type: ignore[assignment]
        return [any(self.right(keyword, label) for label in labels) for keyword in shown]


def report(what: str, matcher: Matcher, rows: list[Row], shown: list[list[Concept]]) -> str:
    """One line of figures over all photographs, those with nothing shown included."""
    hits = [matcher.hits(row, words) for row, words in zip(rows, shown, strict=True)]
    words = sum(map(len, shown))
    return (
        f"{what}: right in five {np.mean([any(hit) for hit in hits]):.3f}, "
        f"not matching a label {1 - sum(map(sum, hits)) / max(words, 1):.3f}, "
        f"shown {words / len(rows):.2f} an image, nothing shown {np.mean([not five for five in shown]):.3f}"
    )


def constant(matcher: Matcher, rows: list[Row], vocabulary: Vocabulary) -> list[Concept]:
    """The five concepts that, always given, are right most often: chosen greedily, knowing the answers."""
    usable = [c for c in vocabulary.concepts if "hidden" not in c.flags and c.label not in GENERIC]
    right = {c.id: {i for i, row in enumerate(rows) if matcher.hits(row, [c])[0]} for c in usable}
    five: list[Concept] = []
    covered: set[int] = set()
    for _ in range(5):
        best = max(usable, key=lambda c: len(right[c.id] - covered))
        five.append(best)
        covered |= right[best.id]
    return five


def by_eye(which: str, read: list[tuple[Row, list[Concept]]], *, show: bool) -> str:
    """The share of wrong keywords among the first five, by the verdicts of whoever looked at the photographs."""
    verdicts: dict[tuple[str, str], str] = {}
    if BY_EYE.is_file():
        with BY_EYE.open(encoding="utf-8", newline="") as file:
            for entry in csv.DictReader(file, delimiter="\t"):
                verdicts[entry["file"], entry["keyword"]] = entry["verdict"]
    counted: Counter[str] = Counter()
    for row, words in read:
        for word in words:
            verdict = verdicts.get((str(row["file"]), word.label), "unread")
            counted[verdict] += 1
            if show:
                print(f"{row['file']}\t{word.label}\t{verdict}")
    judged = counted["right"] + counted["wrong"]
    few = sum(len(words) < 4 for _, words in read)
    return (
        f"read by eye on {len(read)} photographs, {which}: {counted['wrong']} of {judged} keywords wrong "
        f"({counted['wrong'] / max(judged, 1):.3f}), {counted['unread']} not read yet; "
        f"{judged / len(read):.2f} shown each, fewer than four on {few}"
    )


if __name__ == "__main__":
    sys.exit(main())
