"""Agencies' rules: those that are shipped, and a customer's own."""

import re
from pathlib import Path

import pytest

from taxonomy import agencies
from taxonomy.categories import load_schemes
from taxonomy.concepts import TaxonomyError
from taxonomy.limits import load_agencies

HEADERS = {
    "adobe": "Filename,Title,Keywords,Category,Releases",
    "alamy": "Filename,Caption,Tags",
    "bigstock": "Filename,Description,Keywords,Editorial",
    "depositphotos": "file,title,description,keywords",
    "dreamstime": "Filename,Image Name,Description,Category 1,Category 2,Category 3,keywords,Free,W-EL,P-EL,SR-EL,"
    "SR-Price,Editorial,MR doc Ids,Pr Docs",
    "envato": "Filename,Title,Description,Tags",
    "freepik": "File name;Title;Keywords;Prompt;Model",
    "getty": "file name,created date,description,country,brief code,title,keywords",
    "iptc": "File Name,Title,Description,Alt Text (Accessibility),Keywords,Subject Code,Creator,Copyright Notice,"
    "Date Created,Sublocation,City,Province or State,Country,Country ISO-Code",
    "shutterstock": "Filename,Description,Keywords,Categories,Editorial,Mature content,illustration",
    "vecteezy": "Filename,Title,Keywords",
}
OWN = """
title = "Ours"
[file]
columns = [{header = "name", field = "filename"}, {header = "what", field = "title"}, {header = "x", text = "1"}]
delimiter = "\\t"
[limits]
title = 40
max_keywords = 10
"""


def test_every_shipped_agency_has_the_header_that_it_takes() -> None:
    assert agencies.names() == tuple(sorted(HEADERS))
    for name, header in HEADERS.items():
        form = agencies.load(name).file
        assert form.delimiter.join(column.header for column in form.columns) == header


@pytest.mark.parametrize("name", agencies.names())
def test_a_shipped_agency_says_where_its_rules_are_from_and_leaves_numbers_to_the_table(name: str) -> None:
    text = (Path(agencies.__file__).parent / "data" / "agencies" / f"{name}.toml").read_text(encoding="utf-8")
    assert agencies.load(name).sources
    assert "[limits]" not in text
    assert text.count("source") >= text.count("\n[") - 1 or name == "iptc"


def test_every_agency_with_limits_can_be_exported_for_and_has_the_limits_of_the_table() -> None:
    known = load_agencies()
    assert set(known) - {"any"} <= set(agencies.names())
    assert agencies.load("adobe").limits == known["adobe"]
    assert agencies.load("adobe", {"adobe": {"title": 60}}).limits.title == 60


def test_categories_are_of_schemes_that_exist() -> None:
    schemes = {scheme.name for scheme in load_schemes()}
    assert {scheme for name in agencies.names() if (scheme := agencies.load(name).scheme)} <= schemes


def test_what_the_largest_agencies_ask_for() -> None:
    adobe, shutterstock = agencies.load("adobe"), agencies.load("shutterstock")
    assert (adobe.file.rows, adobe.file.bytes, adobe.code, adobe.most_categories) == (5000, 1_000_000, True, 1)
    assert "," in adobe.forbidden and adobe.title_words_first and adobe.limits.filename == 30
    assert (shutterstock.megapixels, shutterstock.formats) == (4.0, ("JPEG", "TIFF"))
    assert (shutterstock.least_categories, shutterstock.most_categories, shutterstock.code) == (1, 2, False)
    assert agencies.load("getty").file.rows == 100
    assert (agencies.load("envato").limits.keyword, agencies.load("envato").limits.keywords) == (100, 2048)


def test_a_customers_own_agency_is_a_file_of_the_same_form(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(OWN)
    ours = agencies.load(str(path))
    assert (ours.name, ours.title, ours.file.delimiter) == ("ours", "Ours", "\t")
    assert (ours.limits.title, ours.limits.max_keywords) == (40, 10)
    assert ours.file.columns[2].text == "1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("titel = 'x'", "1: unknown key 'titel'; did you mean 'title'?"),
        ("[file]\nrows = 5", "the file has no columns"),
        ("[file]\ncolumns = [{header = 'a', field = 'filname'}]", "2: 'filname' is none of"),
        ("[file]\ncolumns = [{field = 'filename'}]", "2: a column has no header"),
        ("[file]\ncolumns = [{header = 'a'}]", "2: a column has either a field or a text"),
        ("[file]\ncolumns = [{header = 'a', text = 3}]", "2: text has to be one line of text, not 3"),
        ("[file]\ncolumns = [{header = 'a', field = 'title'}]", "2: no column says which image"),
        ("[file]\ndelimiter = 'xx'\ncolumns = []", "2: 'xx' is none of"),
        ("[file]\nrows = 0\ncolumns = []", "2: rows has to be between 1"),
        ("[texts]\nenglish = 'no'", "2: english has to be true or false, not 'no'"),
        ("[categories]\nleast = 2\nmost = 1", "2: least is more than most"),
        ("[file]\ncolumns = [{header = 'a', field = 'categories'}]\n[categories]\nmost = 1", "no scheme"),
        ("[limits]\nmin_keywords = 9\nmax_keywords = 3", "2: min_keywords is more than max_keywords"),
        ("[editorial]\nform = 'some'", "2: 'some' is none of"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_line_key_and_cause(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(text)
    with pytest.raises(TaxonomyError) as error:
        agencies.load(str(path))
    assert found in str(error.value)
    assert str(error.value).startswith(f"{path}:")


def test_an_agency_that_is_not_known_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match="there are adobe, alamy"):
        agencies.load("adobestock")
    with pytest.raises(TaxonomyError, match="there is no such file"):
        agencies.load(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("name", agencies.names())
def test_the_page_has_a_row_for_each_agency_with_its_numbers(name: str) -> None:
    page = (Path(agencies.__file__).parents[1] / "docs" / "agencies.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    agency = agencies.load(name)
    limits = agency.limits
    given = (limits.title, limits.caption, limits.min_keywords, limits.max_keywords, agency.file.rows)
    numbers = set(re.findall(r"\d+", row.replace(",", "")))
    assert {str(number) for number in given if number is not None} <= numbers
    assert all(f in row for f in agency.formats)
    assert f"{agency.megapixels:g} megapixels" in row or not agency.megapixels
