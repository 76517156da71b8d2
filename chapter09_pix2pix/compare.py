"""Compares losses or discriminators side by side: short trainings, one grid, one table.

    python compare.py losses              # figure 9-4: L1, cGAN, L1 + cGAN
    python compare.py discriminators      # figure 9-5: patches of 1, 16 and 70 pixels, and all
    python compare.py losses --preset map2photo --data_dir FOLDER --max_steps 2000
    python compare.py generators          # with and without skip connections

Every variant is a run of train.py in runs/chapter09_pix2pix/compare/. Finished runs are not
repeated, interrupted ones are resumed, and those of other flags or data are refused. Draws inputs,
outputs and targets into the same folder and prints the scores of all test pairs; a low L1 is not a
sharp picture, so look at both.
"""

import argparse
import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chapter09_pix2pix import data, train
from chapter09_pix2pix.inference import load_run, make_predict
from common import cli, figures, files, flags, image_metrics, results, rundir
from common.errors import Interrupted, UserError, exit_status, stop_signals

CHAPTER = "chapter09_pix2pix"
MAX_PAIRS = 200  # of the test split
SHOWN = 4  # pairs of the grid
STDERR = 2  # number of the stream that shows the progress of the trainings
POLL = 0.5  # seconds between two looks for Ctrl-C
# Flags that change no weights; epochs give way to --max_steps.
LOCAL = "data_dir", "epochs", "eval_every", "log_every", "save_every"
# At the 64 pixels of the demo the patches of 70 would be the whole picture.
BASE = {"demo": "--crop_size 128 --scale_size 144 --netG unet_128 --ngf 16 --ndf 16"}
VARIANTS = {
    "losses": {"L1": "--gan_weight 0", "cGAN": "--l1_weight 0", "L1 + cGAN": ""},
    "discriminators": {"PixelGAN, 1": "--netD patch1", "PatchGAN, 16": "--netD patch16",
                       "PatchGAN, 70": "", "ImageGAN, all": "--netD full"},
    "generators": {"encoder-decoder": "--netG encoder_decoder", "U-Net": ""},
}


def expected(command: Sequence[str], folder: Path) -> tuple[dict[str, Any], str]:
    """Returns the flags of a training and the digest of its data, as config.json records them."""
    args = flags.resolve(train.build_parser(), [*command, "--run_dir", str(folder / "absent")])
    return vars(args), data.load(args).digest


def check_same(folder: Path, command: Sequence[str]) -> None:
    """Raises UserError if the run in a folder is of another recipe, or of other data."""
    config = rundir.read_config(folder, CHAPTER)
    wanted, digest = expected(command, folder)
    other = [flag for flag, value in config["flags"].items()
             if flag not in LOCAL and wanted.get(flag) != value]
    if config["dataset_sha256"] != digest:
        other.append("data_dir")
    if other:
        raise UserError(f"the run in {folder} was trained with another --{' --'.join(other)}",
                        "delete it, or move it away")


def learn(variant: str, words: str, args: argparse.Namespace) -> Path:
    """Trains a variant in a new process, unless that run is finished; returns its folder.

    Raises:
        UserError: the training failed, or the folder holds another run.
        Interrupted: it was stopped.
    """
    name = "-".join([args.preset, *words.replace("--", "").split(), f"{args.max_steps}_steps",
                     f"seed{args.seed}"])
    words = merged(BASE.get(args.preset, ""), words)
    folder = rundir.runs_dir() / CHAPTER / "compare" / name
    command = ["--preset", args.preset, "--max_steps", str(args.max_steps), "--seed",
               str(args.seed), *words.split()]
    if args.data_dir:
        command += ["--data_dir", args.data_dir]
    if rundir.exists(folder):
        check_same(folder, command)
    if rundir.last_step(folder) >= args.max_steps:
        return folder
    print(f"training {variant}: {args.max_steps} steps", file=sys.stderr)
    status = run_training([*command, "--run_dir", str(folder)])
    if status == 130:
        raise Interrupted("stopped and saved; run the same command again to resume")
    if status:
        raise UserError(f"the training in {folder} failed, see above",
                        f"delete {folder} and run the same command again")
    return folder


def run_training(command: Sequence[str]) -> int:
    """Runs train.py in a new process; returns its exit status.

    Ctrl-C and SIGTERM are handed on to it once, and it is waited for: it saves before it ends.
    """
    child = subprocess.Popen([sys.executable, "-m", f"{CHAPTER}.train", *command],
                             cwd=files.ROOT, stdout=STDERR, process_group=0)
    with stop_signals() as stop:
        while True:
            try:
                return child.wait(timeout=POLL)
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    child.terminate()
                    return child.wait()


def merged(base: str, words: str) -> str:
    """Returns the flags of a variant after those of its base, which they replace or silence."""
    flags = dict(zip(base.split()[::2], base.split()[1::2], strict=True))
    if "--gan_weight 0" in words:
        flags.pop("--ndf", None)
    return " ".join([*itertools.chain(*flags.items()), words])


def sharpness(pictures: np.ndarray) -> float:
    """Returns the mean absolute difference of neighbours, of pictures in [0, 255]."""
    return float((np.abs(np.diff(pictures, axis=1)).mean()
                  + np.abs(np.diff(pictures, axis=2)).mean()) / 2)


def outputs_of(folder: Path, inputs: np.ndarray) -> np.ndarray:
    """Returns the outputs of a run after its last step, as pictures in [0, 255]."""
    recorded = argparse.Namespace(**rundir.read_config(folder, CHAPTER)["flags"])
    generator = load_run(argparse.Namespace(run_dir=folder, checkpoint="latest"), recorded)
    return data.to_rgb(inputs, make_predict(generator, recorded)(inputs), recorded)


def draw(columns: dict[str, np.ndarray], png: Path) -> None:
    """Draws the first pairs: a column for each kind of picture."""
    count = min(SHOWN, len(next(iter(columns.values()))))
    shown = [np.uint8(np.rint(pictures[row])) for row in range(count)
             for pictures in columns.values()]
    titles = [title if row == 0 else "" for row in range(count) for title in columns]
    figures.draw_sheet(shown, titles, len(columns), png)


def compare(args: argparse.Namespace, argv: Sequence[str] | None) -> dict[str, float]:
    """Trains what is missing, draws the grid, prints the table; returns the L1 of all variants.

    Raises:
        UserError: losses or discriminators are compared with a preset that has no discriminator.
    """
    if args.what != "generators" and train.PRESETS[args.preset].get("gan_weight") == 0:
        raise UserError(f"--preset {args.preset} trains without a discriminator",
                        f"compare {args.what} with another preset")
    folders = {name: learn(name, words, args) for name, words in VARIANTS[args.what].items()}
    config = rundir.read_config(next(iter(folders.values())), CHAPTER)
    recorded = argparse.Namespace(**config["flags"], typed={})
    inputs, targets = data.read_some(data.load(recorded).test, recorded, MAX_PAIRS)
    wanted = data.to_rgb(inputs, targets, recorded)
    made = {name: outputs_of(folder, inputs) for name, folder in folders.items()}
    rows: list[dict[str, Any]] = []
    for name, pictures in (made | {"targets": wanted}).items():
        row: dict[str, Any] = {"what": args.what, "variant": name}
        row |= {metric: round(float(values.mean()), 3)
                for metric, values in image_metrics.score(pictures, wanted).items()}
        rows.append(row | {"sharpness": round(sharpness(pictures), 2)})
        print(f"{name:>16}: L1 {row['l1']:.2f} of 255, PSNR {row['psnr']:.2f} dB, SSIM "
              f"{row['ssim']:.3f}, sharpness {rows[-1]['sharpness']:.2f}")
    png = rundir.runs_dir() / CHAPTER / "compare" / f"{args.what}-{args.preset}.png"
    draw({"input": data.show_inputs(inputs, recorded), **made, "target": wanted}, png)
    print(f"wrote {png}")
    if args.publish:
        results.publish_rows(__file__, argv, f"{args.what}-{args.preset}", rows)
    return {row["variant"]: row["l1"] for row in rows if row["variant"] != "targets"}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("what", choices=list(VARIANTS), help="what is compared")
    parser.add_argument("--preset", choices=list(train.PRESETS), default="demo",
                        help="preset of all trainings")
    parser.add_argument("--data_dir", type=cli.path, help="folder of the data set")
    parser.add_argument("--max_steps", type=cli.positive_int, default=600,
                        help="steps of each training")
    parser.add_argument("--seed", type=cli.seed, default=0, help="of all trainings")
    parser.add_argument("--publish", action=argparse.BooleanOptionalAction, default=False,
                        help="write the table to results/")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: compare(build_parser().parse_args(argv), argv))


if __name__ == "__main__":
    raise SystemExit(main())
