"""Policy files against a small vocabulary: what tests of several parts share."""

from pathlib import Path

import pytest

from taxonomy.concepts import TaxonomyError
from taxonomy.policy import Policy
from taxonomy.policy_file import load
from taxonomy.words import Screen, Word
from tests.taxonomy.small import small

SMALL = small()
SCREEN = Screen(
    {
        "nike": Word("block", "a brand name"),
        "나이키": Word("block", "a brand name"),
        "apple": Word("review", "an ordinary word or a brand name"),
    }
)


def read(path: Path, text: str) -> Policy:
    path.write_text(text, encoding="utf-8")
    return load(path, SMALL, SCREEN)


def problems(path: Path, text: str) -> list[str]:
    with pytest.raises(TaxonomyError) as caught:
        read(path, text)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]
