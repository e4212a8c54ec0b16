"""What a store was asked for, as a rule of the proxy: requests by kind, and which images were read or written about."""

import re
import threading
from collections import Counter
from urllib.parse import unquote

from tests.faults.proxy import Passing

_LINE = re.compile(rb"([A-Z]+) (/[^ ?]*)(\?[^ ]*)? HTTP")
_RECORD = re.compile(r"/\.stockmeta/[0-9a-f]{12}/(?:done|failed)/[^/]+/(.+)\.json")


class Asked:
    """Counts requests while it is a rule of the proxy before a store.

    Attributes:
        kinds: requests by kind: `list`, or the method and what it is about (`GET image`, `PUT record`, `GET other`).
        read: how often each image's content was read.
        written: how often it was tried to write a record of each image.
    """

    def __init__(self) -> None:
        self.kinds = Counter[str]()
        self.read = Counter[str]()
        self.written = Counter[str]()
        self._lock = threading.Lock()

    def __call__(self, passing: Passing) -> None:
        """See `tests.faults.proxy.Rule`."""
        if passing.toward != "server" or passing.before or not (line := _LINE.match(passing.request)):
            return
        method, target, query = line[1].decode(), unquote(line[2].decode()), (line[3] or b"").decode()
        with self._lock:
            self._count(method, target.strip("/").partition("/")[2], query)

    def _count(self, method: str, key: str, query: str) -> None:
        if not key:
            self.kinds["list" if "list-type" in query or "prefix" in query else f"{method} bucket"] += 1
        elif record := _RECORD.fullmatch(f"/{key}"):
            self.kinds[f"{method} record"] += 1
            self.written[record[1]] += method == "PUT"
        elif key.startswith(".stockmeta/"):
            self.kinds[f"{method} other"] += 1
        else:
            self.kinds[f"{method} image"] += 1
            self.read[key] += method == "GET"
