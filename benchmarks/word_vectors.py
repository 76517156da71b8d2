"""Measures whether chapter 14's word vectors help chapters 12 and 13, as the book says (14.3.6).

    DL21_DATA=FOLDER python -m benchmarks.word_vectors

Vectors trained with `--preset best` on public-domain books initialize the embedding of a sentence
classifier and of a word-level language model of an encyclopedia, where they are fine-tuned or
frozen. The measure is the number of updates until the validation loss reaches the minimum that a
randomly initialized embedding attains. Writes results/chapter14_word2vec/transfer.json, which that
chapter's README shows.
"""

import statistics
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import harness
from common import files, results
from common.monitor import read_curve

SEEDS, SIZE = 3, 128
CLASSIFIER = ["--preset", "sst2", "--eval_every", "50"]
WRITER = ["--level", "word", "--max_vocab", "3000", "--use_embedding", "--num_seqs", "16",
          "--num_steps", "35", "--learning_rate", "0.005", "--train_keep_prob", "0.8",
          "--max_steps", "1000", "--eval_every", "50"]
STARTS = ("random", "vectors", "frozen vectors")


def tasks(data: Path, folder: Path) -> dict[str, tuple[str, str, list[str]]]:
    """Returns chapter, script and flags of each task; extracts the encyclopedia to a folder."""
    text = folder / "enwiki.txt"
    with zipfile.ZipFile(data / "word2vec" / "text8_enwiki.zip") as archive:
        text.write_bytes(archive.read("text8"))
    sentences = data / "text_classification" / "sst2"
    return {
        "sst2": ("chapter13_sequence_classification", "train_texts.py",
                 [*CLASSIFIER, "--data_dir", str(sentences)]),
        "enwiki": ("chapter12_char_rnn", "train.py", [*WRITER, "--input_file", str(text)]),
    }


def run(chapter: str, script: str, argv: list[str], runs: Path) -> None:
    """Runs a script of a chapter as a user would."""
    harness.execute([sys.executable, script, *argv], harness.ROOT / chapter, DL21_RUNS=str(runs))


def learn_vectors(data: Path, runs: Path) -> Path:
    """Trains chapter 14's model on the books; returns the file of its vectors."""
    chapter, text = "chapter14_word2vec", data / "word2vec" / "text8_books.zip"
    run(chapter, "train.py", ["--preset", "best", "--input_file", str(text), "--vocabulary_size",
                              "20000", "--embedding_size", str(SIZE), "--name", "books"], runs)
    run(chapter, "export.py", ["--name", "books"], runs)
    return runs / chapter / "books" / "export" / "vectors.txt"


def curve(
    chapter: str, script: str, flags: list[str], name: str, runs: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Trains a network; returns the steps and the losses of its validations."""
    run(chapter, script, [*flags, "--embedding_size", str(SIZE), "--name", name], runs)
    return read_curve(runs / chapter / name, "val", "loss")


def compare(task: str, curves: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> list[Any]:
    """Returns one row per initialization.

    Args:
        task: name of the task.
        curves: steps and losses of each initialization, in the order of the seeds.
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
    """Trains all networks and writes the rows."""
    data = harness.data_folder()
    rows: list[Any] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vectors = ["--embedding_file", str(learn_vectors(data, folder))]
        options = dict(zip(STARTS, ([], vectors, [*vectors, "--freeze_embedding"]), strict=True))
        todo = tasks(data, folder)
        bar = tqdm(total=len(todo) * len(options) * SEEDS, unit="run")
        for number, (task, (chapter, script, flags)) in enumerate(todo.items()):
            curves: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
            for start, added in options.items():
                for seed in range(SEEDS):
                    curves.setdefault(start, []).append(curve(
                        chapter, script, [*flags, *added, "--seed", str(seed)],
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
