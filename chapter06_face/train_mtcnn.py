"""Trains the three networks of MTCNN on drawn scenes (Zhang et al. 2016; book, section 6.1).

    python train_mtcnn.py
    python detect.py scene.png --mtcnn_weights RUN        # RUN: a name, or a folder

P-Net is trained first, on windows of scenes with cartoon faces. R-Net is trained on what P-Net
leaves, O-Net on what both leave, so that each network learns from the mistakes of those before it.
The loss of a window has three parts: face or not, the sides of the face, its landmarks. The weights
of these are those of the paper. Published weights, for photographs, are used by detect.py.
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from chapter06_face import mtcnn, scenes
from chapter06_face.cartoon import Scene
from chapter06_face.scenes import FACE, NONE
from common import cli, files, inputs, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor

STAGES = ("pnet", "rnet", "onet")
# Weights of the parts of the loss: face, sides, landmarks (Zhang et al. 2016, § 3.3). Only O-Net
# has landmarks; the book's text gives them to all three.
LOSS_WEIGHTS = {"pnet": (1.0, 0.5, 0.0), "rnet": (1.0, 0.5, 0.0), "onet": (1.0, 0.5, 1.0)}
HARD_SHARE = 0.7  # of the classified windows of a batch that count, the hardest

PRESETS = {
    "demo": {"num_scenes": 300, "steps_per_network": 1000},
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS)
    group = parser.add_argument_group("training")
    group.add_argument("--num_scenes", type=cli.positive_int, default=300, help="scenes to draw")
    group.add_argument("--steps_per_network", type=cli.positive_int, default=1000,
                       help="updates of each of the three networks")
    group.add_argument("--max_steps", type=cli.positive_int,
                       help="updates in all, to stop early: the last networks are then untrained "
                            "(default: three times --steps_per_network)")
    group.add_argument("--batch_size", type=cli.size, default=128, help="windows per update")
    group.add_argument("--learning_rate", type=cli.positive_float, default=1e-3,
                       help="learning rate of Adam")
    group.add_argument("--log_every", type=cli.positive_int, default=50,
                       help="steps between two log lines")
    group.add_argument("--save_every", type=cli.positive_int, default=500,
                       help="steps between two checkpoints")
    return parser


def window_losses(
    outputs: Sequence[tf.Tensor], kinds: tf.Tensor, sides: tf.Tensor, landmarks: tf.Tensor,
    weights: Sequence[float],
) -> dict[str, tf.Tensor]:
    """Returns the parts of the loss of a batch of windows, weighted.

    Args:
        outputs: of a network: logits, sides and, of O-Net, landmarks.
        kinds: NONE, FACE or PART; parts of faces are not classified.
        sides: see `Windows`.
        landmarks: see `Windows`.
        weights: of the three parts.
    """
    rows = [tf.reshape(output, (tf.shape(output)[0], -1)) for output in outputs]
    classified = kinds <= FACE
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.minimum(kinds, 1), logits=rows[0])
    # Hard example mining: gradients of the hardest windows alone.
    entropy = tf.sort(tf.boolean_mask(entropy, classified), direction="DESCENDING")
    hard = tf.maximum(1, tf.cast(HARD_SHARE * tf.cast(tf.size(entropy), tf.float32), tf.int32))
    hardest = entropy[:hard]  # none, if all windows are parts of faces
    terms = {"face": weights[0] * tf.math.divide_no_nan(
        tf.reduce_sum(hardest), tf.cast(tf.size(hardest), tf.float32))}
    of_face = kinds != NONE
    for name, weight, row, target in zip(("sides", "landmarks"), weights[1:], rows[1:],
                                         (sides, landmarks), strict=False):
        error = tf.reduce_sum((row - target) ** 2, axis=1)
        chosen = tf.boolean_mask(error, of_face)
        terms[name] = weight * tf.math.divide_no_nan(
            tf.reduce_sum(chosen), tf.cast(tf.size(chosen), tf.float32))
    return terms


def make_train_step(
    name: str, network: keras.Model, optimizer: keras.Optimizer
) -> Callable[..., dict[str, tf.Tensor]]:
    """Returns the train step of one network: from a batch of `Windows` to losses."""
    @tf.function(autograph=False)
    def train_step(
        crops: tf.Tensor, kinds: tf.Tensor, sides: tf.Tensor, landmarks: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = network(mtcnn.normalize(crops), training=True)
            terms = window_losses(outputs, kinds, sides, landmarks, LOSS_WEIGHTS[name])
            total = tf.add_n(list(terms.values()))
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(total, variables), variables)
        return {f"{name}/{key}": value for key, value in {"loss": total, **terms}.items()}

    return train_step


def batches_of(
    networks: dict[str, keras.Model], stage: int, drawn: Sequence[Scene],
    args: argparse.Namespace, start: int,
) -> tuple[scenes.Windows, tf.data.Dataset]:
    """Returns the windows of a stage, and the stream of their numbers from a step on.

    They are a pure function of the seed and of the networks before, which no longer change.
    """
    size, before = mtcnn.SIZES[STAGES[stage]], None
    if stage:
        before = scenes.left_by(networks, drawn, stage)
    pool = scenes.collect(drawn, size, args.seed + stage, before)
    return pool, inputs.index_batches(len(pool.kinds), args.batch_size, args.seed, start)


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed; returns the scores on other scenes."""
    steps = args.steps_per_network
    args.max_steps = args.max_steps or 3 * steps
    if args.max_steps > 3 * steps:
        raise UserError(f"--max_steps {args.max_steps}, but three networks with "
                        f"--steps_per_network {steps} each", "raise --steps_per_network")
    keras.utils.set_random_seed(args.seed)
    networks = mtcnn.build()
    optimizers = {name: keras.optimizers.Adam(args.learning_rate) for name in STAGES}
    drawn = scenes.draw_scenes(args.num_scenes, args.seed)
    print(f"training P-, R- and O-Net on {len(drawn)} scenes with "
          f"{sum(len(scene.boxes) for scene in drawn)} faces")
    with rundir.open_run(args, dataset_sha256=files.sha256(*(scene.image for scene in drawn)),
                         parameters=sum(net.count_params() for net in networks.values())) as run:
        state = TrainState(run, networks, {
            name: (optimizers[name], networks[name].trainable_variables) for name in STAGES})
        monitor = Monitor(run, int(state.step))
        # One network after the other; each gets the windows that those before it leave.
        for stage, name in enumerate(STAGES):
            last = min((stage + 1) * steps, args.max_steps)
            if (start := int(state.step)) >= last:
                continue
            pool, stream = batches_of(networks, stage, drawn, args, start)
            train_step = make_train_step(name, networks[name], optimizers[name])
            for step, (_, chosen) in state.steps(stream, last, args.save_every, monitor):
                terms = train_step(*(column[chosen.numpy()] for column in pool))
                if step % args.log_every == 0:
                    monitor.scalars(step, terms)
        scores = scenes.validate(networks, run / "samples" / "scenes.png")
    return {"step": int(state.step), **scores}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
