"""JSON files, checksums, and downloads of published data sets."""

import hashlib
import http.client
import json
import os
import socket
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from common.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
REACHABLE_SECONDS = 3.0


@dataclass(frozen=True)
class File:
    """A published file: its name in `--data_dir`, its sha256 and its URLs."""

    name: str
    sha256: str
    urls: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A published data set: its description in docs/datasets.md, and its files.

    Where `looked_for` is false, no code looks for it in its default folder.
    """

    about: str
    files: tuple[File, ...]
    looked_for: bool = True


def default_dir(dataset: str) -> Path:
    """Returns the default folder of a data set, used without `--data_dir`."""
    return ROOT / "data" / dataset


def runs_dir() -> Path:
    """Returns the folder of all runs: DL21_RUNS, or `runs` at the repository root."""
    return Path(os.environ.get("DL21_RUNS") or ROOT / "runs").resolve()


def exports(folder: Path) -> list[Path]:
    """Returns the versions in the folder `export` of a run, `1`, `2`, …, the newest last."""
    versions = [path for path in folder.glob("*") if path.name.isdecimal()]
    return sorted(versions, key=lambda path: int(path.name))


def home() -> Path:
    """Returns the home folder of the user, or a new temporary folder if there is none."""
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and a user without an entry in /etc/passwd
        return Path(tempfile.mkdtemp())


def read_json(path: Path, hint: str = "start a new run") -> Any:
    """Reads a JSON file.

    Args:
        path: the file, of a run unless another `hint` is given.
        hint: what to do if it is missing or damaged.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", hint) from error
    except (ValueError, RecursionError) as error:  # JSONDecodeError, UnicodeDecodeError
        raise UserError(f"{path} is not valid JSON ({error})", hint) from error


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically: a reader finds the old file or the new one, never a partial one."""
    part = path.with_name(path.name + ".part")
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)


def sha256(*arrays: Any) -> str:
    """Returns the sha256 of the bytes of all arrays, as a hex string."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array if isinstance(array, bytes) else array.tobytes())
    return digest.hexdigest()


def check_files(folder: Path, names: Sequence[str], hint: str) -> list[Path]:
    """Returns the paths of files in a folder.

    Raises:
        UserError: files are missing; the message lists them, and what the folder holds.
    """
    if missing := [name for name in names if not (folder / name).is_file()]:
        found = sorted(path.name for path in folder.glob("*"))[:8] if folder.is_dir() else None
        there = "the folder does not exist" if found is None else f"it holds {found or 'nothing'}"
        raise UserError(f"{folder} has no {', '.join(missing)}; {there}",
                        f"check the path, or {hint}" if found is None else hint)
    return [folder / name for name in names]


def reachable(url: str) -> bool:
    """Returns within three seconds whether the host of a URL, or its proxy, can be reached."""
    proxies = urllib.request.getproxies()
    parts = urllib.parse.urlparse(proxies.get(url.partition(":")[0], url))
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), REACHABLE_SECONDS).close()
    except OSError:
        return False
    return True


def fetch(path: Path, urls: Sequence[str], sha256: str) -> Path:
    """Downloads a published file from the first mirror that has it, unless the file exists.

    An existing file with another sha256 is used with a warning: it may be a sample, or damaged.
    Writes to `<path>.part`, resumes an interrupted download, and renames the file only if its
    sha256 is the expected one.

    Raises:
        UserError: no mirror can be reached or has the file, or the sha256 is wrong.
    """
    if path.is_file():
        if (found := _sha256_of(path)) != sha256:
            print(f"warning: {path} is not the published file: its sha256 is {found}, not {sha256}."
                  " Scores on it are not comparable; if you did not make it so, remove it",
                  file=sys.stderr)
        return path
    part = path.with_name(path.name + ".part")
    by_hand = f"or place it by hand: {path}, sha256 {sha256}, from {' or '.join(urls)}"
    refused: list[str] = []
    for url in filter(reachable, urls):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _download(url, part)
        except urllib.error.HTTPError as error:
            refused.append(f"{url}: {error}")
            continue
        except (OSError, http.client.HTTPException) as error:
            raise UserError(
                f"the download of {url} failed: {error}", f"run again to resume it, {by_hand}"
            ) from error
        if (found := _sha256_of(part)) != sha256:
            part.unlink()
            raise UserError(f"{url} has sha256 {found}, expected {sha256}", by_hand)
        return part.replace(path)
    if refused:
        raise UserError(f"no mirror has {path.name}: {'; '.join(refused)}", by_hand)
    hosts = ", ".join(urllib.parse.urlparse(url).netloc for url in urls)
    raise UserError(f"no network: {hosts} cannot be reached, and there is no {path}",
                    f"work offline {by_hand}")


def _sha256_of(path: Path) -> str:
    """Returns the sha256 of a file, as a hex string."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url: str, part: Path) -> None:
    """Downloads a URL to `part`; an existing part is extended if the server supports it."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # range not satisfiable: the part is complete
            return
        raise
    with response:
        resumed = response.status == 206
        left = int(response.headers.get("Content-Length") or 0)
        total = left + done * resumed or None
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(total=total, initial=done * resumed, unit="B", unit_scale=True) as bar,
        ):
            received = 0
            while chunk := response.read(1 << 16):
                file.write(chunk)
                received += len(chunk)
                bar.update(len(chunk))
        if received < left:
            raise OSError(f"{received} of {left} bytes received")


def load_tfds(name: str, split: str, data_dir: str | None, hint: str) -> Any:
    """Loads a whole split through tensorflow-datasets as one dict of arrays.

    Raises:
        UserError: the data set is not prepared and there is no network, which tensorflow-datasets
            itself would only report after minutes.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=data_dir)
    if not Path(builder.data_dir).exists():
        if not reachable("https://storage.googleapis.com"):
            raise UserError(f"no network, and {name} is not in {builder.data_dir}", hint)
        builder.download_and_prepare()
    return tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
