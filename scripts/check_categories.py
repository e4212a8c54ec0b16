"""How often the categories of a picture are those of what is in it, on labelled photographs.

    stockmeta tag photos/*.jpg > records.ndjson
    python scripts/check_categories.py MANIFEST records.ndjson

MANIFEST has a line for each photograph: `file`, and `labels`, the names of the objects in it. A category is right
if one of them leads to it. Beside it stands what always giving the commonest category would reach: the labels are many,
so that is not little. What a photograph is about besides its objects does not count here, right as it may be.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from taxonomy.categories import Scheme, load_schemes, targets
from taxonomy.concepts import Vocabulary
from taxonomy.files import load


def main() -> int:
    """Returns the exit status."""
    labels = {}
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        labels[Path(row["file"]).name] = row.get("labels") or []
    records = [json.loads(line) for line in Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()]
    records = [record for record in records if labels.get(Path(record["image"]["key"]).name)]
    vocabulary = load()
    print("scheme        photographs  given  first right  any right  always the commonest")
    for scheme in load_schemes():
        true = [of_labels(scheme, vocabulary, labels[Path(record["image"]["key"]).name]) for record in records]
        given = [[each["id"] for each in record["categories"].get(scheme.name, ())] for record in records]
        pairs = [(ids, right) for ids, right in zip(given, true, strict=True) if ids]
        commonest = max(Counter(id_ for right in true for id_ in right).values(), default=0)
        first = sum(ids[0] in right for ids, right in pairs)
        some = sum(bool(right & set(ids)) for ids, right in pairs)
        shares = (first / max(len(pairs), 1), some / max(len(pairs), 1), commonest / max(len(records), 1))
        print(
            f"{scheme.name:13} {len(records):11} {len(pairs):6}  {shares[0]:11.2f}  {shares[1]:9.2f}  {shares[2]:20.2f}"
        )
    return 0


def of_labels(scheme: Scheme, vocabulary: Vocabulary, labels: list[str]) -> set[str]:
    """Ids of the categories to which these words lead."""
    led = targets(scheme, vocabulary)
    concepts = [concept for label in labels for concept in vocabulary.by_word.get(label.casefold(), ())]
    positions = {above for one in concepts for i in led[vocabulary.index[one.id]] for above in scheme.above(i)}
    return {scheme.rows[position].id for position in positions}


if __name__ == "__main__":
    sys.exit(main())
