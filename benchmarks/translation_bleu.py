"""Trains chapter 16's attention model in PyTorch too: does it translate as well as ours?

    python -m benchmarks.translation_bleu NAME
    python -m benchmarks.translation_bleu NAME --publish

NAME is a finished run of `--preset best_zh`. The same network begins with the same weights, and
sees the same batches at the same rates; only its dropout draws other numbers. As in the run, the
weights with the best greedy BLEU of the dev sentences are kept. They are copied into chapter 16's
network, which translates the test sentences by the same beam search. The training is saved
in the run at each evaluation, and continued. Writes results/chapter16_nmt/pytorch.json.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.torch_translation import TorchTranslator, train_step
from chapter16_nmt import data, metrics
from chapter16_nmt.decoding import Decoding
from chapter16_nmt.flags import build_model
from chapter16_nmt.inference import Run, Translate, load_run
from chapter16_nmt.schedules import learning_rate
from chapter16_nmt.tokens import join_parts
from common import files, results, rundir
from common.errors import exit_status

CHAPTER = "chapter16_nmt"
GREEDY, BEAM = Decoding(), Decoding(beam_width=5, length_penalty_weight=1.0)  # as in eval.py


def translate(run: Run, split: data.Split, how: Decoding) -> tuple[list[list[str]], ...]:
    """Returns the translations of a split and its references, in whole words."""
    found = [best.tokens for best, *_ in Translate(run).sentences(split.sources, how)]
    return tuple([join_parts(tokens, run.tokenizations[1]) for tokens in side]
                 for side in (found, split.references))


def train(run: Run, corpus: data.Data, folder: Path) -> None:
    """Trains in PyTorch, and leaves the best weights in the network of the run."""
    flags = run.flags
    fresh = build_model(flags, [len(vocabulary) for vocabulary in corpus.vocabularies])
    torch.manual_seed(flags.seed)
    network = TorchTranslator(fresh)
    trained = [weights for weights in network.parameters() if weights.requires_grad]
    optimizer = torch.optim.Adam(trained, flags.learning_rate, eps=1e-7)  # Keras' ε
    rates, batches = learning_rate(flags), data.Batches(corpus.splits["train"], flags)
    saved, state = folder / "pytorch.pt", {"step": 0, "best": -1.0, "weights": None}
    if saved.exists():
        state = torch.load(saved, weights_only=False)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
    stream = batches.start_at(state["step"])
    steps = range(state["step"] + 1, flags.max_steps + 1)
    for step in tqdm(steps, total=flags.max_steps, initial=state["step"], unit="step"):
        optimizer.param_groups[0]["lr"] = float(rates(step - 1))
        train_step(network, optimizer, next(stream), flags)
        if step % flags.eval_every == 0 or step == flags.max_steps:
            network.copy_back(run.model)
            score = metrics.corpus_bleu(*translate(run, corpus.splits["dev"], GREEDY))
            tqdm.write(f"step {step}: dev BLEU {score:.2f}")
            if score > state["best"]:
                state |= {"best": score, "weights": run.model.get_weights()}
            state |= {"step": step, "network": network.state_dict(),
                      "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
            torch.save(state, part := saved.with_suffix(".part"))
            part.replace(saved)
    run.model.set_weights(state["weights"])


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Translates the test sentences with both, prints and writes their BLEU."""
    folder = rundir.find_run(CHAPTER, args.run)
    flags = argparse.Namespace(**rundir.read_config(folder, CHAPTER)["flags"])
    where = argparse.Namespace(run_dir=folder, checkpoint="best", typed={})
    run, corpus = load_run(where, flags), data.load(flags)
    rundir.check_data(folder, corpus.sha256)
    ours, references = translate(run, corpus.splits["test"], BEAM)
    train(run, corpus, folder)
    theirs, _ = translate(run, corpus.splits["test"], BEAM)
    difference = metrics.paired_difference(ours, theirs, references)
    row = {"ours": metrics.corpus_bleu(ours, references),
           "pytorch": metrics.corpus_bleu(theirs, references),
           "difference": difference.value, "low": difference.low, "high": difference.high}
    print(row)
    if args.publish:
        files.write_json(results.RESULTS / CHAPTER / "pytorch.json", {
            "command": f"python -m benchmarks.translation_bleu {args.run}",
            "rows": [{name: round(value, 2) for name, value in row.items()}]}
            | results.provenance())
    return row


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.translation_bleu",
                                     description=__doc__.partition("\n")[0])
    parser.add_argument("run", metavar="NAME", help="a finished run of --preset best_zh")
    parser.add_argument("--publish", action=argparse.BooleanOptionalAction, default=False,
                        help="write to results/")
    return exit_status(lambda: compare(parser.parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
