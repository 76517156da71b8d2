"""How scripts end."""

import errno
import json
import subprocess
import sys

import pytest

from common.errors import exit_status


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


@pytest.mark.parametrize(("number", "hint"), [
    (errno.ENOSPC, "free some space"), (errno.EACCES, "write to another folder"),
    (errno.EIO, None),
])
def test_only_a_full_disk_and_a_bad_path_are_mistakes_of_the_user(number, hint, capsys):
    def fail():
        raise OSError(number, "Broken", "/a/file")

    if hint is None:
        with pytest.raises(OSError, match="Broken"):
            exit_status(fail)
    else:
        assert exit_status(fail) == 2
        assert capsys.readouterr() == (
            "", f"error: cannot write /a/file: Broken\nhint: {hint}\n")


def test_nobody_reads_the_output_any_more():
    code = ("import sys; from common.errors import exit_status; "
            "sys.exit(exit_status(lambda: print('line\\n' * 99999)))")
    with subprocess.Popen([sys.executable, "-c", code], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 141 and "Traceback" not in said and "BrokenPipe" not in said
