"""config.json of a run: its form, its paths, and whether it was edited."""

import json
from pathlib import Path
from typing import Any

from common.errors import UserError
from common.files import ROOT, read_json, sha256

# What every config.json has.
CONFIG = {"chapter": str, "dataset_sha256": str, "flags": dict, "history": list,
          "parameters": int, "versions": dict}


def read_config(run_dir: Path, chapter: str | None = None) -> dict[str, Any]:
    """Reads the config.json of a run and checks its chapter, if one is given.

    Raises:
        UserError: the file is damaged, or the run belongs to another chapter.
    """
    path = run_dir / "config.json"
    config = read_json(path)
    for key, kind in CONFIG.items():
        if not isinstance(config, dict) or not isinstance(config.get(key), kind):
            raise UserError(f"{path} is damaged: it has no {key}", "start a new run")
    if not all(isinstance(entry, dict) and isinstance(entry.get("command"), str)
               and isinstance(entry.get("changed", {}), dict) for entry in config["history"]):
        raise UserError(f"{path} is damaged: its history has no commands", "start a new run")
    if chapter and config["chapter"] != chapter:
        raise UserError(
            f"{run_dir} is a run of {config['chapter']}, not of {chapter}",
            "name a run of this chapter with --name or --run_dir",
        )
    config["flags"] = {flag: _absolute(value) for flag, value in config["flags"].items()}
    return config


def edited(run_dir: Path) -> bool:
    """Returns whether config.json is no longer as the run wrote it."""
    config = read_json(run_dir / "config.json")
    return config.get("digest") not in (None, digest(config))


def digest(config: dict[str, Any]) -> str:
    """Returns the sha256 of all entries of config.json but the digest itself."""
    entries = {key: value for key, value in config.items() if key != "digest"}
    return sha256(json.dumps(entries, sort_keys=True).encode())


def portable(value: Any) -> Any:
    """Returns the value of a flag to record; paths inside the repository become relative."""
    if isinstance(value, str) and Path(value).is_absolute() and Path(value).is_relative_to(ROOT):
        return f"./{Path(value).relative_to(ROOT)}"
    return value


def _absolute(value: Any) -> Any:
    """Returns a recorded flag as it was typed; undoes `portable`."""
    return str(ROOT / value) if isinstance(value, str) and value.startswith("./") else value
