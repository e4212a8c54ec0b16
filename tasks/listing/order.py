"""In which order a store lists its keys, and how to compare keys in it.

S3 lists by the keys' bytes, so `a b.jpg` before `a/b.jpg`. Folders and SeaweedFS list by path component, the other way
round.
"""

from typing import Literal

Order = Literal["bytes", "path"]


def sortable(key: str, order: Order) -> str:
    """A string that compares as the store lists: code points, which sort as UTF-8 does.

    No key holds NUL, and it comes before every other character, as the end of a component has to.
    """
    return key if order == "bytes" else key.replace("/", "\0")
