"""Adds and subtracts z (Radford et al. 2016, figure 7): smiling woman - woman + man = smiling man.

    python arithmetic.py --name faces --attribute glasses            # cartoon faces
    python arithmetic.py --plus 3,17,42 --minus 5,8,13 --to 2,9,30   # any run

Each of the three is the mean of the z of three images. For faces drawn by code, a classifier of the
labelled attributes chooses them: "faces with glasses and long hair - faces with long hair + faces
without both" is to have glasses and no long hair. It is tried --trials times; the classifier says
how often that is so; with --publish, for all pairs of attributes. Otherwise, choose images of
generate.py by their numbers. Writes arithmetic.png to the run folder: the three means, and results
with noise of 0.25 around them.
"""

import argparse
import functools
import itertools
from collections.abc import Sequence

import numpy as np

from chapter08_dcgan import attributes, data
from chapter08_dcgan.attributes import ATTRIBUTES
from chapter08_dcgan.inference import Run, load_run, numbered_z, numbers
from common import cli, images, results, rundir
from common.errors import UserError

NOISE = 0.25  # of the neighbours of a result, as in the paper
MEAN_OF = 3  # images per term


def calculate(terms: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the mean of the first images' z, minus that of the second, plus that of the third."""
    plus, minus, to = (np.mean(z, axis=0) for z in terms)
    return plus - minus + to


def draw(run: Run, terms: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Draws one line: the means of the three terms, the result, and five neighbours of it."""
    result, rng = calculate(terms), np.random.default_rng(seed)
    noise = rng.uniform(-NOISE, NOISE, (5, len(result)))
    z = [*(np.mean(part, axis=0) for part in terms), result, *(result + noise)]
    return run.generate(np.stack(z), np.zeros(len(z), int))


def by_attribute(
    run: Run, args: argparse.Namespace, flags: argparse.Namespace,
    pairs: Sequence[tuple[str, str]],
) -> tuple[list[list[list[np.ndarray]]], list[dict[str, str | float]]]:
    """Tries to give images one attribute without another, for some pairs of attributes.

    Returns:
        For each pair the terms of all trials, and the shares of the results, and of the means they
        start from, that have the first attribute and not the second.
    """
    found = data.load(flags)
    rundir.check_data(args.run_dir, found.digest)
    classifier = attributes.learn(found)

    def look(points: np.ndarray) -> np.ndarray:
        """Returns which attributes the images of some z have."""
        return classifier.predict(run.generate(points, np.zeros(len(points), int)))

    z = numbered_z(args.seed, args.num, run.z_dim)
    seen = look(z)
    terms, rows = [], []
    for attribute, other in pairs:
        columns = [ATTRIBUTES.index(attribute), ATTRIBUTES.index(other)]
        wanted, beside = seen[:, columns].T
        groups = [z[wanted & beside], z[~wanted & beside], z[~wanted & ~beside]]
        if (fewest := min(map(len, groups))) < MEAN_OF:
            raise UserError(f"of {args.num} generated faces only {fewest} are of a kind that is "
                            f"needed ({attribute}, {other}: both, only the second, neither)",
                            "raise --num, or train longer")
        rng = np.random.default_rng(args.seed)
        trials = [[group[rng.choice(len(group), MEAN_OF, replace=False)] for group in groups]
                  for _ in range(args.trials)]
        points = {"share": [calculate(trial) for trial in trials],
                  "start": [np.mean(trial[2], axis=0) for trial in trials]}
        shares = {name: look(np.stack(part))[:, columns] for name, part in points.items()}
        terms.append(trials)
        rows.append({"attribute": attribute, "without": other, "trials": args.trials,
                     "accuracy": min(classifier.accuracy[name] for name in (attribute, other)),
                     **{name: float(np.mean(part[:, 0] & ~part[:, 1]))
                        for name, part in shares.items()}})
    return terms, rows


def arithmetic(
    argv: Sequence[str] | None, args: argparse.Namespace, flags: argparse.Namespace
) -> None:
    """Draws the lines and prints what the results have."""
    chosen = (args.plus, args.minus, args.to)
    if any(chosen) and not all(chosen):
        raise UserError("--plus, --minus and --to belong together", "give all three, or none")
    if all(chosen):
        cli.refuse_idle(args, ["attribute", "beside", "num", "trials", "publish"],
                        "--plus, --minus and --to")
    if args.publish:
        cli.refuse_idle(args, ["attribute", "beside"], "--publish")
    if args.attribute == args.beside:
        raise UserError(f"--beside {args.beside} is --attribute too", "give two attributes")
    run = load_run(args, flags)
    if all(chosen):
        terms = [[np.stack([numbered_z(args.seed, 1, run.z_dim, number)[0] for number in part])
                  for part in chosen]]
        print("the line of the images that were chosen", end="; ")
    elif flags.dataset != "faces" or run.names:
        raise UserError(f"this run is of {flags.dataset}, whose images have no attributes",
                        "choose images by number: --plus 3,17,42 --minus 5,8,13 --to 2,9,30")
    else:
        pairs = [(args.attribute, args.beside)]
        if args.publish:
            pairs = list(itertools.permutations(ATTRIBUTES, 2))
        tried, rows = by_attribute(run, args, flags, pairs)
        terms = [trials[0] for trials in tried] if args.publish else tried[0][:8]
        for row in rows:
            print(f"{row['attribute']} without {row['without']}: {row['share']:.0%} of "
                  f"{row['trials']} results, {row['start']:.0%} of the means they start from "
                  f"(classifier: {row['accuracy']:.0%} of the test images or more)")
        if args.publish:
            results.publish_rows(__file__, argv, "arithmetic", rows)
    png = args.run_dir / "arithmetic.png"
    images.write_png(png, images.grid(np.concatenate([draw(run, trial, args.seed)
                                                      for trial in terms]), 9))
    print(png)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("--attribute", choices=ATTRIBUTES, default="glasses",
                        help="what is to be added")
    parser.add_argument("--beside", choices=ATTRIBUTES, default="long_hair",
                        help="what the first two terms have and the third has not")
    parser.add_argument("--num", type=cli.size, default=1000, help="faces to choose from")
    parser.add_argument("--trials", type=cli.size, default=100, help="draws of nine faces")
    for name, help_text in (("plus", "images that have it"), ("minus", "images without it"),
                            ("to", "images to which it is added")):
        parser.add_argument(f"--{name}", type=numbers, metavar="NUMBERS",
                            help=f"{help_text}: numbers of generate.py, comma-separated")
    parser.add_argument("--publish", action="store_true",
                        help="try all pairs of attributes and write their shares to results/")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of all z")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(functools.partial(arithmetic, argv), build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
