"""What all tests share: runs of their own, and the way to real data."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keeps every test out of the repository's runs/."""
    monkeypatch.setenv("DL21_RUNS", str(tmp_path))
    return tmp_path


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Returns the name of a module on sys.path that registers own_environments.py's."""
    import gymnasium as gym

    shutil.copy(Path(__file__).parent / "own_environments.py", tmp_path / "mine.py")
    monkeypatch.syspath_prepend(tmp_path)
    before = set(gym.registry)
    yield "mine"
    sys.modules.pop("mine", None)
    for name in set(gym.registry) & {"Row-v0", "Push-v0", "Walk-v0", "Silent-v0"} - before:
        del gym.registry[name]


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """Returns a function from a path below DL21_DATA to the file.

    Without DL21_DATA the test is skipped; with it, a missing file is a failure.
    """

    def find(relative: str) -> Path:
        if not (folder := os.environ.get("DL21_DATA")):
            pytest.skip("DL21_DATA names no folder with real data")
        path = Path(folder) / relative
        assert path.exists(), f"DL21_DATA is set, but {path} does not exist"
        return path

    return find


@pytest.fixture(scope="module")
def shallow() -> Iterator[Callable]:
    """Replaces MobileNet by three of its layers, which saves minutes; returns the real entry."""
    from helpers import shallow_mobilenet  # imports TensorFlow

    with shallow_mobilenet() as whole:
        yield whole


@pytest.fixture
def whole_network(shallow: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undoes `shallow` for a test of real layers."""
    from common.pretrained import NETWORKS

    monkeypatch.setitem(NETWORKS, "MobileNet", shallow)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Starts headless Chromium; skips the test where it is not installed."""
    from browser import Browser

    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed")
    found = Browser(tmp_path / "profile")
    yield found
    found.close()
