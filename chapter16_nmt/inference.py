"""Finished runs: loads the network with its vocabularies, translates, and computes perplexities."""

import argparse
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter16_nmt import beam_search, data
from chapter16_nmt.corpus import END_ID, UNKNOWN, UNKNOWN_ID
from chapter16_nmt.decoding import Decoding, limits
from chapter16_nmt.flags import attends, build_model
from chapter16_nmt.model import cross_entropy
from chapter16_nmt.search_graph import make_search
from chapter16_nmt.tokens import Tokenization, tokenize
from common import checkpoint, cli, files
from common.checkpoint_files import READ_ERRORS, checkpoints, step_of, unusable
from common.errors import UserError

VOCABULARY = "vocabulary.json"


class Run(NamedTuple):
    """A trained network, and how its sentences are tokenized.

    Attributes:
        model: the network.
        vocabularies: of source and target.
        tokenizations: of source and target.
        flags: that the run was trained with.
    """

    model: keras.Model
    vocabularies: tuple[list[str], list[str]]
    tokenizations: tuple[Tokenization, Tokenization]
    flags: argparse.Namespace


class Translation(NamedTuple):
    """A translation of one sentence.

    Attributes:
        tokens: without start and end symbols.
        score: log-probability by the network, divided by the length penalty.
        attention: weights of shape (tokens and end symbol, source tokens), None without attention.
    """

    tokens: list[str]
    score: float
    attention: np.ndarray | None = None


def save_languages(run_dir: Path, corpus: data.Data) -> None:
    """Copies vocabularies and models of sub-words to a run, which then does not need the data."""
    ways = []
    for side, how in zip(("source", "target"), corpus.tokenizations, strict=True):
        if how.subwords:
            copy = run_dir / f"subwords.{side}.model"
            copy.write_bytes(Path(how.subwords).read_bytes())
            how = how._replace(subwords=copy.name)
        ways.append(how._asdict())
    files.write_json(run_dir / VOCABULARY,
                     {"vocabularies": corpus.vocabularies, "tokenizations": ways})


def load_run(
    args: argparse.Namespace, flags: argparse.Namespace, average: int = 1
) -> Run:
    """Rebuilds the network of a run and loads its trained weights.

    Args:
        args: arguments of the calling script, with `run_dir`, `checkpoint`, `typed` and,
            optionally, `metric`.
        flags: the flags that the run was trained with.
        average: above 1, the mean of the weights of so many last checkpoints is taken.
    """
    known = files.read_json(args.run_dir / VOCABULARY)
    vocabularies = tuple(known["vocabularies"])
    ways = [Tokenization(**way) for way in known["tokenizations"]]
    ways = [way._replace(subwords=str(args.run_dir / way.subwords)) if way.subwords else way
            for way in ways]
    model = build_model(flags, [len(vocabulary) for vocabulary in vocabularies])
    if metric := getattr(args, "metric", None):
        if average > 1:
            raise UserError(f"--metric {metric} with --average {average}", "omit one of them")
        cli.refuse_idle(args, ["checkpoint"], f"--metric {metric}")
        checkpoint.load(best_folder(args.run_dir, flags, metric), "best", model=model)
    elif average > 1:
        cli.refuse_idle(args, ["checkpoint"], f"--average {average}")
        load_average(args.run_dir, average, flags, model)
    else:
        checkpoint.load(args.run_dir, args.checkpoint, model=model)
    return Run(model, vocabularies, tuple(ways), flags)


def best_folder(run_dir: Path, flags: argparse.Namespace, metric: str) -> Path:
    """Returns the folder of the best weights by a metric.

    Raises:
        UserError: the run was not scored by this metric.
    """
    names = flags.metrics.split(",")
    if metric not in names:
        raise UserError(f"{run_dir} was trained with --metrics {flags.metrics}, without {metric}",
                        f"choose one of {', '.join(names)}")
    return run_dir if metric == names[0] else run_dir / f"best_{metric}"


def load_average(
    run_dir: Path, count: int, flags: argparse.Namespace, model: keras.Model
) -> None:
    """Loads the mean of the weights of the last checkpoints (Junczys-Dowmunt et al. 2016).

    Those of `--save_every` and of the end count; not that of the first update, nor that of an
    interruption.

    Raises:
        UserError: there are fewer.
    """
    paths = [path for path in checkpoints(run_dir / "checkpoints")
             if step_of(path) % flags.save_every == 0 or step_of(path) == flags.max_steps][-count:]
    if len(paths) < count:
        raise UserError(f"{run_dir} has {len(paths)} regular checkpoints, not {count}",
                        "lower --average; a run keeps the last five checkpoints, of each "
                        "--save_every steps")
    variables = checkpoint.weights(model)
    try:
        readers = [tf.train.load_checkpoint(path) for path in paths]
        for number, variable in enumerate(variables):
            values = [reader.get_tensor(f"model/{number}/.ATTRIBUTES/VARIABLE_VALUE")
                      for reader in readers]
            if variable.dtype.is_floating:
                variable.assign(np.mean(values, axis=0))
    except READ_ERRORS as error:
        raise unusable(paths[-1], error, "omit --average") from error


class Translate:
    """Translates sentences; each graph is traced once."""

    def __init__(self, run: Run):
        """Keeps the network and its languages."""
        self.run = run
        self.attends = attends(run.flags)
        self._search = functools.cache(functools.partial(make_search, run.model))
        self._ids = {token: i for i, token in enumerate(run.vocabularies[0])}

    def texts(
        self, texts: Sequence[str], how: Decoding, numbers: Sequence[int] | None = None
    ) -> tuple[list[list[Translation]], list[list[str]]]:
        """Tokenizes and translates sentences; also returns their tokens. See `sentences`."""
        sources = [tokenize(text, self.run.tokenizations[0]) for text in texts]
        return self.sentences(sources, how, numbers), sources

    def sentences(
        self, sources: Sequence[Sequence[str]], how: Decoding,
        numbers: Sequence[int] | None = None, bar: bool = False,
    ) -> list[list[Translation]]:
        """Translates sentences of tokens; returns `nbest` translations of each, the best first.

        An empty sentence has an empty translation.

        Args:
            sources: the tokens.
            how: see `Decoding`.
            numbers: of the sentences; the same sentence with another number gets another sample
                (default: from 1).
            bar: whether to show a progress bar.
        """
        numbers = numbers or range(1, len(sources) + 1)
        ids = [[self._ids.get(token, UNKNOWN_ID) for token in tokens[: how.src_max_len]]
               for tokens in sources]
        if self.run.flags.source_reverse:
            ids = [tokens[::-1] for tokens in ids]
        found: list[list[Translation]] = [[Translation([], 0.0)] for _ in ids]
        filled = [i for i, tokens in enumerate(ids) if tokens]
        batches = data.in_order_of_length([len(ids[i]) for i in filled], how.batch_size)
        for batch in tqdm(list(batches), "translating", leave=False, disable=None if bar else True):
            chosen = [filled[i] for i in batch]
            translations = self._batch([ids[i] for i in chosen], [numbers[i] for i in chosen], how)
            for i, of_sentence in zip(chosen, translations, strict=True):
                found[i] = of_sentence
        return found

    def _batch(
        self, ids: Sequence[Sequence[int]], numbers: Sequence[int], how: Decoding
    ) -> list[list[Translation]]:
        """Translates one batch of sentences, none of them empty."""
        source = np.zeros((len(ids), max(map(len, ids))), np.int32)
        mask = np.zeros(source.shape, bool)
        for row, tokens in enumerate(ids):
            source[row, : len(tokens)], mask[row, : len(tokens)] = tokens, True
        most = [how.max_len or limits(len(tokens)) for tokens in ids]
        search = self._search(how.attention and self.attends, how.temperature > 0)
        width = max(1, how.beam_width)
        result = [part.numpy() for part in search(
            source, mask, np.array(most, np.int32), width, how.length_penalty_weight,
            how.temperature or 1.0, how.seed, np.array(numbers, np.int32))]
        return [self._read(row, len(tokens), how, *result) for row, tokens in enumerate(ids)]

    def _read(
        self, row: int, source_length: int, how: Decoding, tokens: np.ndarray, lengths: np.ndarray,
        log_probs: np.ndarray, scores: np.ndarray, kept: np.ndarray,
    ) -> list[Translation]:
        """Returns the translations in one row of `beam_search.Sequences`."""
        found = []
        for place in range(min(how.nbest, tokens.shape[1])):
            if scores[row, place] <= beam_search.NEVER / 2:
                break
            ids = tokens[row, place, : lengths[row, place]]
            words = [self.run.vocabularies[1][i] for i in ids if i != END_ID]
            attention = None
            if how.attention and self.attends:
                attention = kept[row, place, : len(ids), :source_length]
                if self.run.flags.source_reverse:
                    attention = attention[:, ::-1]
            found.append(Translation(words, float(scores[row, place]), attention))
        return found


def replace_unknown(translation: Translation, source: Sequence[str]) -> list[str]:
    """Returns the tokens, unknown ones replaced by the source token with the highest weight."""
    return [source[int(translation.attention[place].argmax())] if token == UNKNOWN else token
            for place, token in enumerate(translation.tokens)]


def make_score(model: keras.Model) -> Callable[[data.Split, int], dict[str, float]]:
    """Returns a function from a split and a batch size to the perplexity of the references."""
    @tf.function(autograph=False, input_signature=data.BATCH)
    def nats_of(source, source_mask, inputs, outputs, target_mask):
        logits = model(source, source_mask, inputs, target_mask, training=False)
        return cross_entropy(logits, tf.boolean_mask(outputs, target_mask))[1]

    def score(split: data.Split, batch_size: int) -> dict[str, float]:
        nats, words = 0.0, 0
        lengths = [len(target) for target in split.target]
        for chosen in data.in_order_of_length(lengths, batch_size):
            batch = data.pad(split, chosen)
            nats += float(nats_of(*batch))
            words += int(batch.target_mask.sum())
        return {"perplexity": float(np.exp(nats / words)), "words": words}

    return score
