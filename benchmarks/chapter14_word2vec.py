"""Pairs per second and scores of skip-gram: ours, gensim's, and the book's loop.

    pip install -r requirements-benchmarks.txt
    DL21_DATA=FOLDER python -m benchmarks.chapter14_word2vec  # FOLDER/word2vec holds the files
    DL21_DATA=FOLDER python -m benchmarks.chapter14_word2vec --scores  # keeps the speeds

Ours and gensim have the same text, vocabulary, window, embedding dimension, subsampling, negative
samples and epochs; gensim uses two workers. Windows reach 1 to 5 words, so a word kept by
subsampling has 6 pairs on average: gensim's words/s are a sixth of its pairs/s. The other
contenders are variants of ours, and the book's loop: single pairs in batches of 128, with NCE.

After the speeds, ours, gensim and two variants are trained on two texts with three seeds each, and
are scored on analogies and similarities.
"""

import argparse
import functools
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness

SIZE, EPOCHS, WINDOW, NEGATIVE, SUBSAMPLE, SEEDS = 100, 5, 5, 5, 1e-3, 3
PAIRS_PER_WORD = WINDOW + 1
TEXTS = {"text8_books": 20000, "text8_enwiki": 15000}  # and the vocabulary of each
SETTINGS = {"text8_books, window 5, size 100": {"text": "text8_books"}}
OURS: dict[str, dict[str, Any]] = {  # what differs from --preset best
    "ours": {},
    "small_batches": {"batch_size": 256},
    "descent": {"batch_size": 256, "optimizer": "sgd", "learning_rate": 20.0},
    "all_words": {"subsample": 0.0},
    "book": {"preset": "book"},
    "book_wide": {"preset": "book", "skip_window": 5, "num_skips": 6, "batch_size": 4092},
}
SCORED = ("ours", "gensim", "descent", "all_words")
STEPS_PER_CALL = 16


def file(name: str) -> Path:
    """Returns the path of a text or of a file of questions."""
    return harness.data_folder() / "word2vec" / name


@functools.cache
def load(name: str) -> tuple[Any, list[list[str]]]:
    """Returns a text as our corpus, and in sentences of 10,000 words as gensim's Text8Corpus."""
    from chapter14_word2vec import data

    text = data.read_text(file(f"{name}.zip"))
    words = text.split()
    sentences = [words[start : start + 10000] for start in range(0, len(words), 10000)]
    return data.prepare(text, TEXTS[name]), sentences


def kept_share(text: str) -> float:
    """Returns the expected share of the text's words that subsampling keeps."""
    from chapter14_word2vec.negative_sampling import keep_probability

    corpus, _ = load(text)
    return float(np.mean(keep_probability(corpus.counts(), SUBSAMPLE)[corpus.tokens]))


def flags_of(changes: dict[str, Any]) -> argparse.Namespace:
    """Returns the flags of a run of ours."""
    from chapter14_word2vec import train

    return harness.flags(train, **{"preset": "best", "embedding_size": SIZE, **changes})


def ours(
    setting: dict[str, Any], name: str = "ours", several: bool = False
) -> tuple[Callable[[], Any], int]:
    """Measures chapter 14's training step on its input pipeline; `several`: many steps per call."""
    import tensorflow as tf

    from chapter14_word2vec import data, train
    from chapter14_word2vec.model import Word2Vec

    flags, (corpus, _) = flags_of(OURS[name]), load(setting["text"])
    fast = flags.loss == "negative_sampling"
    model = Word2Vec(len(corpus.vocabulary), SIZE, small=fast)
    squares = train.make_squares(model) if flags.optimizer == "adagrad" else []
    train_step = train.make_train_step(
        model, squares, tf.Variable(tf.zeros(2)), train.make_loss(model, corpus, flags),
        train.make_schedule(flags), seed=0)
    batches = iter(data.batches_of(corpus, flags))
    share = kept_share(setting["text"]) if flags.subsample else float(np.mean(corpus.tokens > 0))
    pairs = flags.batch_size * share * PAIRS_PER_WORD if fast else flags.batch_size
    number = tf.Variable(0, dtype=tf.int64)

    def step() -> None:
        number.assign_add(1)
        train_step(*next(batches), number)

    @tf.function
    def steps() -> None:
        for _ in tf.range(STEPS_PER_CALL):
            number.assign_add(1)
            train_step(*next(batches), number)

    return (steps, round(STEPS_PER_CALL * pairs)) if several else (step, round(pairs))


def make_gensim(text: str, seed: int) -> Any:
    """Returns gensim's untrained model with our vocabulary."""
    from gensim.models import Word2Vec

    corpus, _ = load(text)
    model = Word2Vec(vector_size=SIZE, window=WINDOW, sg=1, negative=NEGATIVE, sample=SUBSAMPLE,
                     workers=2, min_count=1, seed=seed)
    counts = zip(corpus.vocabulary[1:], corpus.counts()[1:].tolist(), strict=True)
    model.build_vocab_from_freq(dict(counts))
    return model


def gensim(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures gensim's C code, half a million words per call."""
    part = load(setting["text"])[1][:50]
    words = sum(map(len, part))
    model = make_gensim(setting["text"], seed=1)

    def step() -> None:
        model.train(part, total_words=words, total_examples=len(part), epochs=1,
                    start_alpha=0.025, end_alpha=0.025)

    return step, round(words * kept_share(setting["text"]) * PAIRS_PER_WORD)


def train_ours(text: str, name: str, seed: int) -> np.ndarray:
    """Trains with `--preset best` and a contender's flags; returns the vectors, one per row."""
    from chapter14_word2vec import inference, train

    corpus, _ = load(text)
    changes = {"input_file": str(file(f"{text}.zip")), "vocabulary_size": TEXTS[text],
               "seed": seed, **OURS[name]}
    flags = flags_of(changes)
    flags.max_steps = EPOCHS * len(corpus.tokens) // flags.batch_size
    with tempfile.TemporaryDirectory() as run:
        typed = {**changes, "preset": "best", "embedding_size": SIZE, "run_dir": run,
                 "max_steps": flags.max_steps, "eval_every": flags.max_steps,
                 "save_every": flags.max_steps}
        argv = [word for flag, value in typed.items() for word in (f"--{flag}", str(value))]
        if train.main(argv):
            raise SystemExit(f"{name} failed")
        args = argparse.Namespace(run_dir=Path(run), checkpoint="latest")
        return inference.load_run(args, flags).vectors


def train_gensim(text: str, seed: int) -> np.ndarray:
    """Trains with gensim; returns the vectors in the order of our vocabulary.

    The first row stands for unknown words, which gensim does not train on.
    """
    corpus, sentences = load(text)
    model = make_gensim(text, seed + 1)
    model.train(sentences, total_words=sum(map(len, sentences)), total_examples=len(sentences),
                epochs=EPOCHS)
    return np.vstack([np.ones(SIZE, np.float32), model.wv[corpus.vocabulary[1:]]])


def scores(text: str, name: str) -> dict[str, list[float]]:
    """Trains one contender with `SEEDS` seeds; returns the values of each metric."""
    from chapter14_word2vec import eval, vectors

    vocabulary = load(text)[0].vocabulary
    found: dict[str, list[float]] = {"analogy_accuracy": [], "spearman": []}
    for seed in range(SEEDS):
        matrix = train_gensim(text, seed) if name == "gensim" else train_ours(text, name, seed)
        unit = vectors.normalise(matrix)
        analogies, _ = eval.score_analogies(
            unit, vocabulary, eval.read_questions(file("questions-words.txt")))
        similarity = eval.score_similarity(
            unit, vocabulary, eval.read_pairs(file("wordsim353.tsv")))
        for metric, values in found.items():
            values.append({**analogies, **similarity}[metric])
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark and then the scores, or one measurement."""
    argv = sys.argv[1:] if argv is None else argv
    if argv != ["--scores"]:
        contenders = {name: functools.partial(ours, name=name) for name in OURS}
        for name in ("ours", "book"):
            contenders[f"{name}_{STEPS_PER_CALL}_steps"] = functools.partial(
                ours, name=name, several=True)
        contenders["gensim"] = gensim
        status = harness.run("chapter14_word2vec", "pairs/s", contenders, SETTINGS, argv)
        if argv:
            return status
    harness.update_result("chapter14_word2vec", quality={
        text: {name: scores(text, name) for name in SCORED} for text in TEXTS})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
