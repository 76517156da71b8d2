"""Flags of the network and of its training; names and defaults are those of the original."""

import argparse
from collections.abc import Sequence

from chapter16_nmt import attention, cells, model, transformer
from chapter16_nmt.metrics import METRICS
from common import cli
from common.errors import UserError

NO_ATTENTION, TRANSFORMER = "none", "transformer"
RECURRENT = ("encoder_type", "unit_type", "forget_bias", "residual", "attention", "context",
             "attention_architecture", "pass_hidden_state", "init_op", "init_weight")
DECAY = ("start_decay_step", "decay_steps", "decay_factor")


def metric_names(text: str) -> str:
    """Returns a list of metrics as it is typed (argparse `type`)."""
    names = text.split(",")
    if unknown := sorted(set(names) - METRICS.keys()):
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(METRICS)}")
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text} names a metric twice")
    return text


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the network."""
    group = parser.add_argument_group("network")
    group.add_argument("--model", choices=["rnn", TRANSFORMER], default="rnn",
                       help="rnn: recurrent layers, perhaps with attention; transformer: attention "
                            "alone")
    group.add_argument("--num_heads", type=cli.layer_count, default=4,
                       help="attention heads of a transformer")
    group.add_argument("--num_units", type=cli.size, default=32,
                       help="size of embeddings, states and outputs")
    group.add_argument("--num_layers", type=cli.layer_count, default=2,
                       help="layers of encoder and decoder")
    group.add_argument("--encoder_type", choices=model.ENCODERS, default="uni",
                       help="uni: forward; bi: half of the layers forward, half backward; gnmt: "
                            "one layer in both directions, the others above it")
    group.add_argument("--unit_type", choices=cells.UNIT_TYPES, default="lstm",
                       help="type of the recurrent layers")
    group.add_argument("--forget_bias", type=float, default=1.0,
                       help="is added to the forget gate of LSTMs")
    group.add_argument("--dropout", type=cli.number(float, 0, 0.99, "a number from 0 to 0.99"),
                       default=0.2, help="dropout rate at the inputs of each layer")
    group.add_argument("--residual", action=argparse.BooleanOptionalAction, default=False,
                       help="add the input of upper layers to their output")
    group.add_argument("--attention", choices=[NO_ATTENTION, *attention.KINDS],
                       default=NO_ATTENTION, help="score between decoder and source")
    group.add_argument("--attention_architecture", choices=model.ARCHITECTURES, default="standard",
                       help="standard: the top layer attends; gnmt: the bottom layer, and upper "
                            "layers see the context before; gnmt_v2: they see the new one")
    group.add_argument("--pass_hidden_state", action=argparse.BooleanOptionalAction, default=True,
                       help="start the decoder from the encoder's last states")
    group.add_argument("--context", choices=["initial", "every_step"], default="initial",
                       help="without attention: where the decoder gets the encoder's last state: "
                            "before the first word (figure 16-1), or at each word (figure 16-2)")
    group.add_argument("--tie_embeddings", action=argparse.BooleanOptionalAction, default=False,
                       help="use the target's embedding as weights of the classifier")
    for side in ("src", "tgt"):
        group.add_argument(f"--{side}_embedding_file", type=cli.path,
                           help="initial embeddings of known words, of dimension --num_units: "
                                "word2vec's text (chapter 14) or .bin format, or GloVe's")
    group.add_argument("--init_op", choices=["uniform", "glorot_normal", "glorot_uniform"],
                       default="uniform", help="distribution of the initial weights")
    group.add_argument("--init_weight", type=cli.positive_float, default=0.1,
                       help="bound of the uniform distribution")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the training."""
    group = parser.add_argument_group("training")
    group.add_argument("--max_steps", "--num_train_steps", type=cli.positive_int, default=12000,
                       help="number of optimizer updates")
    group.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd", help="optimizer")
    group.add_argument("--learning_rate", type=cli.positive_float,
                       help="learning rate (default: 1 for sgd, 0.002 for adam, 0.001 for adam "
                            "with a transformer)")
    group.add_argument("--warmup_steps", type=cli.non_negative_int, default=0,
                       help="updates in which the learning rate rises from 0")
    group.add_argument("--schedule", choices=["decay", "cosine"], default="decay",
                       help="decay: as the next three flags say; cosine: to 0 at --max_steps")
    group.add_argument("--start_decay_step", type=cli.non_negative_int, default=0,
                       help="updates before the first decay")
    group.add_argument("--decay_steps", type=cli.positive_int, default=10000,
                       help="updates between two decays")
    group.add_argument("--decay_factor", type=cli.above_0_to_1, default=0.98,
                       help="factor of the learning rate at each decay")
    group.add_argument("--max_gradient_norm", type=cli.positive_float, default=5.0,
                       help="gradients are clipped to this global norm")
    group.add_argument("--loss_reduction", choices=["sentences", "tokens"], default="sentences",
                       help="what the sum of a batch's losses is divided by")
    group.add_argument("--label_smoothing", type=cli.number(float, 0, 0.9, "a number from 0 to .9"),
                       default=0.0, help="probability spread over the vocabulary")
    group.add_argument("--metrics", type=metric_names, default="bleu",
                       help="scores of the dev translations, of " + ", ".join(METRICS) + "; the "
                            "best weights by each are kept, the first one is --checkpoint best")
    group.add_argument("--patience", type=cli.non_negative_int, default=0,
                       help="stop after so many evaluations without a better first metric; 0: "
                            "never")
    group.add_argument("--log_every", "--steps_per_stats", type=cli.positive_int, default=100,
                       help="updates between two log lines")
    group.add_argument("--eval_every", "--steps_per_external_eval", type=cli.positive_int,
                       default=1000, help="updates between two evaluations on dev")
    group.add_argument("--save_every", type=cli.positive_int, default=1000,
                       help="updates between two checkpoints")
    cli.add_init_from(group)


def default_rate(args: argparse.Namespace) -> float:
    """Returns the learning rate of an optimizer if none is given."""
    if args.optimizer == "sgd":
        return 1.0
    return 0.001 if args.model == TRANSFORMER else 0.002


def attends(flags: argparse.Namespace) -> bool:
    """Returns whether the network that the flags name has attention to the source."""
    return flags.model == TRANSFORMER or flags.attention != NO_ATTENTION


def build_model(
    flags: argparse.Namespace, sizes: Sequence[int]
) -> model.Translator | transformer.Transformer:
    """Returns the network that the flags name, for vocabularies of two sizes."""
    if flags.model == TRANSFORMER:
        settings = {name: getattr(flags, name) for name in transformer.Sizes._fields}
        return transformer.Transformer(transformer.Sizes(**settings), *sizes, flags.seed)
    values = {name: getattr(flags, name) for name in model.Layers._fields}
    if flags.attention == NO_ATTENTION:
        values["attention"] = ""
    return model.Translator(model.Layers(**values), *sizes, flags.init_op, flags.init_weight,
                            flags.seed)


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect, or if flags contradict each other."""
    if args.share_vocab:
        cli.refuse_idle(args, ["tgt_embedding_file"], "--share_vocab")
    if args.schedule == "cosine":
        cli.refuse_idle(args, DECAY, "--schedule cosine")
    if args.model != TRANSFORMER:
        cli.refuse_idle(args, ["num_heads"], f"--model {args.model}")
        return check_recurrent(args)
    cli.refuse_idle(args, RECURRENT, "--model transformer")
    if args.num_units % args.num_heads:
        raise UserError(f"--num_units {args.num_units} cannot be divided by --num_heads "
                        f"{args.num_heads}", "give a multiple")


def check_recurrent(args: argparse.Namespace) -> None:
    """Raises UserError if flags of a recurrent network have no effect or contradict each other."""
    if args.attention == NO_ATTENTION:
        cli.refuse_idle(args, ["attention_architecture"], "--attention none")
        if not args.pass_hidden_state and args.context == "initial":
            raise UserError("--no-pass_hidden_state without attention leaves nothing of the source",
                            "add --attention scaled_luong, or --context every_step")
    else:
        cli.refuse_idle(args, ["context"], f"--attention {args.attention}")
    if args.num_layers < (3 if args.encoder_type == "gnmt" else 2):
        cli.refuse_idle(args, ["residual"], f"--encoder_type {args.encoder_type} --num_layers "
                        f"{args.num_layers}")
    if args.unit_type == "gru":
        cli.refuse_idle(args, ["forget_bias"], "--unit_type gru")
    if args.init_op != "uniform":
        cli.refuse_idle(args, ["init_weight"], f"--init_op {args.init_op}")
    if args.encoder_type == "bi" and args.num_layers % 2:
        raise UserError(f"--num_layers {args.num_layers} cannot be halved for --encoder_type bi",
                        "give an even number")
    if args.encoder_type == "gnmt" and args.num_layers < 2:
        raise UserError("--encoder_type gnmt needs two layers or more", "raise --num_layers")
    if args.attention_architecture != "standard" and args.num_layers < 2:
        raise UserError(f"--attention_architecture {args.attention_architecture} needs two layers "
                        "or more", "raise --num_layers")
