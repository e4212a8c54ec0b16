"""The report of a bulk run: its JSON, its page, and what it says is to be done."""

import json
import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tasks.bulk.cost import Pace, Prices, estimate
from tasks.bulk.results import Counts, Kept, Result, Unfinished
from tasks.errors import ConfigurationError, Reason
from tasks.traffic import Traffic
from tests.conftest import REPOSITORY
from worker.bulk.advice import OUTCOMES, REASONS, advice, next_steps
from worker.bulk.report import SCHEMA, Report, render, size, usd, write

FOUND = Counts(images=300, current=100, missing=200, orphans=2, sent=200, bytes=10**9, records=100, complete=True)
CURRENT = Counts(images=300, current=300, complete=True)
LEFT = Counts(images=300, current=290, terminal=10, complete=True)
HOSTILE = "<script>alert(1)</script>&\"'\n\x1b사진.jpg"
RESULT = Result(
    run="abc",
    library="s3://photos",
    generation="0123456789ab",
    started=1_790_000_000.0,
    ended=1_790_000_100.0,
    passes=(FOUND, LEFT),
    outcomes={"tagged": 189, "rejected/truncated": 10, "failed/vanished": 1},
    removed=2,
    converged=True,
    requests=Traffic(get=800, head=400, put=200, read=10**9, written=600_000).to_counts(),
    unfinished=(Unfinished(HOSTILE, "rejected", "truncated", HOSTILE),),
)
REPORT = Report(RESULT, Traffic(list=20, read=5_000))


class Page(HTMLParser):
    """What a browser would make of it: elements, addresses, and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_the_report_is_one_line_of_json() -> None:
    line = REPORT.to_json()
    assert "\n" not in line
    said = json.loads(line)
    assert said["schema"] == SCHEMA
    assert said["started"] == "2026-09-21T14:13:20+00:00"
    assert (said["seconds"], said["worked_on"], said["without_metadata"], said["per_second"]) == (100.0, 200, 10, 2.0)
    assert said["requests"]["work"]["requests:get"] == 800
    assert said["requests"]["listing"] == {"requests:list": 20, "bytes:read": 5_000}
    assert said["per_image"] == {
        "requests:get": 4.0,
        "requests:head": 2.0,
        "requests:put": 1.0,
        "bytes:read": 5_000_000.0,
        "bytes:written": 3_000.0,
    }
    assert said["dollars"] == pytest.approx(0.02 * 0.005 + 1.2 * 0.0004 + 0.2 * 0.005)
    assert said["passes"][1]["terminal"] == 10
    assert said["unfinished"][0]["key"] == HOSTILE


def test_every_field_is_documented() -> None:
    page = (REPOSITORY / "docs" / "backfill.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([a-z_]+)`", page))
    assert set(REPORT.to_dict()) <= documented
    assert {field.name for field in fields(Counts)} <= documented
    assert SCHEMA in page


def test_the_page_needs_no_network_and_obeys_nobody() -> None:
    html = render(REPORT)
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "form"} & set(page.tags)
    assert not page.addresses
    assert "url(" not in html
    assert "@import" not in html
    assert page.text.count("<script>alert(1)</script>") == 2, "as text"
    assert "prefers-color-scheme: dark" in html


def test_the_page_says_what_the_json_says() -> None:
    text = " ".join(Page(render(REPORT)).text.split())
    for part in (
        "Backfill of s3://photos",
        "2026-09-21 14:13:20 UTC",
        "Complete: the last listing found nothing to do.",
        "300 images listed",
        "200 worked on, 10 without metadata",
        "rejected/truncated 10 The file ends too early",
        "docs/commands/failed.md",
        "removed 2",
        "GET 0 800 4.000",
        "bytes read 5 kB 1 GB 5 MB",
        "stockmeta backfill s3://photos --only failed",
        "the first 1 of 10",
    ):
        assert part in text, part


def test_the_page_of_a_dry_run_says_where_the_numbers_come_from() -> None:
    counts = replace(FOUND, requests={"requests:list": 4})
    said = estimate(counts, "tag", prices=Prices(), pace=Pace(4.0, "as 2 live workers say"))
    dry = replace(RESULT, passes=(counts,), outcomes={}, requests={}, unfinished=(), dry_run=True, converged=False)
    report = Report(dry, Traffic(list=4), estimate=said)
    text = " ".join(Page(render(report)).text.split())
    assert "Dry run: nothing was sent." in text
    assert "200 to be worked on, 1 GB" in text
    assert "50 s estimated time" in text
    assert "as 2 live workers say" in text
    assert json.loads(report.to_json())["estimate"]["images"] == 200
    assert "What became of the images" not in text


def test_a_run_of_nothing_is_a_report_too() -> None:
    empty = Report(Result("r", "photos", None, 1.0, 1.0, ()))
    assert json.loads(empty.to_json())["per_image"] == {}
    assert "None: a folder has no requests." in render(empty)


@pytest.mark.parametrize("name", ["report.json", "report.html"])
def test_a_folder_gets_both(tmp_path: Path, name: str) -> None:
    paths = write(REPORT, tmp_path / "deep" / "report")
    assert tmp_path / "deep" / "report" / name in paths
    assert json.loads(paths[0].read_text(encoding="utf-8")) == REPORT.to_dict() | {
        "passes": json.loads(json.dumps(REPORT.to_dict()["passes"])),
        "unfinished": json.loads(json.dumps(REPORT.to_dict()["unfinished"])),
        "kept": [],
        "notes": [],
    }


def test_a_folder_that_cannot_be_written_is_the_operators_matter(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--report"):
        write(REPORT, tmp_path / "file" / "report")


def test_every_reason_has_advice_and_its_page_exists() -> None:
    assert set(REASONS) == set(Reason)
    for said in [*REASONS.values(), *OUTCOMES.values()]:
        assert (REPOSITORY / said.page).exists(), said.page
    assert advice("rejected/truncated") is REASONS[Reason.TRUNCATED]
    assert advice("empty/no_evidence") is OUTCOMES["empty"]
    assert "failed show" in advice("failed/of_a_later_version").text


STEPS = {
    "all is done": (replace(RESULT, outcomes={}, passes=(CURRENT,)), ["Nothing is to be done."]),
    "there was no image": (replace(RESULT, outcomes={}, passes=(Counts(complete=True),)), ["No image was found"]),
    "some were rejected": (RESULT, ["stockmeta failed list --library s3://photos"]),
    "it was interrupted": (replace(RESULT, interrupted=True, converged=False), ["goes on where", "failed list"]),
    "it may not be complete": (replace(RESULT, converged=False, outcomes={}, passes=(FOUND,)), ["again until"]),
    "a re-score left some to a backfill": (
        replace(RESULT, converged=False, outcomes={}, passes=(Counts(images=9, missing=2, unstored=2, complete=True),)),
        ["Of 2 images nothing is stored"],
    ),
    "some did not end": (replace(RESULT, not_ended=5, outcomes={}, passes=(FOUND,)), ["5 images were sent"]),
    "too many orphans": (
        replace(RESULT, kept=(Kept("too_many", 9),), outcomes={}, passes=(FOUND,)),
        ["--max-orphans"],
    ),
    "a dry run with something to do": (replace(RESULT, dry_run=True, passes=(FOUND,)), ["200 images"]),
    "a dry run with nothing to do": (replace(RESULT, dry_run=True, passes=(LEFT,)), ["Nothing is to be done."]),
    "a name that a shell would take apart": (replace(RESULT, library="my photos"), ["--library 'my photos'"]),
}


@pytest.mark.parametrize(("result", "said"), STEPS.values(), ids=STEPS)
def test_what_to_do_next(result: Result, said: list[str]) -> None:
    steps = next_steps(result)
    assert len(steps) == len(said)
    for step, part in zip(steps, said, strict=True):
        assert part in step


def test_sizes_and_dollars_are_readable() -> None:
    assert [size(count) for count in (0, 999, 1000, 3_259, 10**9, 10**15, 2.5 * 10**18)] == [
        *("0 bytes", "999 bytes", "1 kB", "3.26 kB", "1 GB", "1 PB", "2,500 PB")
    ]
    assert [usd(dollars) for dollars in (0, 0.0016, 0.84, 1234.5)] == [
        "0.00 USD",
        "0.0016 USD",
        "0.84 USD",
        "1,234.50 USD",
    ]
