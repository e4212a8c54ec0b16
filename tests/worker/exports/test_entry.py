"""What an agency is told of an image."""

from dataclasses import replace
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.published import Human, published
from tasks.records import Category, Embedded, Flag, Source
from taxonomy import agencies
from taxonomy.limits import AgencyLimits
from tests.worker.exports.agencies_made import SCREEN, STRICT
from tests.worker.libraries import keyword, record
from worker.exports.entry import Entry, cells, fit
from worker.exports.refusals import Validator
from worker.exports.sheet import Sheet
from worker.exports.texts import CONTROLS, cut, cut_sentence, one_line

TODAY = date(2026, 11, 22)
LONG = "A bare old tree stands in a wide field of grass under a clear blue sky and the sun is low behind the far hills"


def fitted(agency: str, human: Human | None = None, *, editorial: bool = False, **changes: Any) -> Entry:
    made = published(record(**changes), human)
    return fit(made, agencies.load(agency), as_editorial=editorial, today=TODAY)


def row(agency: str, entry: Entry) -> dict[str, str]:
    rules = agencies.load(agency)
    return dict(zip((column.header for column in rules.file.columns), cells(entry, rules), strict=True))


def test_adobe_is_told_a_title_without_commas_and_of_its_length() -> None:
    title = fitted("adobe", title=f"Tree, field & sky: {LONG}").title
    assert title == "Tree field and sky A bare old tree stands in a wide field of grass"
    assert fitted("adobe", title=f"{'A tree and ' * 6}the field").title.endswith("A tree")


def test_a_list_of_keywords_is_left_as_it_is_so_that_it_is_refused() -> None:
    assert fitted("adobe", title="tree, sky, field, grass").title == "tree, sky, field, grass"


def test_where_an_agency_takes_more_it_is_told_more() -> None:
    assert fitted("dreamstime", title=LONG).title == LONG
    assert len(fitted("shutterstock", caption=f"{LONG}. {LONG}.").caption) <= 200


def test_the_words_of_the_title_are_adobes_first_keywords_and_only_where_they_are_keywords() -> None:
    words = ["sky", "clear sky", "Tree", "grass", "field"]
    assert fitted("adobe", title="Tree in a field by night", keywords=words).keywords == (
        *("Tree", "field", "sky"),
        *("clear sky", "grass"),
    )
    assert fitted("shutterstock", title="Tree in a field", keywords=words).keywords == tuple(words)


def test_as_many_keywords_as_an_agency_takes_and_a_persons_among_them() -> None:
    words = [f"word {number}" for number in range(60)]
    assert len(fitted("adobe", keywords=words).keywords) == 49
    made = fitted("shutterstock", keywords=words, embedded=Embedded(keywords=("Ammersee",)))
    assert len(made.keywords) == 50 and made.keywords[0] == "Ammersee"


def test_english_labels_and_what_has_none_is_left_out_and_known() -> None:
    made = fitted(
        "shutterstock",
        keywords=[keyword(1, "sky", ko="하늘")],
        embedded=Embedded(keywords=("호수", "Ammersee")),
    )
    assert (made.keywords, made.unused) == (("Ammersee", "sky"), ("호수",))
    korean = replace(keyword(1, "호수", Source.EMBEDDED), labels={"en": "호수"})
    assert fitted("shutterstock", keywords=[korean, keyword(2, "sky")]).keywords == ("sky",)


def test_single_words_lower_case_and_total_length() -> None:
    words = published(record(keywords=["Deep Snow", "Snow, ice", "Fox", "a" * 30, "wolf"]))
    assert fit(words, STRICT, today=TODAY).keywords == ("deep", "snow", "ice", "fox", "wolf")
    envato = [f"keyword number {number} of a very long list of such keywords" for number in range(50)]
    together = ",".join(fitted("envato", keywords=envato).keywords)
    assert 1900 < len(together) <= 2048


def test_a_text_that_is_missing_is_taken_from_the_next_one() -> None:
    made = fitted("dreamstime", title=None, caption=None, alt_text="A tree by a road")
    assert (made.title, made.caption) == ("A tree by a road", "A tree by a road")


def test_what_people_decided_is_what_the_agency_is_told() -> None:
    made = fitted("dreamstime", Human(title="Oak at Wellfleet", keywords=("oak",)), embedded=Embedded(title="Tree"))
    assert (made.title, made.keywords) == ("Oak at Wellfleet", ("oak",))


def test_shutterstocks_row() -> None:
    made = fitted(
        "shutterstock",
        key="a/b/tree.jpg",
        keywords=["tree", "field"],
        categories={
            "shutterstock": tuple(Category(name, name, 0.5) for name in ("Nature", "Parks/Outdoor", "Abstract"))
        },
        flags=(Flag("mature", "yes", ""), Flag("text", "no", "")),
    )
    assert row("shutterstock", made) == {
        "Filename": "tree.jpg",
        "Description": "A bare tree in a field under a clear sky.",
        "Keywords": "tree,field",
        "Categories": "Nature,Parks/Outdoor",
        "Editorial": "No",
        "Mature content": "Yes",
        "illustration": "No",
    }


def test_adobes_category_is_a_number_and_gettys_date_american() -> None:
    categories = {"adobe": (Category("11", "Landscapes", 0.5), Category("14", "Plants and Flowers", 0.4))}
    assert row("adobe", fitted("adobe", categories=categories))["Category"] == "11"
    file = Embedded(created="2024-05-14T10:00:00", country="Germany")
    getty = row("getty", fitted("getty", embedded=file))
    assert (getty["created date"], getty["country"], getty["brief code"]) == ("05/14/2024", "Germany", "")
    assert row("getty", fitted("getty", embedded=Embedded(created="2024-05")))["created date"] == ""


def test_the_table_of_iptc_fields_has_what_the_file_says_and_every_language() -> None:
    file = Embedded(
        creators=("Kim, M.", "Lee"),
        copyright="© Kim",
        city="서울",
        country_code="KR",
        created="2024-05",
    )
    made = row("iptc", fitted("iptc", key="a/tree.jpg", keywords=["tree", "sky"], embedded=file))
    assert (made["File Name"], made["Keywords"], made["Alt Text (Accessibility)"]) == (
        *("a/tree.jpg", "tree;sky"),
        "A bare tree in a field",
    )
    assert (made["Creator"], made["Copyright Notice"], made["City"]) == ("Kim, M., Lee", "© Kim", "서울")
    assert (made["Country ISO-Code"], made["Date Created"]) == ("KR", "2024-05")


def test_an_editorial_caption_or_the_reason_why_there_is_none() -> None:
    file = Embedded(city="Berlin", country="Germany", created="2024-05-14")
    made = fitted("shutterstock", editorial=True, embedded=file)
    assert made.caption.startswith("BERLIN, GERMANY – MAY 14: A bare tree in a field under a clear sky on May 14, 2024")
    assert row("shutterstock", made)["Editorial"] == "Yes"
    without = fitted("shutterstock", editorial=True)
    assert without.trouble is not None and without.trouble.rule == "editorial_date"
    plain = fitted("dreamstime", editorial=True)
    assert plain.trouble is None and row("dreamstime", plain)["Editorial"] == "1"


def test_texts_are_cut_at_words_without_loose_ends() -> None:
    assert cut("A tree and the field", 15) == "A tree"
    assert cut("A tree", 6) == "A tree"
    assert cut("Donaudampfschiff", 5) == "Donau"
    assert cut_sentence("A tree. A field and a hill.", 12) == "A tree."
    assert cut_sentence("A tree in a very large field.", 16) == "A tree."


@given(st.text(max_size=200), st.integers(1, 80))
def test_any_text_becomes_one_line_that_is_no_formula_and_fits(text: str, limit: int) -> None:
    line = one_line(text)
    assert not CONTROLS.search(line) and line[:1] not in tuple("=+-@")
    assert len(cut(line, limit)) <= limit
    assert len(cut_sentence(line, limit)) <= max(limit, 1)


TEXTS = st.text(
    st.sampled_from(list(",;\"'\n\r\0\t=+-@|é한😀\u2028 ab.:")) | st.characters(codec="utf-8"), max_size=150
)


@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=8), TEXTS)
def test_whatever_is_said_of_a_picture_the_row_is_fit_for_the_file(
    title: str, caption: str, words: list[str], place: str
) -> None:
    """What mends itself is never refused: lengths, numbers, control characters, formulas."""
    made = published(record(title=title, caption=caption, embedded=Embedded(keywords=tuple(words), city=place)))
    mended = {"control_characters", "formula", "title_length", "caption_length", "keyword_twice", "keyword_separator"}
    mended |= {"keywords_many", "keyword_empty", "keyword_case", "keyword_length", "keywords_length", "keyword_phrase"}
    for agency in (replace(STRICT, limits=STRICT.limits._replace(min_title=None)), agencies.load("getty")):
        entry = fit(made, agency, today=TODAY)
        assert not mended & {each.rule for each in Validator(agency, SCREEN).refusals(entry)}


def test_two_files_of_one_name_cannot_be_told_apart() -> None:
    sheet = Sheet(agencies.load("vecteezy"), SCREEN, today=TODAY)
    rows = [sheet.add(published(record(key))) for key in ("a/1.jpg", "b/1.jpg", "b/2.jpg")]
    assert [[each.rule for each in row.refusals] for row in rows] == [[], ["filename_twice"], []]
    assert [row.written for row in rows] == [True, False, True]


def test_titles_of_a_series_are_distinct_and_where_there_is_no_title_captions_are() -> None:
    sheet = Sheet(agencies.load("freepik"), SCREEN, allowed=frozenset({"keywords_few"}), today=TODAY)
    words = ["tree", "winter"]
    titles = [sheet.add(published(record(f"{n}.jpg", words))).cells[1] for n in range(3)]
    assert titles == ["Bare tree in a field", "Bare tree in a field, winter", "Bare tree in a field 2"]
    sheet = Sheet(agencies.load("alamy"), SCREEN, allowed=frozenset({"keywords_few"}), today=TODAY)
    captions = [sheet.add(published(record(f"{n}.jpg", words))).cells[1] for n in range(2)]
    assert captions == [
        "A bare tree in a field under a clear sky.",
        "A bare tree in a field under a clear sky, winter.",
    ]


def test_a_title_of_a_picture_that_is_left_out_stays_free() -> None:
    sheet = Sheet(agencies.load("vecteezy"), SCREEN, today=TODAY)
    first = sheet.add(published(record("1.jpg", format="PNG")))
    second = sheet.add(published(record("2.jpg")))
    assert (first.written, second.cells[1]) == (False, "Bare tree in a field")
    assert AgencyLimits() == agencies.load("iptc").limits


def test_what_cannot_be_seen_goes_and_hides_no_formula() -> None:
    assert one_line("\u202egra\u200bph\ufeff of\u2066 a tree") == "graph of a tree"
    assert one_line("\u200b=1+1 trees") == one_line("＝1+1 trees") == "1+1 trees"
    assert CONTROLS.search("photo\u202egpj.exe")


def test_what_is_taken_out_of_a_text_leaves_no_formula_at_its_beginning() -> None:
    assert fitted("adobe", title='"-5 degrees" in the field').title == "5 degrees in the field"
    assert fitted("iptc", Human(keywords=(";=1+1",))).keywords == ("1+1",)


def test_a_list_that_a_program_wrote_as_one_keyword_is_several() -> None:
    made = fitted("adobe", keywords=["sky"], embedded=Embedded(keywords=("cat, dog,house,, DOG", "Paris; France")))
    assert made.keywords == ("cat", "dog", "house", "Paris; France", "sky")
    mixed = replace(keyword(1, "나무, tree", Source.EMBEDDED), labels={"en": "나무, tree"})
    assert fitted("adobe", keywords=[mixed]).keywords == ("tree",)
