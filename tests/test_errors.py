"""How scripts end."""

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from common.errors import UserError, exit_status, raise_together, stop_signals, try_each
from common.files import ROOT


def test_outcomes_become_exit_statuses(capsys):
    def press_ctrl_c():
        raise KeyboardInterrupt

    assert exit_status(lambda: {"loss": 0.5}) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"loss": 0.5}
    assert exit_status(press_ctrl_c) == 130
    assert capsys.readouterr() == ("", "interrupted\n")
    with pytest.raises(ZeroDivisionError):
        exit_status(lambda: 1 / 0)
    with pytest.raises(ValueError, match="not JSON compliant"):
        exit_status(lambda: {"loss": float("nan")})
    assert capsys.readouterr().out == ""


def test_one_bad_item_does_not_keep_the_others_from_their_answers(capsys):
    def answer(item):
        if item < 0:
            raise UserError(f"{item} is below 0", "give more")
        print(item)

    def run(*items):
        return exit_status(lambda: raise_together(try_each(answer, items)))

    assert run(1, -2, 3, -4) == 2
    assert capsys.readouterr() == (
        "1\n3\n", "error: -2 is below 0\n       -4 is below 0\nhint: give more\n")
    assert run(1, 3) == 0
    with pytest.raises(ZeroDivisionError):
        try_each(lambda item: 1 / item, [0])


def test_json_has_real_characters(capsys):
    assert exit_status(lambda: {"温度": 0.5}) == 0
    assert capsys.readouterr().out == '{"温度": 0.5}\n'


@pytest.mark.parametrize(("number", "hint"), [
    (errno.ENOSPC, "free some space"), (errno.EROFS, "choose a folder in which you may write"),
    (errno.ENAMETOOLONG, "check the path"), (errno.ENOENT, "check the path"),
])
def test_errors_of_the_file_system_are_told_in_two_lines(number, hint, capsys):
    def fail():
        raise OSError(number, "Broken", "/a/file")

    assert exit_status(fail) == 2
    assert capsys.readouterr() == ("", f"error: cannot use /a/file: Broken\nhint: {hint}\n")


def test_other_operating_system_errors_are_bugs():
    def fail():
        raise OSError(errno.EIO, "Broken")

    with pytest.raises(OSError, match="Broken"):
        exit_status(fail)


def test_what_does_not_fit_into_memory_is_told_in_two_lines(capsys):
    def exhaust():  # what TensorFlow raises for 2**60 bytes, after ten seconds
        raise tf.errors.ResourceExhaustedError(None, None, "OOM allocating shape[9,9]\nTraceback")

    for action, reason in ((lambda: np.zeros(2**60, np.int8), "Unable to allocate 1.00 EiB"),
                           (exhaust, "OOM allocating shape[9,9]")):
        assert exit_status(lambda action=action: action() and None) == 2
        error, hint = capsys.readouterr().err.splitlines()
        assert error.startswith(f"error: not enough memory: {reason}")
        assert hint == "hint: lower the sizes: batches, layers, data"


def run(code, shell, **environment):
    """Runs Python code after `from common.errors import exit_status`, in a shell command."""
    python = shlex.join([sys.executable, "-c", f"from common.errors import exit_status\n{code}"])
    return subprocess.run(["bash", "-c", shell.format(python)], capture_output=True, check=False,
                          env=os.environ | {"PYTHONPATH": str(ROOT)} | environment)


CLOSED = """
import os, sys
def main():
    print("a")
    print("b", file=sys.stderr)
    sys.stdin.read()
    with open("file", "w") as file:
        os.write(2, b"log")
        file.write("whole")
raise SystemExit(exit_status(main))
"""


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&- >&-", "2>&- < /dev/null"])
def test_closed_streams_are_opened_so_that_no_file_gets_their_numbers(tmp_path, closed):
    assert run(CLOSED, f"cd {tmp_path} && {{}} {closed}").returncode == 0
    assert (tmp_path / "file").read_text() == "whole"


@pytest.mark.slow
def test_a_narrow_encoding_does_not_end_a_script():
    done = run('raise SystemExit(exit_status(lambda: print("\u6625")))', "{}",
               PYTHONIOENCODING="latin-1")
    assert done.returncode == 0 and done.stdout == b"\\u6625\n"


def test_a_training_in_a_thread_leaves_signals_alone():
    before, events = signal.getsignal(signal.SIGINT), []

    def train():
        with stop_signals() as stop:
            events.append((stop.is_set(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert events == [(False, before)]


def test_nobody_reads_the_output_any_more():
    code = ("import sys; from common.errors import exit_status; "
            "sys.exit(exit_status(lambda: print('line\\n' * 99999)))")
    with subprocess.Popen([sys.executable, "-c", code], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 141 and "Traceback" not in said and "BrokenPipe" not in said
