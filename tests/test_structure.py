"""What the source must look like: sizes, imports, and the flags that common/ names."""

import ast
import re
import statistics
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted([*ROOT.glob("chapter??_*"), *ROOT.glob("appendix_*")])
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path
           for folder in (ROOT / "common", *CHAPTERS) for path in folder.glob("*.py")}
TRAINING = sorted(path for path in MODULES.values() if path.stem.startswith("train"))
# Modules of data that can also be run (cartoon.py draws it), and scripts that are made of other
# scripts by design: chapter 19's eval.py and export.py are chapter 18's, compare.py trains many
# times; those of chapter 10 apply the operations of chapter 9's process.py.
MAY_BE_IMPORTED = {"cartoon", "data", "env"}
MAY_IMPORT_SCRIPTS = {"chapter19_sarsa.eval", "chapter19_sarsa.export", "chapter19_sarsa.compare",
                      "chapter20_dqn.compare", "chapter07_style_transfer.compare",
                      "chapter09_pix2pix.compare", "chapter10_super_resolution.compare",
                      "chapter10_super_resolution.prepare"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path) -> set[str]:
    """Returns the modules of ours that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names & MODULES.keys()


IMPORTS = {name: imports_of(path) for name, path in MODULES.items()}


def has_main(name: str) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "main"
               for node in tree(MODULES[name]).body)


@pytest.mark.parametrize("name", MODULES)
def test_scripts_are_leaves(name):
    scripts = {found for found in IMPORTS[name] if has_main(found)
               and found.split(".")[-1] not in MAY_BE_IMPORTED}
    assert not scripts or name in MAY_IMPORT_SCRIPTS, scripts


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_in_book_order(name):
    package = name.split(".")[0]
    for found in {found.split(".")[0] for found in IMPORTS[name]} - {"common", package}:
        assert package != "common", f"common imports {found}"
        order = sorted((package, found), key=lambda name: (name.startswith("appendix"), name))
        assert order[0] == found, f"{package} imports the later {found}"


def test_no_module_imports_itself_through_others():
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError


def test_no_chapters_flag_is_named_in_common():
    """Flags that all scripts share are exempt."""
    exempt = {"preset", "name", "run_dir", "resume", "seed", "dataset", "data_dir", "epochs",
              "max_steps", "log_every", "eval_every", "save_every", "checkpoint", "publish",
              "learning_rate"}
    flags = {flag for chapter in CHAPTERS for path in chapter.glob("*.py")
             for flag in re.findall(r'"--([a-z_0-9]+)"', path.read_text(encoding="utf-8"))}
    shared = {flag for path in (ROOT / "common").glob("*.py")
              for flag in re.findall(r'"--([a-z_0-9]+)"', path.read_text(encoding="utf-8"))}
    text = "".join((ROOT / "common" / f"{name}.py").read_text(encoding="utf-8")
                   for name in ("cli", "flags", "parser"))
    named = {flag for flag in flags - exempt - shared if re.search(rf'"{flag}"', text)}
    assert named == set()


def test_only_figures_imports_matplotlib():
    """It chooses the backend and the font first."""
    found = {name for name, path in MODULES.items() if re.search(
        r"^\s*(import|from) matplotlib", path.read_text(encoding="utf-8"), re.M)}
    assert found == {"common.figures"}


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


@pytest.mark.parametrize("path", sorted((ROOT / "common").glob("*.py")), ids=lambda p: p.name)
def test_files_of_common_are_short(path):
    assert lines(path) <= 250


def test_training_scripts_are_short():
    sizes = {str(path.relative_to(ROOT)): lines(path) for path in TRAINING}
    assert max(sizes.values()) <= 320, sizes
    assert statistics.median(sizes.values()) <= 240, sizes


@pytest.mark.parametrize("name", MODULES)
def test_functions_are_short(name):
    long = {node.name: node.end_lineno - node.lineno + 1 for node in ast.walk(tree(MODULES[name]))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno - node.lineno >= 60}
    assert long == {}
