"""Encodes all pictures of a data set once, so that trainings with a frozen encoder start at once.

    python prepare.py --dataset flickr8k --data_dir FOLDER --encoder MobileNet --alpha 0.75 \
        --weights FILE

train.py does the same when it needs feature vectors that are not there. Pictures that are missing
and pictures without captions are left out and counted.
"""

from collections.abc import Sequence

from chapter17_image_caption import data, encoder
from chapter17_image_caption.model import MODELS
from common import cli
from common.errors import UserError, exit_status


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    data.add_flags(parser)
    encoder.add_flags(parser)
    parser.add_argument("--model", choices=MODELS, default="tell",
                        help="attend needs the feature vectors of all places, the others the mean")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    def prepare() -> dict[str, float]:
        parser = build_parser()
        args = parser.parse_args(argv)
        args.typed = cli.typed_flags(parser, argv)
        data.check_flags(args)
        if encoder.is_live(args):
            raise UserError("feature vectors are kept of a frozen encoder only", "name a network "
                            "with --encoder, and omit --train_encoder and --augment")
        encoder.check_flags(args)
        found = data.load(args)
        print(data.describe(found))
        network = encoder.build(args)
        shapes = [encoder.cached(args, network, split, found.sha256, name).shape
                  for name, split in found.splits.items()]
        print("\n".join(f"{name:>10}: {shape[0]:,} pictures, {shape[1]} places, {shape[2]:,} "
                        "channels" for name, shape in zip(found.splits, shapes, strict=True)))
        return {"pictures": sum(shape[0] for shape in shapes)}

    return exit_status(prepare)


if __name__ == "__main__":
    raise SystemExit(main())
