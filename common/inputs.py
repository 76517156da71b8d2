"""Input pipelines that resume anywhere, and files fetched once and checked.

Batch k of a training stream is a pure function of (seed, k): a resumed run starts its stream at
another k and sees what it would have seen.
"""

import http.client
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from common.errors import UserError
from common.rundir import ROOT

REACHABLE_SECONDS = 3.0


@dataclass(frozen=True)
class File:
    """A published file: its name in `--data_dir`, sha256, and addresses."""

    name: str
    sha256: str
    urls: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A published data set: what docs/datasets.md tells of it, and its files."""

    about: str
    files: tuple[File, ...]


def default_dir(dataset: str) -> Path:
    """Returns where a set is looked for, and fetched to, without `--data_dir`."""
    return ROOT / "data" / dataset


def index_batches(
    num_examples: int, batch_size: int, seed: int, start_step: int = 0
) -> tf.data.Dataset:
    """Makes the endless stream of shuffled example numbers behind a training stream.

    Every epoch is a new permutation, of which every number comes up exactly once; where
    `batch_size` does not divide `num_examples`, a batch reaches into the next epoch.

    Args:
        num_examples: size of the training set.
        batch_size: numbers a batch.
        seed: decides all permutations.
        start_step: how many batches to leave out: the restored step.

    Returns:
        Elements `(step, indices)`: int64 scalar, the key for the batch's augmentation, and int64
        indices of shape (batch_size,) in [0, num_examples).
    """

    def indices(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        position = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        epoch = position // num_examples
        keys = tf.stack([tf.fill([batch_size], tf.cast(seed, tf.int64)), epoch, 0 * epoch], axis=1)
        # The op behind tf.random.experimental.index_shuffle, which takes no batch of keys.
        return step, tf.raw_ops.RandomIndexShuffle(
            index=position % num_examples, seed=keys, max_index=num_examples - 1, rounds=8
        )

    steps = tf.data.Dataset.counter(start_step, dtype=tf.int64)
    return steps.map(indices, num_parallel_calls=tf.data.AUTOTUNE)


def example_indices(
    num_examples: int, batch_size: int, seed: int, start_step: int = 0
) -> tf.data.Dataset:
    """Makes the stream of `index_batches` one example at a time, each with a key of its own.

    For what is random per example and cannot be drawn for a whole batch at once. The key is a pure
    function of the seed and of the example's position in the stream.

    Args:
        num_examples: size of the training set.
        batch_size: examples that `start_step` counts as one step.
        seed: decides all permutations, and the keys.
        start_step: how many batches to leave out: the restored step.

    Returns:
        Elements `(index, key)`: int64 scalar in [0, num_examples), int64 of shape (2,).
    """

    def keyed(step: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        positions = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        seeds = tf.fill([batch_size], tf.cast(seed, tf.int64))
        return indices, tf.stack([seeds, positions], axis=1)  # (batch_size, 2)

    return index_batches(num_examples, batch_size, seed, start_step).map(keyed).unbatch()


def finish(dataset: tf.data.Dataset, batch_size: int | None = None) -> tf.data.Dataset:
    """Ends every pipeline: batches it if told to (the last batch may be short) and prefetches.

    tf.data's autotuner is off: with it, `fit` was measured to wait at epoch ends for up to twice
    the epoch's time. Parallel calls still run in parallel.
    """
    if batch_size:
        dataset = dataset.batch(batch_size)
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(4).with_options(options)


def check_files(folder: Path, names: Sequence[str], hint: str) -> list[Path]:
    """Returns the paths of files in a folder.

    Raises:
        UserError: some are missing; tells which, and what lies there instead.
    """
    if missing := [name for name in names if not (folder / name).is_file()]:
        found = sorted(path.name for path in folder.glob("*"))[:8] if folder.is_dir() else None
        there = "the folder does not exist" if found is None else f"it holds {found or 'nothing'}"
        raise UserError(f"{folder} has no {', '.join(missing)}; {there}", hint)
    return [folder / name for name in names]


def reachable(url: str) -> bool:
    """Says within three seconds whether a URL's host, or the proxy to it, answers at all."""
    proxies = urllib.request.getproxies()
    parts = urllib.parse.urlparse(proxies.get(url.partition(":")[0], url))
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), REACHABLE_SECONDS).close()
    except OSError:
        return False
    return True


def fetch(path: Path, urls: Sequence[str], sha256: str) -> Path:
    """Downloads a file unless it is there, from the first mirror that answers.

    Writes to `<path>.part`, goes on with a part that an interruption left, and renames only what
    has the right sha256.

    Raises:
        UserError: no mirror answers, or what came is not the file.
    """
    if path.is_file():
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
                f"the download of {url} broke off: {error}", f"start again to go on, {by_hand}"
            ) from error
        with part.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
        if found != sha256:
            part.unlink()
            raise UserError(f"{url} has sha256 {found}, expected {sha256}", by_hand)
        return part.replace(path)
    if refused:
        raise UserError(f"no mirror has {path.name}: {'; '.join(refused)}", by_hand)
    hosts = ", ".join(urllib.parse.urlparse(url).netloc for url in urls)
    raise UserError(f"no network: {hosts} cannot be reached", f"work offline {by_hand}")


def _download(url: str, part: Path) -> None:
    """Appends to `part` what it lacks of a URL's content."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send: the part is complete
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
            raise OSError(f"{received} of {left} bytes came")


def load_tfds(name: str, split: str, data_dir: str | None, hint: str) -> Any:
    """Loads a whole split through tensorflow-datasets as one dict of arrays.

    Raises:
        UserError: the set is neither prepared here nor can the network be reached
            (tensorflow-datasets alone would try for minutes).
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=data_dir)
    if not Path(builder.data_dir).exists():
        if not reachable("https://storage.googleapis.com"):
            raise UserError(f"no network: {name} is not in {builder.data_dir} yet", hint)
        builder.download_and_prepare()
    return tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
