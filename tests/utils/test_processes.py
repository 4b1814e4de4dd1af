import select
import subprocess
import sys

import pytest
from support.processes import alive, wait_for

SCRIPT = """
import sys, time
from multiprocessing import get_context

def child(connection, platform):
    sys.platform = platform
    from dexbench.utils.processes import die_with_parent
    die_with_parent()
    connection.send("ready")
    time.sleep(60)

if __name__ == "__main__":
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=child, args=(theirs, sys.argv[1]))
    process.start()
    theirs.close()
    ours.recv()
    print(process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what runs")
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_worker_ends_when_its_parent_is_killed(tmp_path, platform):
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), platform]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        try:
            answered, *_ = select.select([parent.stdout], [], [], 60)
            assert answered, "the child did not start within 60 s"
            worker = int(parent.stdout.readline() or 0)
            assert worker, "the child ended before it was ready"
            assert alive(worker)
        finally:
            parent.kill()
    wait_for(lambda: not alive(worker), 20)
