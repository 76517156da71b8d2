"""Evaluates a policy on new episodes: greedy, sampled, and uniformly random.

    python eval.py                  # 100 episodes each
    python eval.py --num_episodes 30
    python eval.py --publish        # also into results/, from which the README tables are made

The greedy policy takes the most probable actions; the sampled one draws its actions as in training;
the random one is the baseline. Writes eval.json, which also has the number of training episodes or
steps, and the learning curve.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import gymnasium as gym
import tensorflow as tf

from chapter21_policy_gradient import data
from chapter21_policy_gradient.inference import load_run
from common import checkpoint, cli, environments, figures, results, rundir
from common.figures import plt
from common.monitor import read_curve


def draw_learning_curve(run_dir: Path, env: gym.Env, png: Path) -> None:
    """Draws the returns during training, and the threshold at which the environment is solved."""
    kind, threshold = "sampled" if data.is_game(env) else "greedy", env.spec.reward_threshold
    curves = {"episodes of the update": ("train", "episodic_return"),
              "last 100 episodes": ("train", "mean_of_100"),
              f"10 {kind} episodes": ("val", "episodic_return")}
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for label, (split, name) in curves.items():
        steps, values = read_curve(run_dir, split, name)
        if len(steps):
            axes.plot(steps, values, label=label)
    if threshold is not None:
        axes.axhline(threshold, color="gray", linestyle="--", label="solved")
    axes.set(xlabel="update", ylabel="mean return")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figures.save_figure(png, figure)


def training_scores(run_dir: Path, flags: argparse.Namespace) -> dict[str, float]:
    """Returns the length of the training and, for REINFORCE, whether it met `--stop`."""
    if flags.algorithm == "ppo":
        return {"env_steps": rundir.last_step(run_dir) * flags.num_envs * flags.num_steps}
    state = {"step": tf.Variable(0, dtype=tf.int64), "env_steps": tf.Variable(0, dtype=tf.int64),
             "solved": tf.Variable(False)}
    tf.train.Checkpoint(**state).restore(checkpoint.choose(run_dir, "latest")).expect_partial()
    return {"episodes": int(state["step"]) * flags.batch_size,
            "env_steps": int(state["env_steps"]), "solved": int(state["solved"])}


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Plays the episodes, writes eval.json and draws the learning curve."""
    run = load_run(args, flags)
    policies = {"chance": partial(data.random_policy, run.env), "sampled": run.sampled,
                "greedy": run.greedy}
    scores = {"training": training_scores(args.run_dir, flags)}
    for name, policy in policies.items():
        returns = data.play_returns(run.env, policy, args.num_episodes, flags.seed,
                                    data.EVALUATION)
        scores[name] = {"mean_return": float(returns.mean()), "deviation": float(returns.std()),
                        "lowest_return": float(returns.min()), "episodes": args.num_episodes}
        print(f"{name:>7}: mean return {returns.mean():.1f} over {args.num_episodes} episodes, "
              f"lowest {returns.min():g}")
    curve = args.run_dir / "learning_curve.png"
    draw_learning_curve(args.run_dir, run.env, curve)
    demo_of_ppo = flags.algorithm == "ppo" and flags.preset == "demo"  # REINFORCE has one too
    results.write(args, environments.file_name(flags.env_name),
                  "ppo" if demo_of_ppo else flags.preset, scores)
    print(f"learning curve: {curve}")
    # In a game a greedy policy may never serve the ball.
    return scores["sampled" if data.is_game(run.env) else "greedy"]


def build_parser() -> cli.Parser:
    """Returns the parser; the latest weights tell more of the training than the best."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest")
    parser.add_argument("--num_episodes", type=cli.positive_int, default=100,
                        help="number of episodes of each policy")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
