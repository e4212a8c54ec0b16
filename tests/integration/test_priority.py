"""What the kernel makes of a niced process that leads a session."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from worker.priority import AUTOGROUP

SHOW = f"from worker.priority import follow_nice; follow_nice(); print(open({str(AUTOGROUP)!r}).read())"
needs_autogroup = pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel has no autogroups")


@needs_autogroup
@pytest.mark.parametrize(
    ("nice", "leads", "weight"), [(19, True, "nice 19"), (0, True, "nice 0"), (7, False, "nice 0")]
)
def test_a_session_of_its_own_is_as_nice_as_its_leader(nice: int, leads: bool, weight: str) -> None:
    command = ["nice", "-n", str(nice), sys.executable, "-c", SHOW]
    # A leader that is not niced, whose session the other then belongs to.
    command = command if leads else ["sh", "-c", '"$@"; exit $?', "sh", *command]
    told = subprocess.run(
        command, cwd=REPOSITORY, start_new_session=True, capture_output=True, text=True, check=True, timeout=30
    )
    assert told.stdout.strip().endswith(weight)


def test_where_there_are_no_autogroups_nothing_happens() -> None:
    code = "import os; from pathlib import Path; from worker.priority import follow_nice; os.nice(3); "
    code += "follow_nice(Path('/nowhere/at/all'))"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, start_new_session=True, check=True, timeout=30)
