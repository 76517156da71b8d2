"""Command lines and run folders that nobody should have: two lines and status 2, no traceback.

The cases are a seeded sample; other seeds try others: `DL21_SEED=7 pytest tests/test_hostile.py`.
"""

import argparse
import importlib
import json
import os
import random
import shutil
from pathlib import Path

import pytest
from test_contract import CHAPTERS, FOLDERS, ROOT, scripts_of

from common import cli, rundir

SEED = int(os.environ.get("DL21_SEED", "0"))
SCRIPTS = sorted((folder, script) for folder in FOLDERS for script in scripts_of(folder)
                 if "def main(" in (ROOT / folder / f"{script}.py").read_text("utf-8"))
NOT_NUMBERS = ["nan", "-1e999", "", " ", "一", "1,5", "0x10", "--", "1" + "0" * 400]
NOT_PATHS = ["~nosuchuser/a", "a" * 300, "一" * 100, "loop/a", "pipe", "a\nb", "/dev/zero"]


def hostile_words(action: argparse.Action, chance: random.Random) -> list[str]:
    """Returns a flag with a value that no script can use."""
    flag = action.option_strings[-1]
    if action.nargs == 0:
        return [f"{flag}=yes"]
    if action.type in (cli.path, cli.run_or_name):
        return [f"{flag}={chance.choice(NOT_PATHS)}"]
    if getattr(action.type, "__qualname__", "").startswith(cli.number.__name__):
        return [f"{flag}={chance.choice(NOT_NUMBERS)}"]
    return [flag, "\udcff"]


@pytest.mark.parametrize(("chapter", "script"), SCRIPTS)
def test_no_command_line_ends_in_a_traceback(chapter, script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    module = importlib.import_module(f"{chapter}.{script}")
    chance = random.Random(f"{SEED} {chapter} {script}")
    actions = [a for a in module.build_parser()._actions if a.option_strings and a.dest != "help"]
    for action in chance.sample(actions, min(12, len(actions))):
        words = hostile_words(action, chance)
        assert module.main(words) == 2, words
        error, hint = capsys.readouterr().err.splitlines()[-2:]
        assert error.startswith("error: ") and hint.startswith("hint: "), words


# ---------------------------------------------------------------- damaged run folders

# The cheapest chapter stands for all: DL21_TRIED="chapter12_char_rnn chapter20_dqn" tries others.
TRIED = os.environ.get("DL21_TRIED", "chapter18_q_learning").split()
CASES = int(os.environ.get("DL21_CASES", "8"))
FORMS = [b"", b"[]", b"3", b"null", b'"a"', b"[" * 100_000, b"\xff\xfe\0", b"{}", b"\n\n", b"[[]]"]


def damage(path: Path, chance: random.Random) -> str:
    """Damages a file in one of six ways; returns which."""
    content = path.read_bytes()
    way = chance.choice(["gone", "cut", "flipped", "form", "folder", "value"])
    if way == "gone":
        path.unlink()
    elif way == "cut":
        path.write_bytes(content[: chance.randrange(len(content) + 1)])
    elif way == "flipped":
        flipped = bytearray(content or b"a")
        for _ in range(3):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
    elif way == "folder":
        path.unlink()
        path.mkdir()
    elif way == "value" and path.suffix == ".json" and content.startswith(b"{"):
        whole = json.loads(content)
        part = whole["flags"] if "flags" in whole and chance.random() < 0.7 else whole
        key = chance.choice(sorted(part))
        part[key] = chance.choice([None, -1, "x", [], {}, 1e300, True])
        path.write_text(json.dumps(whole), encoding="utf-8")
        way = f"{key}: {part[key]!r}"
    else:
        path.write_bytes(chance.choice(FORMS))
    return way


@pytest.mark.slow
@pytest.mark.parametrize("chapter", [chapter for chapter in CHAPTERS if chapter.name in TRIED],
                         ids=lambda chapter: f"{chapter.name}-{chapter.script}")
def test_no_damaged_run_ends_in_a_traceback(chapter, tmp_path, capsys):
    whole, run = tmp_path / "whole", tmp_path / chapter.name / "run"
    assert chapter.main(chapter.script, *chapter.train, "--max_steps", "3", "--save_every", "1",
                        "--run_dir", str(whole)) == 0
    assert rundir.last_step(whole) == 3
    chance = random.Random(f"{SEED} {chapter.name}")
    for _ in range(CASES):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(whole, run)
        files = sorted(path for path in run.rglob("*") if path.is_file()
                       and not {"tb", "samples"} & {*path.parts})
        path = chance.choice(files)
        case = f"{path.relative_to(run)}: {damage(path, chance)}"
        for script, *more in (("eval",), (chapter.script, "--max_steps", "4")):
            capsys.readouterr()
            status = chapter.main(script, "--run_dir", str(run), *more)
            assert status in (0, 2), (case, script)
            if status:
                error, hint = capsys.readouterr().err.splitlines()[-2:]
                assert error.startswith("error: ") and hint.startswith("hint: "), (case, script)
