import pytest

from tasks.errors import ConfigurationError
from worker.events.sqs import Address, address

WRONG = ["", "uploads", "arn:aws:sqs:eu-west-1:123:q", "https://", "https://host", "https://host/", "ftp://host/q"]


@pytest.mark.parametrize(
    ("url", "endpoint", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123/q", "https://sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123/q", "https://sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        (
            "https://vpce-1a-2b.sqs.us-east-1.vpce.amazonaws.com/123/q",
            "https://vpce-1a-2b.sqs.us-east-1.vpce.amazonaws.com",
            "us-east-1",
        ),
        ("http://127.0.0.1:7550/123/q", "http://127.0.0.1:7550", None),
        ("https://sqs.eu-west-1.amazonaws.com.evil/1/q", "https://sqs.eu-west-1.amazonaws.com.evil", None),
    ],
)
def test_a_queues_url_tells_endpoint_and_region(url: str, endpoint: str, region: str | None) -> None:
    assert address(url) == Address(endpoint, region)


@pytest.mark.parametrize("url", WRONG)
def test_what_is_no_url_of_a_queue_is_said(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the URL of a queue"):
        address(url)
