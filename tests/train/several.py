"""Start a program as two processes, and leave none behind."""

import os
import subprocess
import sys


def two_processes(*arguments: object, seconds: float = 500) -> str:
    """Run what torchrun is given as two processes on this machine; return what they printed."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    program = subprocess.Popen(
        [*torchrun, "--nproc-per-node", "2", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        printed, complained = program.communicate(timeout=seconds)
    finally:
        if program.poll() is None:
            program.terminate()  # torchrun ends its processes then; killed, it would leave them
            program.communicate()
    assert program.returncode == 0, complained
    return printed
