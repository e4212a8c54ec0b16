"""The composed captions of 100 labelled photographs, and what an eye said of them: `docs/captions-by-eye.tsv`.

The photographs are those of `scripts/quality.py`; which 100 is drawn with a fixed seed. Prints figures, with `--list`
every text with its verdict, and with `--write` writes the list again: verdicts are kept where the texts are still the
same, letter for letter, and the rest is left for an eye.
"""

import argparse
import csv
import json
import random
import sys
from pathlib import Path
from typing import NamedTuple

from quality import PHOTOS, REPOSITORY, encode, rescore

from tasks.ports import Picture
from worker.runtime import load_model
from worker.settings import load_settings

BY_EYE = REPOSITORY / "docs" / "captions-by-eye.tsv"
SEED, READ = 20261123, 100
TEXTS = ("file", "title", "caption", "alt_text")
VERDICTS = ("grammatical", "wrong_claim", "clumsy", "note")
UNREAD = ("?", "?", "?", "")

Row = dict[str, object]


class Text(NamedTuple):
    """What the product says of one photograph."""

    file: str
    title: str
    caption: str
    alt_text: str


def main() -> int:
    """Returns the exit status: 1 where a text has not been read yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="folder with manifest.jsonl")
    parser.add_argument("--set", default="coco_train2017", help="which set of the manifest")
    parser.add_argument("--list", action="store_true", help="print every text with its verdict")
    parser.add_argument("--write", action="store_true", help="write the list again")
    given = parser.parse_args()
    if not (given.photos / "manifest.jsonl").is_file():
        print(f"skipped: there are no labelled photographs at {given.photos}; give --photos DIR")
        return 0
    with (given.photos / "manifest.jsonl").open(encoding="utf-8") as lines:
        rows: list[Row] = [row for row in map(json.loads, lines) if row["set"] == given.set and row["labels"]]
    drawn = sorted(random.Random(SEED).sample(range(len(rows)), min(READ, len(rows))))  # noqa: S311
    known = read()
    found = [(text, known.get(text, UNREAD)) for text in compose(given.photos, [rows[i] for i in drawn])]
    if given.list:
        for text, verdict in found:
            print("\t".join((*text, *verdict)))
    if given.write:
        write(found)
    print(report([verdict for _, verdict in found]))
    return int(any("?" in verdict for _, verdict in found))


def compose(photos: Path, rows: list[Row]) -> list[Text]:
    """The texts that `stockmeta tag --model starter` gives, through the product's own parts."""
    model = load_model(load_settings(model="starter"))
    texts = []
    for row, scored in zip(rows, rescore(model.judge, encode(model.encoder, photos, rows)), strict=True):
        chosen = model.describer.chooser.choose(scored.raw, scored.chance, scored.score)
        words = model.describer.captioner.caption(Picture(scored.vector, scored.raw), chosen)
        texts.append(Text(str(row["file"]), *(words or ("", "", ""))))
    return texts


def read() -> dict[Text, tuple[str, ...]]:
    """The verdicts that there are."""
    if not BY_EYE.is_file():
        return {}
    with BY_EYE.open(encoding="utf-8", newline="") as file:
        entries = list(csv.DictReader(file, delimiter="\t"))
    return {Text(*(entry[name] for name in TEXTS)): tuple(entry[name] for name in VERDICTS) for entry in entries}


def write(found: list[tuple[Text, tuple[str, ...]]]) -> None:
    """Write the list, the photographs in the order of the manifest."""
    with BY_EYE.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow((*TEXTS, *VERDICTS))
        table.writerows((*text, *verdict) for text, verdict in found)


def report(verdicts: list[tuple[str, ...]]) -> str:
    """One line of figures."""
    columns = list(zip(*verdicts, strict=True))
    return (
        f"captions read by eye on {len(verdicts)} photographs: grammatical {columns[0].count('yes')}, "
        f"with a wrong claim {columns[1].count('yes')}, clumsy {columns[2].count('yes')}, "
        f"not read yet {columns[0].count('?')}"
    )


if __name__ == "__main__":
    sys.exit(main())
