"""What is wrong with a policy file, told with line, cause and what to do."""

from pathlib import Path

import pytest

from taxonomy.concepts import PERSONAL, TIERS, TaxonomyError
from taxonomy.policy_file import TABLES, load
from tests.taxonomy.policies import SCREEN, SMALL, problems


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "[keywords\n",
            "1: not TOML: Expected ']' at the end of a table declaration; see https://toml.io for its rules",
        ),
        ("\nmax = \n", "2: not TOML: Invalid value; see https://toml.io for its rules"),
        ("x = [1", "1: not TOML: Unclosed array; see https://toml.io for its rules"),
        ("\n[keyword]", "2: unknown table 'keyword'; did you mean 'keywords'"),
        ("max = 3", f"1: unknown key 'max'; there are {', '.join(TABLES)}"),
        ("[keywords]\n\ndny = []", "3: unknown key 'dny'; did you mean 'deny'?"),
        ("keywords = 3", "1: keywords has to be a table, not 3"),
        ('[keywords]\nmax = "ten"', "2: max has to be a whole number, not 'ten'"),
        ("[keywords]\nmax = true", "2: max has to be a whole number, not True"),
        ("[keywords]\nmax = 0", "2: max has to be between 1 and 1000, not 0"),
        ("[keywords]\nmin = 60", "2: min is 60 and more than max, 49; lower it, or raise max"),
        ("[keywords]\nmin_score = nan", "2: min_score has to be finite, not nan"),
        ('[keywords]\nlanguages = ["kor"]', "2: 'kor' is none of en, ko; did you mean 'ko'?"),
        ("[keywords]\nlanguages = [1]", "2: languages has to be a list of texts, and 1 is none"),
        ('[keywords]\nspelling = "britsh"', "2: 'britsh' is none of american, british; did you mean 'british'?"),
        ('[keywords]\ntiers = ["D"]', f"2: 'D' is none of {', '.join(TIERS)}"),
        (
            "[keywords]\npersonal = 1",
            f"2: personal has to be true, false or a list of {', '.join(sorted(PERSONAL))}, not 1",
        ),
        (
            '[keywords]\ndeny = [\n"dog",\n"weapn",\n]',
            "4: 'weapn' is no word of the vocabulary; did you mean 'weapon'?",
        ),
        ('[keywords]\nallow = [""]', "2: allow has to be one line of text, not ''"),
        ('[prefer]\ndoog = "x"', "2: 'doog' is no word of the vocabulary; did you mean 'dog' or 'dogs' or 'doggy'?"),
        ('[prefer]\ncrane = "x"', "2: 'crane' means several concepts; write one of 'crane (bird)', 'crane (machine)'"),
        ('[prefer]\ndog = "a"\ndogs = "b"', "3: 'dog' has a preferred label already; keep one of the two"),
        ("[prefer]\ndog = 3", "2: dog has to be text, not 3"),
        ('[prefer.fr]\ndog = "chien"', "1: no language 'fr'; there are en, ko"),
        ("[synonyms]\ndog = 'mutt'", "2: dog has to be a list, not 'mutt'"),
        ('[[concept]]\nlabel = "x"', "1: a concept has no id; add one under [[concept]]"),
        ('[[concept]]\nid = "a:x"', "1: a concept has no label; add one under [[concept]]"),
        ('[concept]\nid = "a:x"', "1: concept has to be a list, not {'id': 'a:x'}"),
        ('[[concept]]\nid = "w:dog"\nlabel = "x"', "2: the id 'w:dog' is there already; take another"),
        (
            '[[concept]]\nid = "dog"\nlabel = "x"',
            "2: 'dog' is no id; write a prefix of your own, a colon and a name, as in acme:lamp",
        ),
        (
            '[[concept]]\nid = "sm:x"\nlabel = "x"',
            "2: ids with wn30: and sm: belong to the shipped vocabulary; take another prefix",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "dog"',
            "3: 'dog' is a concept already (w:dog); give this one a hint, or add words to that one under [synonyms]",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "x"\nparent = "anmal"',
            "4: the parent 'anmal' is no word of the vocabulary; did you mean 'animal'?",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "x"\nparent = "a:x"',
            "4: 'x' is its own parent, by way of others; break the circle",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "x"\nflags = ["personal:genre"]',
            "4: 'personal:genre' is none of ",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "x"\nlabels = { en = "y" }',
            "4: English is the concepts' own language; use `label`, [prefer] or [synonyms]",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "Nike shoe"',
            "3: 'Nike shoe' cannot be a keyword: 'nike' is a brand name; use another word, or put it into `allow`",
        ),
        (
            '[prefer.ko]\ndog = "나이키"',
            "2: '나이키' cannot be a keyword: '나이키' is a brand name; use another word, or put it into `allow`",
        ),
        (
            '[languages]\nfr = "no.tsv"',
            "2: the label file 'no.tsv' cannot be read: No such file or directory; see that it is",
        ),
        ('[languages]\nFrench = "x"', "2: 'French' is no code of a language; write one as in fr or pt-BR"),
        ("[agency.adob]", "1: unknown table 'adob'; did you mean 'adobe'?"),
        ("[agency.adobe]\nmax = 3", "2: unknown key 'max'"),
        (
            "[agency.shutterstock]\nmax_keywords = 3",
            "2: shutterstock would take at least 7 and at most 3 keywords; set both so that the first is not more",
        ),
        ("[review]\nmatur = 1", "2: unknown key 'matur'; did you mean 'mature'?"),
        ("[review]\ntext = 2", "2: text has to be between 0 and 1, not 2"),
        ('[review]\ntext = "on"', "2: text has to be a threshold between 0 and 1, or \"off\", not 'on'"),
        (
            '[calibration]\nfile = "no.json"',
            "2: there is no file 'no.json' beside the policy; make it with `stockmeta calibrate`",
        ),
    ],
)
def test_an_error_has_file_line_cause_and_what_to_do(path: Path, text: str, found: str) -> None:
    (problem,) = problems(path, text)
    assert problem.startswith(found)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(path: Path) -> None:
    text = '[keywords]\nmax = 0\ndeny = ["doog"]\n[[concept]]\nlabel = "Nike"\n[x]\n'
    found = problems(path, text)
    assert [problem.partition(":")[0] for problem in found] == ["2", "3", "4", "5", "6"]


def test_a_child_of_a_wrong_concept_is_no_problem_of_its_own(path: Path) -> None:
    text = """
[[concept]]
id = "a:one"
label = "one"
parent = "nowhere"
[[concept]]
id = "a:two"
label = "two"
parent = "one"
[[concept]]
id = "a:b"
label = "b"
parent = "c"
[[concept]]
id = "a:c"
label = "c"
parent = "b"
[[concept]]
id = "a:d"
label = "d"
parent = "c"
"""
    assert [problem.partition(":")[0] for problem in problems(path, text)] == ["5", "13", "17"]


def test_label_files_are_checked_too(path: Path) -> None:
    labels = path.parent / "fr.tsv"
    labels.write_text("id\tlabel\nw:dgo\tchien\n", encoding="utf-8")
    (unknown,) = problems(path, '[languages]\nfr = "fr.tsv"')
    assert "has 1 ids that no concept has, such as 'w:dgo'; did you mean 'w:dog'" in unknown
    labels.write_text("id\tname\nw:dog\tchien\n", encoding="utf-8")
    (wrong,) = problems(path, '[languages]\nfr = "fr.tsv"')
    assert "unknown column 'name'" in wrong
    labels.write_bytes(b"id\tlabel\nw:dog\t\xff\n")
    (binary,) = problems(path, '[languages]\nfr = "fr.tsv"')
    assert "not UTF-8" in binary


def test_a_file_that_cannot_be_read(path: Path) -> None:
    with pytest.raises(TaxonomyError, match=r"policy.toml: No such file or directory; name a policy file"):
        load(path, SMALL, SCREEN)
    path.write_bytes(b"# \n\xff")
    with pytest.raises(TaxonomyError, match=r":2: not UTF-8 at byte 3; save the file as UTF-8"):
        load(path, SMALL, SCREEN)
    path.write_bytes(b"\xef\xbb\xbf[keywords]\r\nmax = 3\r\n")
    assert load(path, SMALL, SCREEN).max_keywords == 3
