"""What a document says of an image."""

import hashlib
import json
from dataclasses import fields, replace
from functools import cache
from typing import Any

import jsonschema
import pytest

from tasks.feeding import colors
from tasks.feeding.document import VERSION, Document, Term, document_id, document_tag
from tasks.feeding.documents import Maker
from tasks.published import Human
from tasks.records import Category, Color, Embedded, Embedding, Flag, Image, Record, Source, Status
from tests.conftest import REPOSITORY
from tests.worker.libraries import BUCKET, GENERATION, keyword, record

MAKER = Maker()
SCHEMA = json.loads((REPOSITORY / "tasks" / "data" / "stockmeta-document-1.schema.json").read_text(encoding="utf-8"))


@cache
def validator() -> Any:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def document(made: Record, human: Human | None = None) -> Document:
    """The document, which is of the published schema."""
    found = MAKER.document(made, human, document_tag('"1"', None))
    validator().validate(json.loads(found.to_json()))
    assert Document.from_json(found.to_json()) == found
    return found


@pytest.mark.parametrize(
    ("kind", "schema"),
    [(Document, SCHEMA)]
    + [(kind, SCHEMA["$defs"][kind.__name__.lower()]) for kind in (Term, Category, Color, Embedding)],
)
def test_the_published_schema_has_every_field_and_no_other(kind: type[Any], schema: dict[str, Any]) -> None:
    names = [field.name for field in fields(kind)]
    assert list(schema["properties"]) == names
    assert schema["required"] == names
    assert schema["additionalProperties"] is False


def test_the_published_schema_knows_every_colour() -> None:
    assert SCHEMA["properties"]["color_names"]["items"]["enum"] == list(colors.NAMES)


def test_an_image_and_its_sidecar_are_in_it() -> None:
    made = document(record(flags=(Flag("text", "yes", "seen"), Flag("brand", "no", ""))))
    assert (made.id, made.bucket, made.key) == (document_id(BUCKET, "a.jpg"), BUCKET, "a.jpg")
    assert (made.generation, made.version, made.status, made.tag) == (GENERATION, 1, "tagged", '1:"1"')
    assert (made.width, made.height, made.megapixels, made.file_size) == (4000, 3000, 12.0, 4_000_000)
    assert (made.orientation, made.color_names, made.flags) == ("landscape", ("gray",), ("text",))


def test_what_the_file_says_of_place_date_and_makers_is_in_it() -> None:
    made = document(record(embedded=Embedded(city="Busan", country_code="KR", created="2024-05", creators=("Kim",))))
    assert (made.city, made.country_code, made.taken, made.creators) == ("Busan", "KR", "2024-05", ("Kim",))


def test_words_of_people_come_first_and_weigh_most() -> None:
    words = [keyword(1, "lake"), keyword(2, "boat", Source.EMBEDDED), keyword(3, "sky", ko="하늘")]
    made = document(record(keywords=words, embedded=Embedded(title="At the lake", keywords=("Ammersee",))))
    assert [(term.rank, term.labels["en"], term.weight, term.source) for term in made.keywords] == [
        (1, "boat", 1.0, "embedded"),
        (2, "Ammersee", 1.0, "embedded"),
        (3, "lake", 0.7071, "generated"),
        (4, "sky", 0.7071, "generated"),
    ]
    assert (made.keywords[1].concept, made.keywords[2].concept) == (None, "c-lake")
    assert (made.title, made.caption) == ("At the lake", "A bare tree in a field under a clear sky.")


def test_a_person_decides() -> None:
    made = document(record(keywords=["lake", "dog"]), Human(title="Hers", keywords=("Dog", "wet fur")))
    assert made.title == "Hers"
    assert [(term.concept, term.weight, term.source) for term in made.keywords] == [
        ("c-dog", 1.0, "human"),
        (None, 1.0, "human"),
    ]


@pytest.mark.parametrize(("score", "weight"), [(0.0, 0.01), (-0.2, 0.01), (0.09, 0.3), (1.2, 1.0)])
def test_a_weight_is_above_nothing_and_at_most_one(score: float, weight: float) -> None:
    made = document(record(keywords=[replace(keyword(1, "lake"), score=score)]))
    assert made.keywords[0].weight == weight


def test_an_empty_record_makes_a_document_and_a_terminal_one_none() -> None:
    reason = {"reason": "no_evidence", "detail": "Nothing."}
    empty = document(record(keywords=[], status=Status.EMPTY, title=None, caption=None, alt_text=None, **reason))
    assert (empty.status, empty.keywords) == ("empty", ())
    bare = Record(
        status=Status.REJECTED,
        image=Image(BUCKET, "b.jpg", None),
        generation=GENERATION,
        revision=1,
        created_at="",
        updated_at="",
    )
    with pytest.raises(ValueError, match="a record that is rejected makes no document"):
        document(bare)


def test_the_same_sidecar_makes_the_same_document_until_the_version_is_raised() -> None:
    """Where this fails, `VERSION` in `tasks/feeding/document.py` has to be raised: indexes are compared by it."""
    made = document(
        record(
            keywords=[keyword(1, "lake", ko="호수"), keyword(2, "boat", Source.EMBEDDED)],
            embedded=Embedded(title="At the lake", keywords=("Ammersee", "boat"), city="Herrsching", created="2024-05"),
            flags=(Flag("text", "yes", "seen"),),
        ),
        Human(caption="A boat at dawn.", rejected=("tree",)),
    )
    digest = hashlib.sha256(made.to_json().encode()).hexdigest()
    assert (VERSION, digest) == (1, "e098aebeb610f802a24f8d00cd29cc39815b336099f59135a4f97ebd2cad8364")
