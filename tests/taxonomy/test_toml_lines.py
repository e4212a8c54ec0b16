import tomllib

import pytest

from taxonomy.toml_lines import Keys, Lines

TEXT = '''\
# [not.a.table]
top = 1
"quoted key" = "x # no comment"

[keywords]   # a comment with [brackets] and "quotes"
deny = [
  "one",  # "two"
  'two',
  """three""",
]
after.dotted = true
text = """
[fake]
fake = 1
"""
[a."b c"]
d = { e = "f", g = ["h"] }
[[concept]]
id = "x"
[[concept]]
id = "y"
[concept.labels]
ko = "z"
'''


@pytest.mark.parametrize(
    ("keys", "value", "line"),
    [
        (("top",), None, 2),
        (("quoted key",), None, 3),
        (("keywords",), None, 5),
        (("keywords", "deny"), None, 6),
        (("keywords", "deny"), "one", 7),
        (("keywords", "deny"), "two", 8),
        (("keywords", "deny"), "three", 9),
        (("keywords", "deny"), "none", 6),
        (("keywords", "after", "dotted"), None, 11),
        (("keywords", "text"), None, 12),
        (("a", "b c", "d"), None, 17),
        (("a", "b c", "d", "e"), "f", 17),
        (("concept", 0, "id"), None, 19),
        (("concept", 1), None, 20),
        (("concept", 1, "id"), None, 21),
        (("concept", 1, "labels", "ko"), None, 23),
        (("concept", 1, "label"), None, 20),
        (("absent",), None, 1),
    ],
)
def test_where_keys_and_values_stand(keys: Keys, value: str | None, line: int) -> None:
    tomllib.loads(TEXT)
    assert Lines(TEXT).line(keys, value) == line
    assert Lines(TEXT.replace("\n", "\r\n")).line(keys, value) == line
