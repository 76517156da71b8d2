"""Scores the translations of the test sentences, beside those of trivial baselines.

    python eval.py                          # beam search of width 5
    python eval.py --beam_width 1           # greedy
    python eval.py --against plain          # and the difference from another run
    python eval.py --publish                # also into results/

BLEU, ROUGE-L and accuracy are those of the original: of tokens, with sub-words joined. BLEU has a
95 % interval over resampled test sets; the difference between two runs has a paired one. sacreBLEU
and chrF compare whole sentences. The baselines copy the source, repeat the most frequent target
sentence of training, and translate word by word. Writes eval.json, translations.txt and attention
pictures.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chapter16_nmt import baselines, data, metrics
from chapter16_nmt.decoding import Decoding, add_decoding_flags, decoding
from chapter16_nmt.flags import TRANSFORMER
from chapter16_nmt.inference import Run, Translate, load_run, make_score
from chapter16_nmt.pictures import draw_attention
from chapter16_nmt.tokens import Tokenization, join, join_parts
from common import cli, results, rundir
from common.errors import UserError
from common.monitor import read_curve

NUM_PICTURES = 4  # test sentences whose attention is drawn
PICTURE_WORDS = range(6, 21)  # lengths of their sources

Sentences = Sequence[Sequence[str]]


def scores_of(
    translations: Sentences, references: Sentences, how: Tokenization
) -> tuple[dict[str, float], dict[str, str]]:
    """Returns all scores of some translations, and the signatures of sacrebleu.

    Args:
        translations: the tokens of the vocabulary, perhaps parts of words.
        references: the same of the references.
        how: how the target was tokenized.
    """
    whole = [[join_parts(tokens, how) for tokens in side] for side in (translations, references)]
    interval = metrics.bleu_interval(*whole)
    texts = ([join(tokens, how) for tokens in side] for side in (translations, references))
    more, signatures = metrics.sacrebleu_scores(*texts, how.language)
    scores = {"bleu": interval.value, "bleu_low": interval.low, "bleu_high": interval.high,
              "rouge_l": metrics.rouge_l(*whole), "accuracy": metrics.accuracy(*whole) / 100}
    return scores | more, signatures


def check_publish(args: argparse.Namespace) -> None:
    """Raises UserError if another search or test set would replace the result of the default."""
    flags = ("checkpoint", "test_prefix", "beam_width", "length_penalty_weight",
             "tgt_max_len_infer", "src_max_len_infer", "average", "metric")
    default = build_parser().get_default
    changed = [flag for flag in flags if flag in args.typed and vars(args)[flag] != default(flag)]
    if args.publish == "" and changed:
        raise UserError(f"--publish of an evaluation with --{' --'.join(changed)}",
                        "give a suffix: --publish SUFFIX")


def compare(
    args: argparse.Namespace, other: Path, ours: Sentences, split: data.Split, how: Tokenization
) -> dict[str, float]:
    """Returns the paired difference in BLEU from another run on the same data."""
    flags = argparse.Namespace(**rundir.read_config(other, args.chapter)["flags"])
    there = argparse.Namespace(**{**vars(args), "run_dir": other})
    run = load_run(there, flags, args.average)
    found = Translate(run).sentences(split.sources, decoding(args), bar=True)
    theirs = [join_parts(best.tokens, run.tokenizations[1]) for best, *_ in found]
    references = [join_parts(tokens, how) for tokens in split.references]
    difference = metrics.paired_difference([join_parts(tokens, how) for tokens in ours], theirs,
                                           references)
    print(f"BLEU minus that of {other.name}: {difference.value:+.2f} "
          f"[{difference.low:+.2f}, {difference.high:+.2f}]")
    return {"bleu": difference.value, "bleu_low": difference.low, "bleu_high": difference.high}


def draw_pictures(
    run_dir: Path, sources: Sentences, translate: Translate, how: Decoding
) -> None:
    """Draws the attention of the first sentences of medium length."""
    chosen = [source for source in sources if len(source) in PICTURE_WORDS][:NUM_PICTURES]
    found = translate.sentences(chosen, how._replace(attention=True))
    for number, (source, (best, *_)) in enumerate(zip(chosen, found, strict=True)):
        if best.attention is not None:
            draw_attention(source, best.tokens, best.attention,
                           run_dir / f"attention_{number}.png")


def write_translations(path: Path, split: data.Split, found: Sentences, run: Run) -> None:
    """Writes sources, references and translations as text."""
    source_way, target_way = run.tokenizations
    lines = [f"source       {join(source, source_way)}\nreference    {join(reference, target_way)}"
             f"\ntranslation  {join(tokens, target_way)}\n"
             for source, reference, tokens in
             zip(split.sources, split.references, found, strict=True)]
    path.write_text("\n".join(lines), encoding="utf-8")


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Scores a run and the baselines; writes eval.json."""
    check_publish(args)
    if flags.dataset == "grammar":
        cli.refuse_idle(args, data.FILE_FLAGS, "--dataset grammar")
    run = load_run(args, flags, args.average)
    corpus = data.load(flags)
    rundir.check_data(args.run_dir, corpus.sha256)
    if args.against:
        other = rundir.find_run(args.chapter, args.against)
        rundir.check_data(other, corpus.sha256)
    name, how = "test" if "test" in corpus.splits else "dev", run.tokenizations[1]
    split, train = corpus.splits[name], corpus.splits["train"]
    # Translate, and score the network and the baselines alike.
    translate, search = Translate(run), decoding(args)
    tokens = [best.tokens for best, *_ in translate.sentences(split.sources, search, bar=True)]
    scores, signatures = scores_of(tokens, split.references, how)
    scores |= {"perplexity": make_score(run.model)(split, args.infer_batch_size)["perplexity"],
               "sentences": len(tokens), "empty": split.counts["empty"],
               "cut": sum(len(source) > (search.src_max_len or len(source))
                          for source in split.sources)}
    found = {name: scores}
    for baseline, translations in baselines.translations(
            split.sources, train.sources, train.references, how).items():
        found[baseline] = scores_of(translations, split.references, how)[0]
    if args.against:
        found["difference"] = compare(args, other, tokens, split, how)
    for system in (name, *list(found)[1:4]):
        print(f"{system:>13}: BLEU {found[system]['bleu']:5.2f} [{found[system]['bleu_low']:.2f}, "
              f"{found[system]['bleu_high']:.2f}], chrF {found[system]['chrf']:.1f}")
    write_translations(args.run_dir / "translations.txt", split, tokens, run)
    draw_pictures(args.run_dir, split.sources, translate, search)
    print(f"{len(tokens):,} sentences: {args.run_dir / 'translations.txt'}")
    dataset = "grammar" if flags.dataset == "grammar" else f"{flags.src}_{flags.tgt}"
    network = TRANSFORMER if flags.model == TRANSFORMER else flags.attention
    if args.average > 1:
        args.checkpoint = "latest"  # the last of those that are averaged
    how_found = {flag: vars(args)[flag] for flag in (
        "beam_width", "length_penalty_weight", "average", "metric", "src_max_len_infer",
        "tgt_max_len_infer")}
    steps, values = read_curve(args.run_dir, "val", "perplexity")
    curve = {"dev_perplexity": dict(zip(steps.tolist(), values.round(4), strict=True))}
    results.write(args, dataset, f"{network}-{flags.preset}", found,
                  details=signatures | how_found | curve)
    return {key: scores[key] for key in ("bleu", "chrf", "perplexity", "sentences")}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=data.FILE_FLAGS)
    add_decoding_flags(parser, beam_width=5, length_penalty_weight=1.0)
    parser.add_argument("--against", metavar="RUN", type=cli.run_or_name,
                        help="another run of the same data, whose BLEU is subtracted")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
