"""Two processes of one run, numbered as a launcher numbers them, forked from the test so that nothing is imported again."""

import multiprocessing
import os
import socket
import sys
import traceback

import cv2

from vfm_isrefiner.training.errors import StoppedBySignal

JOINED = 240  # seconds after which a process that has not ended is taken to hang


def in_ranks(function, *args, world=2, **environment):
    """`function(rank, *args)` in `world` processes; their exit codes, -9 for one that was killed, None for one that hangs.

    A stop by signal ends with its own status, as on the command line; any other exception with 1 and its trace on stderr.
    """
    context = multiprocessing.get_context("fork")
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(world), "NODE_RANK": "0"}
    processes = [
        context.Process(target=_rank, args=(rank, common | environment, function, args), daemon=True) for rank in range(world)
    ]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # its pool of threads does not outlive a fork
    for process in processes:
        process.start()
    cv2.setNumThreads(threads)
    for process in processes:
        process.join(JOINED)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _rank(rank, environment, function, args):
    os.environ.update(environment, RANK=str(rank), LOCAL_RANK=str(rank))
    code = 0
    try:
        function(rank, *args)
    except StoppedBySignal as stop:
        code = stop.exit_code
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # what the tests' own process would do at its end is not for a fork of it
