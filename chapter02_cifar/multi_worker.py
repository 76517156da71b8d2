"""Simulates training on several machines: starts several workers on this one.

    python multi_worker.py -- --name two                    # train.py's demo with two workers
    python multi_worker.py --num_workers 3 -- --name three --max_steps 100 --batch_size 96

The flags after the two dashes are passed to train.py. On real machines, start train.py on each of
them with the same flags, a shared --run_dir, and its own TF_CONFIG, as this script does.

TensorFlow's servers have no authentication, and listen on all network interfaces, here too: whoever
reaches their ports can run operations in these processes. Use them in a private network, or let a
firewall close the ports to all other machines.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from common import cli
from common.errors import exit_status

TRAIN = Path(__file__).resolve().with_name("train.py")


def free_addresses(count: int) -> list[str]:
    """Returns addresses of free ports on localhost."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [f"localhost:{one.getsockname()[1]}" for one in sockets]


def run_workers(num_workers: int, flags: Sequence[str]) -> int:
    """Trains with several workers; if one of them fails, terminates the others.

    The first worker, the chief, writes to the terminal and to the run folder.

    Returns:
        The exit status: 0, or that of the first worker that failed.
    """
    command = [sys.executable, str(TRAIN), "--strategy", "multi_worker", *flags]
    addresses, workers = free_addresses(num_workers), []
    for index in range(num_workers):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"TF_CONFIG": json.dumps(task)}
        output = None if index == 0 else subprocess.DEVNULL
        workers.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
    try:
        while (statuses := [worker.poll() for worker in workers]) != [0] * num_workers:
            if failed := [status for status in statuses if status]:
                return failed[0]
            time.sleep(0.1)
        return 0
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--num_workers", type=cli.small_int, default=2, help="worker processes")
    parser.add_argument("flags", nargs="*", metavar="-- FLAGS", help="flags of train.py")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    statuses = []

    def train() -> None:
        args = build_parser().parse_args(argv)
        statuses.append(run_workers(args.num_workers, args.flags))

    return exit_status(train) or statuses[0]


if __name__ == "__main__":
    raise SystemExit(main())
