"""Evaluates word vectors on analogies and on human similarity judgements, and plots them.

    python eval.py                                        # analogies from Python's documentation
    python eval.py --questions questions-words.txt --similarity wordsim353.tsv
    python eval.py --name skipgram --publish

Writes eval.json and tsne.png, a t-SNE plot of the 500 most frequent words, into the run folder.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.stats
import sklearn.manifold

from chapter14_word2vec import data, vectors
from chapter14_word2vec.inference import load_run
from common import cli, figures, results
from common.errors import UserError
from common.figures import plt
from common.text import read_text

QUESTIONS = Path(__file__).parent / "questions-python.txt"
QUESTIONS_PER_BATCH = 256
NUM_PLOTTED, PERPLEXITY = 500, 30  # book, section 14.3.6


class Question(NamedTuple):
    """An analogy, a is to b as c is to d: four lower-case words."""

    section: str
    words: tuple[str, str, str, str]


class Pair(NamedTuple):
    """Two lower-case words and their similarity as judged by humans."""

    words: tuple[str, str]
    similarity: float


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a text that are not blank, with their numbers from 1."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield number, line.strip().lower()


def read_questions(path: Path) -> list[Question]:
    """Reads analogies in the format of questions-words.txt (Mikolov et al. 2013).

    A line holds four words, or a colon and the name of the next section.

    Raises:
        UserError: a line has another form (the message names it), or there are no questions.
    """
    questions, section = [], ""
    for number, line in numbered_lines(path):
        if line.startswith(":"):
            section = line[1:].strip()
        elif len(words := line.split()) == 4:
            questions.append(Question(section, tuple(words)))
        else:
            raise UserError(f"line {number} of {path} has {len(words)} words, not 4",
                            "write four words per line, or a colon and the name of a section")
    if not questions:
        raise UserError(f"{path} has no questions", "write four words per line")
    return questions


def read_pairs(path: Path) -> list[Pair]:
    """Reads similarity judgements in the format of WordSim-353 (Finkelstein et al. 2002).

    A line holds two words and a number, separated by tabs or commas. Lines that begin with # and a
    header without a number are skipped.

    Raises:
        UserError: a line has another form (the message names it), or all judgements are equal.
    """
    pairs = []
    for number, line in numbered_lines(path):
        if line.startswith("#"):
            continue
        try:
            first, second, judged = (part.strip() for part in line.replace(",", "\t").split("\t"))
            if not np.isfinite(similarity := float(judged)):
                raise ValueError(judged)
            pairs.append(Pair((first, second), similarity))
        except ValueError as error:
            if number > 1:
                raise UserError(f"line {number} of {path} is {line!r}",
                                "write two words and a number, separated by tabs") from error
    if len({pair.similarity for pair in pairs}) < 2:
        raise UserError(f"{path} has {len(pairs)} pairs of words, all with the same similarity",
                        "write two words and a number per line, separated by tabs")
    return pairs


def known(words: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> np.ndarray:
    """Returns which groups of words are entirely in the vocabulary: bool of shape (groups,)."""
    vocabulary = set(vocabulary)
    return np.array([vocabulary.issuperset(group) for group in words], bool)


def score_analogies(
    unit: np.ndarray, vocabulary: Sequence[str], questions: Sequence[Question]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Answers a : b = c : ? by the nearest word of b - a + c, excluding a, b and c.

    Questions with a word outside the vocabulary are counted, but not asked.

    Args:
        unit: word vectors of length 1, of shape (words, size).
        vocabulary: their words, in lower case.
        questions: the analogies.

    Returns:
        The scores over all questions, and the scores of each section.
    """
    asked = known([question.words for question in questions], vocabulary)
    ids = {word: i for i, word in enumerate(vocabulary)}
    right = np.zeros(len(questions), bool)
    for part in np.array_split(np.flatnonzero(asked), len(questions) // QUESTIONS_PER_BATCH + 1):
        a, b, c, d = np.array([[ids[word] for word in questions[i].words] for i in part],
                              int).reshape(-1, 4).T
        products = vectors.cosines(unit, unit[b] - unit[a] + unit[c], np.stack([a, b, c], axis=1))
        right[part] = products.argmax(axis=1) == d

    def scores(chosen: np.ndarray) -> dict[str, float]:
        counts = {"questions": int(chosen.sum()), "questions_asked": int((chosen & asked).sum())}
        if not counts["questions_asked"]:
            return counts
        return {"analogy_accuracy": float(right[chosen & asked].mean()), **counts}

    sections = np.array([question.section for question in questions])
    by_section = {name: scores(sections == name) for name in dict.fromkeys(sections.tolist())}
    return scores(np.ones(len(questions), bool)), by_section


def score_similarity(
    unit: np.ndarray, vocabulary: Sequence[str], pairs: Sequence[Pair]
) -> dict[str, float]:
    """Returns Spearman's rank correlation of the cosines of known pairs with the judgements."""
    chosen = known([pair.words for pair in pairs], vocabulary)
    counts = {"pairs": len(pairs), "pairs_scored": int(chosen.sum())}
    asked = [pairs[i] for i in np.flatnonzero(chosen)]
    if len({pair.similarity for pair in asked}) < 2:
        return counts
    ids = {word: i for i, word in enumerate(vocabulary)}
    a, b = np.array([[ids[word] for word in pair.words] for pair in asked]).T
    cosines = np.sum(unit[a] * unit[b], axis=1)
    spearman = scipy.stats.spearmanr(cosines, [pair.similarity for pair in asked]).statistic
    return {"spearman": float(spearman), **counts}


def draw_tsne(unit: np.ndarray, vocabulary: Sequence[str], png: Path) -> None:
    """Plots the most frequent words in two dimensions by t-SNE (van der Maaten & Hinton 2008)."""
    chosen = unit[1 : NUM_PLOTTED + 1]
    tsne = sklearn.manifold.TSNE(
        perplexity=min(PERPLEXITY, (len(chosen) - 1) / 3), init="pca", random_state=0
    )
    figure, axes = plt.subplots(figsize=(12, 12))
    for (x, y), word in zip(tsne.fit_transform(chosen), vocabulary[1:], strict=False):
        axes.plot(x, y, "C0.", markersize=3)
        axes.annotate(word, (x, y), xytext=(2, 2), textcoords="offset points", fontsize=7)
    axes.axis("off")
    figures.save_figure(png, figure)


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates the vectors; writes eval.json and tsne.png; returns the scores."""
    questions = read_questions(Path(args.questions))
    pairs = read_pairs(Path(args.similarity)) if args.similarity else []
    matrix, vocabulary = load_run(args, flags)
    unit = vectors.normalise(matrix)
    analogies, sections = score_analogies(unit, vocabulary, questions)
    similarity = score_similarity(unit, vocabulary, pairs) if pairs else {}
    near = vectors.neighbours(
        matrix, vectors.choose_valid_words(len(vocabulary), flags.seed), vocabulary)
    draw_tsne(unit, vocabulary, args.run_dir / "tsne.png")
    results.write(args, data.source_name(flags),
        f"{flags.model}{flags.embedding_size}-{flags.preset}",
        {"analogies": analogies} | ({"similarity": similarity} if pairs else {}),
        details={"questions": Path(args.questions).name, "sections": sections, "neighbours": near},
    )
    print(vectors.show_neighbours(near))
    for name, scores in (*sections.items(), ("all analogies", analogies)):
        asked = f"{scores['questions_asked']:,} questions asked"
        print(f"{name}: {asked}" if "analogy_accuracy" not in scores else
              f"{name}: accuracy {scores['analogy_accuracy']:.1%}, {asked}")
    if pairs:
        spearman = f"{similarity['spearman']:.3f}" if "spearman" in similarity else "unknown"
        print(f"similarity: Spearman's rank correlation {spearman} on "
              f"{similarity['pairs_scored']} of {len(pairs)} pairs")
    print(f"t-SNE plot: {args.run_dir / 'tsne.png'}")
    return analogies | similarity


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest")
    parser.add_argument("--questions", type=cli.path, default=str(QUESTIONS),
                        help="analogies, in the format of questions-words.txt")
    parser.add_argument("--similarity", type=cli.path,
                        help="similarity judgements, in the format of WordSim-353")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
