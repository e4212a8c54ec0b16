"""The servers that other tests rely on."""

import pytest

from tests.servers import Server

pytestmark = pytest.mark.integration


@pytest.fixture(params=["seaweed", "moto_server"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def test_each_bucket_is_a_new_one(server: Server) -> None:
    client, first, second = server.s3(), server.make_bucket(), server.make_bucket()
    client.put_object(Bucket=first, Key="a", Body=b"1")
    assert client.list_objects_v2(Bucket=first)["KeyCount"] == 1
    assert client.list_objects_v2(Bucket=second)["KeyCount"] == 0
    client.close()


def test_moto_has_queues(moto_server: Server) -> None:
    client = moto_server.sqs()
    url = client.create_queue(QueueName="events")["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="{}")
    assert [message["Body"] for message in client.receive_message(QueueUrl=url)["Messages"]] == ["{}"]
    client.close()
