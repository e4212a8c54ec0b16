"""Events that come often, late and from hostile hands. Rows 22, 24 and 30."""

import json
import re
from pathlib import Path

import httpx
import pytest

from tasks.layout import OUTPUT_ROOT
from tasks.messages import TASK, UPLOADS
from tests.faults.conftest import StageOn
from tests.faults.photographs import photograph, with_xmp
from tests.faults.stage import Oracle, Stage
from tests.faults.store_events import HEADERS, SECRET, event, listening, post
from tests.servers import free_ports, seaweed_server

ODD = (
    "new\nline.jpg",
    "\x1b[31mred\x1b[0m.jpg",
    '", "level": "critical", "x": ".jpg',
    "<!--&lt;script>.jpg",
    "a+b c%2Fd.jpg",
    "done/failed/current.json.jpg",
    "--help.jpg",
    "녹색/사진.jpg",
    "/".join(["x" * 200] * 4) + ".jpg",
)
IMPOSSIBLE = (
    *("../../etc/passwd.jpg", "a/../b.jpg", "\ud800.jpg", "y" * 2000 + ".jpg", "nul\0.jpg", ""),
    f"{OUTPUT_ROOT}x.jpg",
)
GARBAGE = (b"[]", b"{", b'{"Records": 5}', b"\xff\xfe", b'{"Records": [null, 1, {"s3": {"object": {"key": 5}}}]}')
NONSENSE: tuple[tuple[object, ...], ...] = (
    (),
    (None,),
    ({},),
    ("text",),
    ({"v": 1, "refs": [{"bucket": 1}]},),
    ({"v": 1, "refs": []}, "one too many"),
)
LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">
<!ENTITY e SYSTEM "file:///etc/passwd">]>
<x:xmpmeta xmlns:x="adobe:ns:meta/">&d;&e;</x:xmpmeta>"""


@pytest.mark.row("22", "events ten times each, and shuffled")
def test_duplicate_and_shuffled_events_give_one_result(stage: Stage) -> None:
    keys = stage.upload(30)
    worker = stage.worker()
    # The last two speak of what is no longer so: the bucket decides.
    events = [event(stage, key) for key in keys for _ in range(10)]
    events += [event(stage, key, "ObjectRemoved:Delete") for key in keys[:5]]
    events += [event(stage, f"never-{key}") for key in keys[:5]]
    stage.chance.shuffle(events)
    with listening(stage) as address:
        for start in range(0, len(events), 7):
            assert post(address, events[start : start + 7]) == 200
        assert stage.settle(60).done == len(keys)
        before, works = stage.paths(), worker.text().count("committed as tagged")
        stage.chance.shuffle(events)
        for start in range(0, len(events), 13):
            assert post(address, events[start : start + 13]) == 200
        assert stage.settle(60).done == len(keys)
    # Not written again, and not worked on again.
    assert stage.paths() == before
    assert worker.text().count("committed as tagged") == works
    stage.notes.append(f"{len(events) * 2} events, {works} passes through the model")


@pytest.mark.row("24", "own outputs raise events")
def test_own_outputs_make_no_work(tmp_path: Path, stage_on: StageOn, oracle: Oracle) -> None:
    (port,) = free_ports(1)
    name = "WEED_NOTIFICATION_WEBHOOK"
    tells = {f"{name}_ENABLED": "true", f"{name}_ENDPOINT": f"http://127.0.0.1:{port}/", f"{name}_BEARER_TOKEN": SECRET}
    folder = tmp_path / "weed"
    folder.mkdir()
    with seaweed_server(folder, environment=tells) as store, stage_on(store, oracle) as made:
        worker = made.worker()
        with listening(made, port):
            keys = made.upload(12)
            assert made.settle(40).done == len(keys)
            outputs = list(made.paths())
        told = re.search(r"stopped: (\d+) images sent .*?(\d+) own_output", made.programs[-1].text())
        assert told, made.programs[-1].text()
        # Every sidecar was told of, and none became work.
        assert int(told[2]) >= len(outputs)
        assert int(told[1]) == len(keys)
        # Nor if somebody names them in a message.
        made.publish(outputs)
        made.settle(30)
        assert "committed as" not in worker.text().rpartition(outputs[0])[2]


@pytest.mark.row("30", "hostile keys, messages and XMP")
def test_hostile_keys_are_escaped_and_confined(stage: Stage) -> None:
    for key in ODD:
        stage.put(key)
    stage.put("laughs.jpg", with_xmp(photograph(7), LAUGHS))
    worker = stage.worker(LOG_FORMAT="json")
    with listening(stage, LOG_FORMAT="json") as address:
        assert post(address, [event(stage, key) for key in stage.uploaded]) == 200
        for key in IMPOSSIBLE:
            assert post(address, [event(stage, key)]) == 200
        for body in GARBAGE:
            assert httpx.post(address, content=body, headers=HEADERS).status_code in (200, 400)
    for nonsense in NONSENSE:
        stage.sender.send_task(TASK, args=nonsense, queue=UPLOADS)
    stage.sender.send_task("no.such.task", queue=UPLOADS)
    assert stage.settle(60).done == len(ODD) + 1
    assert worker.alive
    for program in stage.programs:
        for line in program.log.read_text(encoding="utf-8").splitlines():
            assert "\x1b" not in line
            assert '"level": "critical"' not in line or json.loads(line)["level"] != "critical"
            # No key makes a line of its own: whatever is a line is a whole object, or the interpreter's own words.
            assert not line.startswith("line.jpg")
