"""One thing that an agency would refuse about one image."""

from dataclasses import dataclass

SHOWN = 80
"""Characters of a value that a report quotes."""

RULES = {
    "record": "the sidecar cannot be read, or what people decided cannot",
    "source_replaced": "with --check-source: the image was replaced since it was tagged",
    "source_vanished": "with --check-source: the image is gone",
    "filename_length": "the file's name is too long",
    "filename_twice": "another image of the export has the same file name",
    "format": "the agency does not take the file's format",
    "too_small": "the picture has too few megapixels",
    "flag_mature": "it seems to show mature content, and the agency's file has no column for that",
    "flag_minor": "it seems to show a recognisable child, and is not editorial",
    "flag_brand": "it seems to show a brand or logo, and is not editorial",
    "flag_text": "it seems to have a watermark or writing on it",
    "editorial_date": "editorial: the file does not say when it was taken, or says what cannot be",
    "editorial_place": "editorial: the file does not say where it was taken",
    "editorial_length": "editorial: with date and place the caption is too long",
    "title_missing": "there is no title",
    "title_length": "the title is too long or too short",
    "title_words": "the title has too few words",
    "title_list": "the title is a list of keywords",
    "title_characters": "the title has characters that the agency does not take",
    "caption_missing": "there is no caption",
    "caption_length": "the caption is too long",
    "caption_words": "the caption has too few words",
    "caption_list": "the caption is a list of keywords",
    "address": "a text has a web or e-mail address",
    "camera": "a text has data of the camera",
    "language": "a text or keyword is not in English letters",
    "brand": "a text or keyword has a brand name, and the picture is not editorial",
    "blocked_word": "a text or keyword has an offensive word, or one that the policy blocks",
    "control_characters": "a cell has control characters",
    "formula": "a cell begins as a formula does in a spreadsheet",
    "keywords_few": "there are too few keywords",
    "keywords_many": "there are too many keywords",
    "keywords_length": "all keywords together are too long",
    "keyword_empty": "a keyword is empty",
    "keyword_twice": "a keyword is there twice",
    "keyword_separator": "a keyword has the character that separates keywords",
    "keyword_phrase": "a keyword has several words, and the agency takes single ones",
    "keyword_case": "a keyword has capitals, and the agency takes none",
    "keyword_length": "a keyword is too long",
    "category_missing": "there are too few categories",
    "categories_many": "there are too many categories",
}
"""Every rule by its id, which is stable: `--allow` and reports name it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule that is broken.

    Attributes:
        rule: its id, one of `RULES`.
        field: what of the image breaks it, such as `title`.
        value: what stands there, cut short.
        reason: what the agency would say.
        remedy: what to do.
    """

    rule: str
    field: str
    value: str
    reason: str
    remedy: str


def refusal(rule: str, field: str, value: str, reason: str, remedy: str) -> Refusal:
    """A refusal with its value cut short."""
    assert rule in RULES, rule
    return Refusal(rule, field, value if len(value) <= SHOWN else f"{value[: SHOWN - 1]}…", reason, remedy)
