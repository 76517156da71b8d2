"""Do the word vectors of chapter 14 help chapters 12 and 13, as the book says (section 14.3.6)?

    DL21_DATA=FOLDER python -m benchmarks.word_vectors

Vectors of `--preset best` on some books are the start of a network that classifies sentences, and
of one that writes an encyclopedia word by word; they are trained on with the rest, or frozen. What
is counted are the updates until the validation loss is as low as it ever gets from vectors drawn
at random. Writes results/chapter14_word2vec/transfer.json, which that chapter's README shows.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from common import files, results
from common.monitor import read_curve

ROOT = Path(__file__).resolve().parent.parent
SEEDS, SIZE = 3, 128
CLASSIFIER = ["--preset", "sst2", "--eval_every", "50"]
WRITER = ["--level", "word", "--max_vocab", "3000", "--use_embedding", "--num_seqs", "16",
          "--num_steps", "35", "--learning_rate", "0.005", "--train_keep_prob", "0.8",
          "--max_steps", "1000", "--eval_every", "50"]
STARTS = ("random", "vectors", "frozen vectors")


def tasks(data: Path, folder: Path) -> dict[str, tuple[str, list[str]]]:
    """Returns the chapter and the flags of each task; unpacks the encyclopedia into a folder."""
    text = folder / "enwiki.txt"
    with zipfile.ZipFile(data / "word2vec" / "text8_enwiki.zip") as archive:
        text.write_bytes(archive.read("text8"))
    sentences = data / "text_classification" / "sst2"
    return {
        "sst2": ("chapter13_sequence_classification", [*CLASSIFIER, "--data_dir", str(sentences)]),
        "enwiki": ("chapter12_char_rnn", [*WRITER, "--input_file", str(text)]),
    }


def run(chapter: str, script: str, argv: list[str], runs: Path) -> None:
    """Runs a script of a chapter as its user would.

    Raises:
        SystemExit: it has failed.
    """
    done = subprocess.run([sys.executable, script, *argv], cwd=ROOT / chapter, text=True,
                          env=os.environ | {"DL21_RUNS": str(runs)}, capture_output=True,
                          check=False)
    if done.returncode:
        raise SystemExit(f"{chapter}/{script} {' '.join(argv)} failed:\n{done.stderr[-2000:]}")


def learn_vectors(data: Path, runs: Path) -> Path:
    """Trains chapter 14's network on the books; returns the file of its vectors."""
    chapter, text = "chapter14_word2vec", data / "word2vec" / "text8_books.zip"
    run(chapter, "train.py", ["--preset", "best", "--input_file", str(text), "--vocabulary_size",
                              "20000", "--embedding_size", str(SIZE), "--name", "books"], runs)
    run(chapter, "export.py", ["--name", "books"], runs)
    return runs / chapter / "books" / "export" / "vectors.txt"


def curve(chapter: str, flags: list[str], name: str, runs: Path) -> tuple[np.ndarray, np.ndarray]:
    """Trains a network; returns the steps of its validations, and their losses."""
    run(chapter, "train.py", [*flags, "--embedding_size", str(SIZE), "--name", name], runs)
    return read_curve(runs / chapter / name, "val", "loss")


def compare(task: str, curves: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> list[Any]:
    """Returns a row for each start.

    Args:
        task: its name.
        curves: of each start, in the order of the seeds.
    """
    goals = [losses.min() for _, losses in curves["random"]]
    rows = []
    for start, found in curves.items():
        reached = [int(steps[losses <= goal][0]) for (steps, losses), goal
                   in zip(found, goals, strict=True) if (losses <= goal).any()]
        rows.append({
            "task": task, "start": start, "seeds": len(found), "reached": len(reached),
            "steps": [min(reached), max(reached)] if reached else "–",
            "lowest_loss": round(statistics.fmean(losses.min() for _, losses in found), 3),
        })
    return rows


def main() -> int:
    """Runs everything and writes the rows."""
    if not (data := os.environ.get("DL21_DATA")):
        raise SystemExit("set DL21_DATA to the folder that holds word2vec and text_classification")
    rows: list[Any] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vectors = ["--embedding_file", str(learn_vectors(Path(data), folder))]
        options = dict(zip(STARTS, ([], vectors, [*vectors, "--freeze_embedding"]), strict=True))
        todo = tasks(Path(data), folder)
        bar = tqdm(total=len(todo) * len(options) * SEEDS, unit="run")
        for number, (task, (chapter, flags)) in enumerate(todo.items()):
            curves: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
            for start, added in options.items():
                for seed in range(SEEDS):
                    curves.setdefault(start, []).append(curve(
                        chapter, [*flags, *added, "--seed", str(seed)],
                        f"{number}-{start}-{seed}".replace(" ", "-"), folder))
                    bar.update()
            rows += compare(task, curves)
    for row in rows:
        print(row)
    path = results.RESULTS / "chapter14_word2vec" / "transfer.json"
    files.write_json(path, {"command": "python -m benchmarks.word_vectors", "rows": rows}
                      | results.provenance())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
