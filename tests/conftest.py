import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keeps every test out of the repository's runs/."""
    monkeypatch.setenv("DL21_RUNS", str(tmp_path))
    return tmp_path


def real_data(relative: str) -> Path:
    """Returns a path below DL21_DATA; skips the test without it, fails in CI if it is missing."""
    if not (folder := os.environ.get("DL21_DATA")):
        pytest.skip("DL21_DATA names no folder with real data")
    path = Path(folder) / relative
    if not path.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{path} does not exist")
    return path
