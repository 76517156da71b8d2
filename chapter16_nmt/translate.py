"""Translates sentences: from the command line, a file, or stdin.

    python translate.py "The cook will wash the fish tomorrow."
    python translate.py --input_file FILE --output_file FILE --beam_width 10
    python translate.py --input_file FILE --ref_file FILE     # and scores them
    echo "I lost this key." | python translate.py --input_file - --nbest 3
    python translate.py --interactive                         # sentence by sentence

A line of the output belongs to the line of the input with the same number. With --nbest N there are
up to N lines for each sentence: its number in the input, a translation, and its score, separated by
tabs. The beam is then N wide, unless --beam_width is given.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from chapter16_nmt import metrics
from chapter16_nmt.corpus import UNKNOWN, read_lines, split_lines, write_lines
from chapter16_nmt.decoding import Decoding, add_decoding_flags, decoding
from chapter16_nmt.flags import attends
from chapter16_nmt.inference import Run, Translate, Translation, load_run, replace_unknown
from chapter16_nmt.pictures import draw_attention
from chapter16_nmt.tokens import join, join_parts, tokenize
from common import cli
from common.errors import UserError
from common.text import decode

# Flags that have no effect on a conversation.
OF_FILES = ("input_file", "output_file", "ref_file", "inference_list", "attention_png", "json",
            "infer_batch_size")


def read_sentences(args: argparse.Namespace) -> list[str]:
    """Returns the sentences of the command line, of a file, or of stdin.

    Raises:
        UserError: there is none, or the file cannot be read.
    """
    if args.input_file == "-":
        lines = split_lines(decode(sys.stdin.buffer.read(), "stdin"))
    else:
        lines = read_lines(Path(args.input_file)) if args.input_file else args.sentences
    if not lines:
        raise UserError("there is no sentence to translate", "give sentences, --input_file FILE, "
                        "--input_file - for stdin, or --interactive")
    if wrong := [number for number in args.inference_list or () if not 1 <= number <= len(lines)]:
        raise UserError(f"--inference_list {wrong[0]}: there are {len(lines):,} lines",
                        "lines are numbered from 1")
    return lines


def read_references(file: str, count: int) -> list[str]:
    """Reads as many references as there are sentences.

    Raises:
        UserError: the file cannot be read, or has another number of lines.
    """
    references = read_lines(Path(file))
    if len(references) != count:
        raise UserError(f"{file} has {len(references):,} lines, there are {count:,} sentences",
                        "line k must be the reference of sentence k")
    return references


def line_numbers(text: str) -> list[int]:
    """Parses numbers separated by commas (argparse `type`)."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a list such as 1,4,7") from None


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect, or if flags contradict each other."""
    if args.sentences and (args.input_file or args.interactive):
        flag = "--interactive" if args.interactive else f"--input_file {args.input_file}"
        raise UserError(f"both sentences and {flag}", "omit one of them")
    if args.interactive:
        cli.refuse_idle(args, OF_FILES, "--interactive")
    if "beam_width" not in args.typed:
        args.beam_width = args.nbest
    if args.nbest > max(1, args.beam_width):
        raise UserError(f"--nbest {args.nbest} of a beam of width {max(1, args.beam_width)}",
                        f"add --beam_width {args.nbest}")
    if not args.sampling_temperature:
        cli.refuse_idle(args, ["seed"], "--sampling_temperature 0")
    elif args.beam_width > 1:
        flag = "beam_width" if "beam_width" in args.typed else "nbest"
        raise UserError(f"--sampling_temperature with --{flag} {args.beam_width}",
                        "omit one of them")
    if args.output_file and args.output_file in (args.input_file, args.ref_file):
        raise UserError(f"--output_file {args.output_file} is a file that is read",
                        "name another file")
    png = args.attention_png and Path(args.attention_png)
    if png and (png.suffix.lower() != ".png" or not png.parent.is_dir()):
        raise UserError(f"cannot write to --attention_png {png}",
                        "name a .png file in an existing folder")


def search_of(args: argparse.Namespace, run: Run) -> Decoding:
    """Returns the search that the flags name.

    Raises:
        UserError: it needs attention, and the run has none.
    """
    flag = "--replace_unk" if args.replace_unk else "--attention_png"
    attention = bool(args.replace_unk or args.attention_png)
    if attention and not attends(run.flags):
        raise UserError(f"{flag} needs attention, and {args.run_dir} has none",
                        "name a run with attention")
    return decoding(args)._replace(nbest=args.nbest, temperature=args.sampling_temperature,
                                   seed=args.seed, attention=attention)


def written(translation: Translation, source: Sequence[str], run: Run, replace: bool) -> str:
    """Returns a translation as a sentence."""
    tokens = replace_unknown(translation, source) if replace else translation.tokens
    return join(tokens, run.tokenizations[1])


def output_lines(
    args: argparse.Namespace, numbers: Sequence[int], texts: Sequence[str],
    sources: Sequence[Sequence[str]], found: Sequence[Sequence[Translation]], run: Run,
) -> Iterator[str]:
    """Yields the lines to write."""
    for number, text, source, translations in zip(numbers, texts, sources, found, strict=True):
        lines = [(written(translation, source, run, args.replace_unk), translation.score)
                 for translation in translations]
        if args.json:
            answers = [{"text": line, "score": score} for line, score in lines]
            yield json.dumps({"source": text, "translations": answers}, ensure_ascii=False)
        elif args.nbest > 1:
            yield from (f"{number}\t{line}\t{score:.4f}" for line, score in lines)
        else:
            yield lines[0][0]


def tell(sources: Sequence[Sequence[str]], run: Run, max_len: int | None) -> None:
    """Prints on stderr what of the sentences the network does not see."""
    known = set(run.vocabularies[0])
    counts = {"empty": sum(not tokens for tokens in sources)}
    if max_len:
        counts[f"cut to {max_len} tokens"] = sum(len(tokens) > max_len for tokens in sources)
    counts["tokens unknown"] = sum(token not in known for tokens in sources
                                   for token in tokens[:max_len])
    if any(counts.values()):
        found = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        print(f"{len(sources):,} sentences: {found}", file=sys.stderr)


def score(lines: Sequence[str], references: Sequence[str], run: Run) -> dict[str, float]:
    """Scores translations against references."""
    how = run.tokenizations[1]
    tokens = [[tokenize(line, how) for line in side] for side in (lines, references)]
    whole = ([join_parts(line, how) for line in side] for side in tokens)
    texts = ([join(line, how) for line in side] for side in tokens)
    return {"bleu": metrics.corpus_bleu(*whole)} | metrics.sacrebleu_scores(
        *texts, how.language)[0]


def converse(translate: Translate, how: Decoding, replace: bool) -> None:
    """Translates each line of stdin at once, until it ends.

    Raises:
        UserError: a line is not UTF-8.
    """
    prompt = sys.stdin.isatty()
    for number in itertools.count(1):
        print("> " if prompt else "", end="", flush=True)
        if not (line := sys.stdin.buffer.readline()):
            return
        (found,), (source,) = translate.texts([decode(line, "stdin")], how, [number])
        for translation in found:
            print(written(translation, source, translate.run, replace), flush=True)


def translate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float] | None:
    """Translates and prints sentences."""
    check_flags(args)
    if args.interactive:
        run = load_run(args, flags, args.average)
        return converse(Translate(run), search_of(args, run), args.replace_unk)
    lines = read_sentences(args)
    references = read_references(args.ref_file, len(lines)) if args.ref_file else []
    numbers = args.inference_list or range(1, len(lines) + 1)
    run = load_run(args, flags, args.average)
    how, texts = search_of(args, run), [lines[number - 1] for number in numbers]
    found, sources = Translate(run).texts(texts, how, numbers)
    tell(sources, run, how.src_max_len)
    output = list(output_lines(args, numbers, texts, sources, found, run))
    if args.output_file:
        write_lines(Path(args.output_file), output)
    else:
        print(*output, sep="\n")
    best = [translations[0] for translations in found]
    if args.attention_png and best[0].tokens:
        draw_attention(sources[0], best[0].tokens, best[0].attention, Path(args.attention_png))
    if args.ref_file:
        return score([written(translation, source, run, args.replace_unk)
                      for translation, source in zip(best, sources, strict=True)],
                     [references[number - 1] for number in numbers], run)
    return None


def build_parser() -> cli.Parser:
    """Returns the parser; flags of the original keep their names beside shorter ones."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("sentences", nargs="*", help="sentences to translate")
    parser.add_argument("--input_file", "--inference_input_file",
                        type=lambda text: text if text == "-" else cli.path(text), metavar="FILE",
                        help="one sentence a line; - for stdin")
    parser.add_argument("--output_file", "--inference_output_file", type=cli.path,
                        help="write the translations here (default: stdout)")
    parser.add_argument("--ref_file", "--inference_ref_file", type=cli.path,
                        help="references, to score the translations")
    parser.add_argument("--inference_list", type=line_numbers, metavar="N,N,…",
                        help="translate only these lines of the input")
    add_decoding_flags(parser, beam_width=0, length_penalty_weight=0.0)
    parser.add_argument("--nbest", default=1,
                        type=cli.number(int, 1, 1000, "a whole number from 1 to 1000"),
                        help="translations of each sentence; without --beam_width also its value")
    parser.add_argument("--sampling_temperature", type=cli.non_negative_float, default=0.0,
                        help="above 0: draw the tokens instead of taking the most probable ones")
    parser.add_argument("--seed", type=cli.number(int, 0, 2**31 - 1, "a whole number from 0 to "
                                                  "2147483647"), default=0,
                        help="seed of the sampling")
    parser.add_argument("--replace_unk", action=argparse.BooleanOptionalAction, default=False,
                        help=f"replace {UNKNOWN} by the source token with the highest attention")
    parser.add_argument("--attention_png", type=cli.path,
                        help="draw the attention of the first sentence here")
    parser.add_argument("--json", action="store_true", help="print one JSON object per sentence")
    parser.add_argument("--interactive", action="store_true", help="translate line by line")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(translate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
