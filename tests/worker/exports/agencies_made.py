"""An agency with every rule, and an entry that breaks none of them."""

from dataclasses import replace
from typing import Any

from tasks.records import Category, Image
from taxonomy.agencies import CONTENTS, Agency, Column, FileForm
from taxonomy.limits import AgencyLimits
from taxonomy.words import Screen, Word
from worker.exports.entry import Entry

SCREEN = Screen({"nikon": Word("block", "a brand name"), "filth": Word("block", "an offensive word")})

STRICT = Agency(
    name="strict",
    title="Strict",
    sources=("us",),
    file=FileForm(tuple(Column(name, name) for name in CONTENTS if name not in ("mature", "key"))),
    limits=AgencyLimits(
        title=60, caption=100, min_keywords=2, max_keywords=5, min_title=5, keyword=20, keywords=60, filename=30
    ),
    formats=("JPEG",),
    megapixels=4.0,
    words=2,
    forbidden=",;",
    phrases=False,
    lower_case=True,
    scheme="strict",
    least_categories=1,
    most_categories=2,
    editorial="dateline",
)


def image(**changes: Any) -> Image:
    plain: dict[str, Any] = {"stored_width": 3000, "stored_height": 2000, "format": "JPEG"}
    return Image("photos", "a/fox.jpg", '"1"', **(plain | changes))


GOOD = Entry(
    image(),
    "fox.jpg",
    "A red fox in snow",
    "A red fox walks through snow.",
    keywords=("fox", "snow", "winter"),
    categories=(Category("1", "Animals", 0.9),),
)


def entry(**changes: Any) -> Entry:
    return replace(GOOD, **changes)
