"""Pages of listings: read as boto3 reads them, and nothing else taken for one."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from tasks.errors import Unavailable
from tasks.ports import Stat
from worker.storage.s3_lean import LeanRequests
from worker.storage.s3_listing import Listings
from worker.storage.s3_page import Page, of_response, parse

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
OBJECT = (
    "<Contents><Key>{}</Key><LastModified>2026-11-22T14:27:35.000Z</LastModified><ETag>&#34;ab&#34;</ETag>"
    "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
MODIFIED = 1795357655.0


def page(*parts: str, truncated: str = "false", head: str = HEAD) -> bytes:
    return f"{head}<Name>b</Name><IsTruncated>{truncated}</IsTruncated>{''.join(parts)}</ListBucketResult>".encode()


def stat(key: str) -> Stat:
    return Stat(key, '"ab"', 7, MODIFIED)


def test_a_page_is_read() -> None:
    body = page(
        OBJECT.format("a%0Ab+c%2B%ED%95%9C.jpg"),
        OBJECT.format("z.jpg"),
        "<CommonPrefixes><Prefix>a+b/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>",
        "<EncodingType>url</EncodingType><NextContinuationToken>a+%2F</NextContinuationToken>",
        truncated="true",
    )
    assert parse(body) == Page([stat("a\nb c+한.jpg"), stat("z.jpg")], ["a b/", "c/"], True, "a+%2F")


def test_a_store_that_does_not_encode_keys_is_taken_at_its_word() -> None:
    assert parse(page(OBJECT.format("a+b%20c.jpg"))) == Page([stat("a+b%20c.jpg")], [], False, None)


def test_a_store_without_a_namespace() -> None:
    assert parse(page(OBJECT.format("a.jpg"), head="<ListBucketResult>")) == Page([stat("a.jpg")], [], False, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Please log in</body></html>",
        page(OBJECT.format("a.jpg"))[:-9],
        page().replace(b"IsTruncated", b"Truncated"),
        page(truncated="perhaps"),
        page().replace(b"ListBucketResult", b"ListAllMyBucketsResult"),
        page(OBJECT.format("")),
        page(OBJECT.format("a.jpg").replace("<Size>7</Size>", "")),
        page(OBJECT.format("a.jpg").replace("2026", "soon")),
    ],
)
def test_what_is_no_page_is_left_to_boto3(body: bytes) -> None:
    assert parse(body) is None


def test_a_page_of_boto3_s() -> None:
    item = {"Key": "a b", "ETag": '"ab"', "Size": 7, "LastModified": "2026-11-22T14:27:35Z"}
    response = {"IsTruncated": True, "Contents": [item], "CommonPrefixes": [{"Prefix": "c/"}]}
    assert of_response(response | {"NextContinuationToken": "t"}) == Page([stat("a b")], ["c/"], True, "t")


class Answers:
    """Pages in turn, for the short way and for boto3."""

    def __init__(self, lean: list[bytes | None], boto3: list[Any]) -> None:
        self.pages, self.boto3 = iter(lean), iter(boto3)
        self.asked: list[Mapping[str, str]] = []

    def list(self, parameters: Mapping[str, str]) -> bytes | None:
        self.asked.append(parameters)
        return next(self.pages)

    def listings(self) -> Listings:
        return Listings("b", lambda: cast("LeanRequests", self), lambda *_, **__: next(self.boto3))


def token(name: str) -> str:
    return f"<NextContinuationToken>{name}</NextContinuationToken>"


def test_pages_follow_one_another_whoever_gives_them() -> None:
    item = {"Key": "b", "ETag": '"ab"', "Size": 7, "LastModified": "2026-11-22T14:27:35Z"}
    more = {"IsTruncated": True, "Contents": [item], "NextContinuationToken": "2"}
    answers = Answers([page(OBJECT.format("a"), token("1"), truncated="true"), None, page(OBJECT.format("c"))], [more])
    assert list(answers.listings().objects("", "")) == [stat("a"), stat("b"), stat("c")]
    assert [given.get("ContinuationToken") for given in answers.asked] == [None, "1", "2"]


@pytest.mark.parametrize("following", ["", token("1")])
def test_a_listing_that_does_not_say_how_to_go_on_is_an_error(following: str) -> None:
    first = page(OBJECT.format("a"), token("1"), truncated="true")
    answers = Answers([first, page(OBJECT.format("b"), following, truncated="true")], [])
    with pytest.raises(Unavailable, match="broke off"):
        list(answers.listings().objects("", ""))


def test_an_answer_of_no_store_is_an_error() -> None:
    with pytest.raises(Unavailable, match="no store"):
        list(Answers([None], [{"IsTruncated": False, "Contents": [{"Key": "a"}]}]).listings().objects("", ""))


def test_what_is_left_out_is_not_read_page_by_page() -> None:
    answers = Answers(
        [
            page(OBJECT.format("a"), OBJECT.format("m/1"), token("1"), truncated="true"),
            page(OBJECT.format("z"), OBJECT.format("zz")),
        ],
        [],
    )
    assert list(answers.listings().objects("", "m/")) == [stat("a"), stat("z"), stat("zz")]
    assert [given.get("StartAfter") for given in answers.asked] == [None, "m/\U0010ffff"]
    assert "ContinuationToken" not in answers.asked[1]
