"""The flags of the network and of its training, and what is built from them."""

import argparse

import keras

from chapter17_image_caption import data, encoder
from chapter17_image_caption.model import CONTEXTS, MODELS, Captioner, Sizes
from chapter17_image_caption.transformer import Settings, Transformer
from common import cli
from common.errors import UserError

DECODERS = ("lstm", "transformer")
LSTM = ("context", "num_lstm_units")  # flags of each decoder
TRANSFORMER = ("num_layers", "num_heads")
DECAY = ("num_epochs_per_decay", "learning_rate_decay_factor")
number_below_1 = cli.number(float, 0, 0.999, "a number from 0 to below 1")


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the decoder."""
    group = parser.add_argument_group("decoder")
    group.add_argument("--model", choices=MODELS, default="tell",
                       help="tell: Show and Tell; attend: Show, Attend and Tell; attributes: a "
                            "vector of probable words")
    group.add_argument("--decoder", choices=DECODERS, default="lstm",
                       help="lstm; transformer: attention to the words so far and to the picture")
    group.add_argument("--context", choices=CONTEXTS, default="initial",
                       help="the picture is the first input, or beside every word")
    group.add_argument("--num_lstm_units", type=cli.size, default=512, help="units of the LSTM")
    group.add_argument("--embedding_size", type=cli.size, default=512,
                       help="of words and picture, and of the layers of a Transformer")
    group.add_argument("--num_layers", type=cli.layer_count, default=2,
                       help="layers of a Transformer")
    group.add_argument("--num_heads", type=cli.size, default=4,
                       help="attention heads of a Transformer")
    group.add_argument("--image_dropout", type=number_below_1, default=0.2,
                       help="dropout of the picture's mean feature vector, or of all of them in a "
                            "Transformer")
    group.add_argument("--dropout", type=number_below_1, default=0.3,
                       help="dropout of the LSTM's inputs and outputs, or of a Transformer's "
                            "layers")
    group.add_argument("--num_attributes", type=cli.size, default=200,
                       help="words of the attribute vector")
    group.add_argument("--attention_penalty", type=cli.non_negative_float, default=1.0,
                       help="weight of the doubly stochastic penalty of attend")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the training."""
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", "--number_of_steps", type=cli.positive_int, default=1000000,
                       help="updates, with those of --pretrain_steps")
    group.add_argument("--pretrain_steps", type=cli.non_negative_int, default=0,
                       help="first updates, on all training captions without pictures")
    group.add_argument("--batch_size", type=cli.size, default=32, help="captions per batch")
    group.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd", help="optimizer")
    group.add_argument("--learning_rate", type=cli.positive_float, default=2.0,
                       help="initial learning rate")
    group.add_argument("--schedule", choices=["decay", "cosine", "constant"], default="decay",
                       help="of the learning rate; decay is the original's")
    group.add_argument("--num_epochs_per_decay", type=cli.positive_float, default=8.0,
                       help="epochs between two steps of the schedule decay")
    group.add_argument("--learning_rate_decay_factor", type=cli.above_0_to_1, default=0.5,
                       help="factor of a step")
    group.add_argument("--max_gradient_norm", type=cli.positive_float, default=5.0,
                       help="gradients are clipped to this norm")
    group.add_argument("--log_every", "--log_every_n_steps", type=cli.positive_int, default=20,
                       help="updates between two log lines")
    group.add_argument("--eval_every", type=cli.positive_int, default=500,
                       help="updates between two measurements on the validation pictures")
    group.add_argument("--save_every", type=cli.positive_int, default=500,
                       help="updates between two checkpoints")


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect, or flags contradict each other."""
    data.check_flags(args)
    encoder.check_flags(args)
    idle = TRANSFORMER if args.decoder == "lstm" else LSTM
    cli.refuse_idle(args, idle, f"--decoder {args.decoder}")
    if args.decoder == "transformer" and args.embedding_size % args.num_heads:
        raise UserError(f"--embedding_size {args.embedding_size} is not a multiple of "
                        f"--num_heads {args.num_heads}", "change one of them")
    if args.model != "attend":
        cli.refuse_idle(args, ["attention_penalty"], f"--model {args.model}")
    else:
        cli.refuse_idle(args, ["context"], "--model attend")
    if args.model != "attributes":
        cli.refuse_idle(args, ["num_attributes"], f"--model {args.model}")
    elif encoder.is_live(args):
        raise UserError("--model attributes needs feature vectors that do not change",
                        "choose a network of keras.applications with --encoder, and omit "
                        "--train_encoder and --augment")
    if args.schedule != "decay":
        cli.refuse_idle(args, DECAY, f"--schedule {args.schedule}")


def build_captioner(args: argparse.Namespace, vocabulary: int, channels: int
                    ) -> Captioner | Transformer:
    """Builds the decoder; `channels` is the size of what it sees at each place."""
    if args.decoder == "transformer":
        return Transformer(Settings(vocabulary, channels, args.embedding_size, args.num_layers,
                                    args.num_heads, args.image_dropout, args.dropout), args.seed)
    return Captioner(Sizes(args.model, args.context, vocabulary, channels, args.embedding_size,
                           args.num_lstm_units, args.image_dropout, args.dropout))


def decay_steps(captions: int, batch_size: int, epochs: float) -> int:
    """Returns the updates between two steps of the learning rate, as the original counts them."""
    return max(1, int(captions / batch_size * epochs))


def make_optimizer(args: argparse.Namespace, captions: int) -> keras.Optimizer:
    """Returns the optimizer; `captions` is the number of those of training pictures."""
    schedules, rate = keras.optimizers.schedules, args.learning_rate
    if args.schedule == "decay":
        steps = decay_steps(captions, args.batch_size, args.num_epochs_per_decay)
        rate = schedules.ExponentialDecay(rate, steps, args.learning_rate_decay_factor, True)
    elif args.schedule == "cosine":
        rate = schedules.CosineDecay(rate, args.max_steps)
    return (keras.optimizers.SGD if args.optimizer == "sgd" else keras.optimizers.Adam)(rate)
