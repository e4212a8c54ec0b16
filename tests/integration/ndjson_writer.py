"""Feeds a folder without an end, for tests that kill it: `python -m tests.integration.ndjson_writer FOLDER FIRST`.

Round n puts twenty images in version n, and removes one of them. A line on standard output names each round that was
committed.
"""

import sys
from pathlib import Path

from tests.worker.feeds.ndjson.ndjson_feeds import GENERATION, put, remove, sink
from worker.feeds.ndjson import compaction
from worker.storage.local import LocalStore

IMAGES = 20


def removed(round_: int) -> str:
    """The key that a round removes."""
    return f"{round_ % IMAGES:02d}.jpg"


def main() -> None:
    # So that every kind of write is often under way.
    compaction.MOST_FILES = 6
    compaction.SPARE = 100
    made = sink(LocalStore(Path(sys.argv[1]), "files"))
    index = made.open(GENERATION)
    made.serve(index)
    for round_ in range(int(sys.argv[2]), 1_000_000):
        index.deliver([put(f"{number:02d}.jpg", 2 * round_) for number in range(IMAGES)])
        index.deliver([remove(removed(round_), 2 * round_ + 1)])
        index.commit()
        sys.stdout.write(f"{round_}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
