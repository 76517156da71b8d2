"""Measures the peak memory of a step of gradient ascent on a large picture.

    python memory.py
    python memory.py --width 8192 --height 6144 --tile_size 256
    python memory.py --network VGG16 --weights hed --layer block4_conv3 --publish

The peak is that of the whole process, TensorFlow and the network included. Start it afresh for each
measurement. `--publish` adds it to results/, from which the README table is made.
"""

import argparse
import resource
import sys
import time
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter04_deepdream import data, flags, networks, objectives
from chapter04_deepdream.ascent import NORMALIZATIONS, Rule, make_step
from common import cli, results
from common.errors import exit_status
from common.files import read_json, write_json
from common.provenance import provenance

GIB = 2**30
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Takes a step on a picture of noise; returns the peak memory in GiB and the CPU seconds."""
    network = networks.open_network(args)
    objective, _ = objectives.build(args, network)
    step = make_step(objective, Rule(args.normalize, args.tile_size))
    pixels = np.random.default_rng(0).uniform(0, 255, (1, args.height, args.width, 3))
    start = time.process_time()
    step(tf.constant(pixels, tf.float32), tf.constant([0, 1], tf.int64), 1.0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
    return {"gib": round(peak / GIB, 2), "cpu_seconds": round(time.process_time() - start, 1)}


def publish(
    settings: dict[str, object], figures: dict[str, float], command: Sequence[str]
) -> None:
    """Adds a row to results/chapter04_deepdream/memory.json, or replaces that of its settings."""
    path = results.RESULTS / "chapter04_deepdream" / "memory.json"
    rows = read_json(path)["rows"] if path.exists() else []
    kept = [old for old in rows if not settings.items() <= old.items()]
    row = settings | figures | {"command": " ".join(["python memory.py", *command])} | provenance()
    write_json(path, {"rows": [*kept, row]})


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    networks.add_flags(parser, networks.TEXTURES)
    objectives.add_flags(parser)
    group = parser.add_argument_group("picture and step")
    group.add_argument("--width", type=cli.size, default=4096, help="of the picture in pixels")
    group.add_argument("--height", type=cli.size, default=3072, help="of the picture in pixels")
    group.add_argument("--tile_size", type=cli.size, default=512, help="longest side of a tile")
    group.add_argument("--normalize", choices=list(NORMALIZATIONS), default="laplacian",
                       help="normalization of the gradient")
    group.add_argument("--publish", action=argparse.BooleanOptionalAction, default=False,
                       help="add the figures to results/")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measures one step."""

    def show() -> dict[str, float]:
        args = flags.parse(build_parser(), argv)
        objectives.settle(args)
        data.check_graph(args.network)
        keras.utils.set_random_seed(0)  # for --weights none
        figures = measure(args)
        print(f"one step on {args.width} x {args.height} pixels: peak memory {figures['gib']} GiB, "
              f"{figures['cpu_seconds']} CPU seconds")
        if args.publish:
            settings = {"network": args.network, "layer": args.layer, "normalize": args.normalize,
                        "size": f"{args.width} x {args.height}", "tile": args.tile_size}
            command = sys.argv[1:] if argv is None else argv
            publish(settings, figures,
                    [results.portable_path(word) if word.startswith("/") else word
                     for word in command])
        return figures

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
