"""Embedders: of a run, of a frozen graph of the original, of a SavedModel; and pairs to verify."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from chapter06_face import data, model, verification
from chapter06_face.alignment import Alignment, resize
from chapter06_face.data import Photos
from chapter06_face.verification import Pairs
from common import checkpoint, cli, files, pretrained, rundir
from common.errors import UserError

BATCH = 100  # images that are embedded together
GRAPH_SIZE = 160  # height and width of the inputs of the original's graphs
THRESHOLDS = "thresholds.json"  # in the folder of a model
RATES = (0.01, 0.001)  # of false accepts, for which thresholds.json has a distance


class Embedder(NamedTuple):
    """A trained network that embeds aligned faces.

    Attributes:
        name: what messages call it.
        embed: from aligned faces of any size, uint8 of shape (height, width, 3), to embeddings of
            length 1, float32 of shape (faces, size).
        folder: of the run or the model; thresholds.json lies there.
        how: how the faces of its training were aligned, and the size to which it resizes them.
        drawn: whether these were cartoon faces.
    """

    name: str
    embed: Callable[[Sequence[np.ndarray]], np.ndarray]
    folder: Path
    how: Alignment
    drawn: bool = False


def build_embedder(flags: argparse.Namespace) -> keras.Model:
    """Builds the network that the flags of a training script describe, with random weights.

    Raises:
        UserError: the flags do not fit the network.
    """
    keras.utils.set_random_seed(flags.seed)
    options = (flags.image_size, flags.embedding_size, flags.keep_prob, flags.seed)
    try:
        if flags.model_def in model.FEATURES:
            return model.build_embedder(flags.model_def, *options)
        maps = pretrained.build_maps(flags.model_def, None, flags.network_alpha)
        return model.build_on(maps, flags.layer or maps.layers[-1].name, *options)
    except ValueError as error:  # of Keras on sizes and names of layers
        raise UserError(f"{flags.model_def} does not fit: {str(error).splitlines()[0]}",
                        "see --image_size, --layer and --network_alpha in --help") from error


def make_embed(
    prelogits: Callable[[tf.Tensor], tf.Tensor], size: int, load_size: int
) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """Returns the function of an `Embedder`.

    Args:
        prelogits: from images, float32 of shape (batch, size, size, 3), to vectors.
        size: height and width of its inputs.
        load_size: to which images are resized before the central part is taken.
    """
    @tf.function(input_signature=[tf.TensorSpec((None, size, size, 3))], autograph=False)
    def run(batch: tf.Tensor) -> tf.Tensor:
        return model.embed(prelogits(batch))

    def embed(faces: Sequence[np.ndarray]) -> np.ndarray:
        found = [run(np.stack([data.central(resize(face, load_size), size)
                               for face in faces[start : start + BATCH]]).astype(np.float32))
                 for start in range(0, len(faces), BATCH)]
        return np.concatenate(found) if found else np.zeros((0, 1), np.float32)

    return embed


def alignment_of(run_dir: Path, flags: argparse.Namespace) -> Alignment:
    """Returns how the training faces of a run were aligned, in the size that it reads them."""
    kept = rundir.read_config(run_dir).get("alignment") or {}
    return Alignment(**kept | {"image_size": data.load_size(flags)})


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Embedder:
    """Rebuilds the embedder of a run, with the averaged weights."""
    network = build_embedder(flags)
    checkpoint.load(args.run_dir, args.checkpoint, averaged=network)
    embed = make_embed(lambda batch: network(batch, training=False), flags.image_size,
                       data.load_size(flags))
    return Embedder(f"the run {args.run_dir.name}", embed, args.run_dir,
                    alignment_of(args.run_dir, flags), flags.dataset == "cartoon")


def open_graph(path: Path) -> Embedder:
    """Opens a frozen graph of the original, such as 20170512-110547.pb.

    Raises:
        UserError: it is not a graph with its tensors.
    """
    hint = "give a .pb of facenet, with input:0, phase_train:0 and embeddings:0"
    definition = tf.compat.v1.GraphDef()
    try:
        definition.ParseFromString(path.read_bytes())
        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.import_graph_def(definition, name=""), [])
        names = ["input:0", "phase_train:0"]
        function = wrapped.prune([wrapped.graph.get_tensor_by_name(name) for name in names],
                                 wrapped.graph.get_tensor_by_name("embeddings:0"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", hint) from error
    except (DecodeError, KeyError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{path} is not such a graph ({str(error).splitlines()[0]})",
                        hint) from error

    def prelogits(batch: tf.Tensor) -> tf.Tensor:
        return function(model.Prewhiten()(batch), tf.constant(False))

    return Embedder(path.name, make_embed(prelogits, GRAPH_SIZE, GRAPH_SIZE), path.parent,
                    Alignment(GRAPH_SIZE))


def open_saved_model(folder: Path) -> Embedder:
    """Opens an export of this chapter.

    Raises:
        UserError: the folder holds no such SavedModel.
    """
    hint = "give a folder that export.py wrote, the one with saved_model.pb"
    try:
        loaded = tf.saved_model.load(str(folder))
        function = loaded.signatures["serving_default"]
        size = function.structured_input_signature[1]["images"].shape[1]
        about = files.read_json(folder / "signature.json", "export it again")
        how = Alignment(**about["alignment"])
    except (OSError, KeyError, TypeError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{folder} holds no exported embedder ({str(error).splitlines()[0]})",
                        hint) from error

    def embed(faces: Sequence[np.ndarray]) -> np.ndarray:
        found = [function(images=tf.constant(np.stack(
            [data.central(resize(face, how.image_size), size)
             for face in faces[start : start + BATCH]])))["embeddings"].numpy()
            for start in range(0, len(faces), BATCH)]
        return np.concatenate(found)

    return Embedder(f"the export {folder}", embed, folder, how, about["drawn"])


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Adds `--model` and `--checkpoint`."""
    parser.add_argument("--model", type=cli.run_or_name, metavar="RUN|FILE|FOLDER",
                        help="a run of this chapter by name or folder, a frozen graph of the "
                             "original (.pb, or the folder of one), or an export (default: the "
                             "latest run)")
    parser.add_argument("--checkpoint", type=cli.checkpoint_name, default="latest",
                        metavar="best|latest|STEP", help="which weights of a run")


def add_threshold_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `threshold_of`."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--far", type=float, choices=RATES,
                       help="rate of false accepts whose threshold is taken (default: the "
                            "threshold with the best balanced accuracy)")
    group.add_argument("--threshold", type=cli.positive_float,
                       help="distance below which two faces are one person")


def open_embedder(args: argparse.Namespace) -> Embedder:
    """Opens the model that the flags of `add_model_flags` choose.

    Raises:
        UserError: there is none, or it cannot be used.
    """
    if args.model:
        path = Path(args.model)
        if path.suffix == ".pb" and path.name != "saved_model.pb":
            return open_graph(path)
        for folder in (path, *files.exports(path)[::-1]):  # an export, or its folder
            if (folder / "saved_model.pb").is_file():
                return open_saved_model(folder)
        if path.is_dir() and not rundir.exists(path):
            graphs = sorted(path.glob("*.pb"))
            if len(graphs) != 1:
                raise UserError(f"{path} holds neither a run nor one .pb, but {len(graphs)}",
                                "give a run, a .pb file or an export")
            return open_graph(graphs[0])
    if args.model:
        run = rundir.find_run("chapter06_face", args.model)
    elif not (run := rundir.latest_run("chapter06_face", "embedding_size")):
        raise UserError(f"no run with embeddings in {rundir.runs_dir() / 'chapter06_face'}",
                        "train first: python train.py")
    config = rundir.read_config(run, "chapter06_face")
    if "embedding_size" not in config["flags"]:
        raise UserError(f"{run} was made by {config.get('script')}, it has no embeddings",
                        "give --model RUN of train.py or train_triplet.py")
    where = argparse.Namespace(run_dir=run, checkpoint=args.checkpoint)
    return load_run(where, argparse.Namespace(**config["flags"]))


def embed_photos(embedder: Embedder, photos: Photos) -> np.ndarray:
    """Returns the embeddings of all photographs, float32 of shape (images, size)."""
    found = [embedder.embed([photos.read(i) for i in range(start, min(start + BATCH,
                                                                      len(photos.people)))])
             for start in range(0, len(photos.people), BATCH)]
    return np.concatenate(found)


def embed_both_ways(embedder: Embedder, faces: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the means of the embeddings of faces and of their mirror images, of length 1."""
    mirrored = embedder.embed([face[:, ::-1] for face in faces])
    return verification.normalize(embedder.embed(faces) + mirrored)


def read_pairs(path: Path, folder: Path, extension: str | None = None) -> tuple[
        list[Path], Pairs, int, list[str]]:
    """Reads LFW's pairs.txt: `name 1 2` of one person, `name 1 other 3` of two.

    Args:
        path: the file; its first line is `folds pairs`.
        folder: of the images: FOLDER/name/name_0001.png.
        extension: of the images without a dot; None accepts any.

    Returns:
        The files, the pairs of their numbers, the number of folds, and the pairs whose files are
        missing, as text. The pairs of a file of one fold, a sample, are shuffled for ten folds.

    Raises:
        UserError: a line has another form, or no pair is complete.
    """
    hint = "give pairs.txt of LFW, and the folder of its aligned images"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}", hint) from error
    number: dict[Path, int] = {}
    rows, missing = [], []

    def find(name: str, digits: str) -> Path | None:
        stem = f"{name}_{int(digits):04d}"
        found = sorted((folder / name).glob(f"{stem}.{extension or '*'}"))
        return found[0] if found else None

    for position, line in enumerate(lines[1:], 2):
        parts = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            continue
        if len(parts) not in (3, 4) or not all(part.isdecimal() for part in parts[1::2]):
            raise UserError(f"line {position} of {path} is {line!r}", hint)
        first = find(parts[0], parts[1])
        second = find(parts[-2] if len(parts) == 4 else parts[0], parts[-1])
        if first is None or second is None:
            missing.append(" ".join(parts))
            continue
        rows.append((*(number.setdefault(file, len(number)) for file in (first, second)),
                     len(parts) == 3))
    if not rows:
        raise UserError(f"none of the pairs of {path} is in {folder}", hint)
    header = lines[0].split()
    num_folds = int(header[0]) if header and header[0].isdecimal() else 10
    columns = np.array(rows)
    if num_folds < 2:
        columns, num_folds = np.random.default_rng(0).permutation(columns), min(10, len(rows))
    pairs = Pairs(columns[:, 0], columns[:, 1], columns[:, 2].astype(bool))
    return list(number), pairs, num_folds, missing


def pixels(faces: Sequence[np.ndarray], size: int = 32) -> np.ndarray:
    """Returns the baseline of prewhitened grey pixels as embeddings, (faces, size²)."""
    grey = np.stack([resize(face, size).mean(axis=2) for face in faces]).reshape(len(faces), -1)
    return verification.normalize(grey - grey.mean(axis=1, keepdims=True))


def threshold_of(embedder: Embedder, far: float | None = None) -> float | None:
    """Returns the distance below which two faces count as one person.

    Args:
        embedder: whose thresholds.json, which eval.py and validate_on_lfw.py write, is read; of an
            export, what export.py found there.
        far: rate of false accepts, one of those in the file; None for the best balanced accuracy.

    Returns:
        A distance of embeddings, in [0, 2]; None if the model was not evaluated.

    Raises:
        UserError: the file has no such rate.
    """
    path = embedder.folder / THRESHOLDS
    if path.is_file():
        table = files.read_json(path)
    elif (about := embedder.folder / "signature.json").is_file():
        table = files.read_json(about)["thresholds"]
    else:
        table = {}
    if not table:
        return None
    key = "best" if far is None else f"far_{far:g}"
    if key not in table:
        raise UserError(f"{embedder.name} has no threshold for {key}, but {', '.join(table)}",
                        "evaluate the model again, or give --threshold")
    return float(table[key])


def write_thresholds(folder: Path, distances: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """Writes thresholds.json; returns its distances of embeddings, in [0, 2].

    Args:
        folder: of the model.
        distances: squared, of pairs.
        same: whether each pair is of one person.
    """
    table = {"best": verification.best_threshold(distances, same)}
    for far in RATES:
        # With fewer pairs than 1 / far, no threshold has been seen to accept so few.
        if np.count_nonzero(~same) * far >= 1:
            table[f"far_{far:g}"] = verification.threshold_at(distances, same, far)
    table = {name: round(float(np.sqrt(squared)), 4) for name, squared in table.items()}
    files.write_json(folder / THRESHOLDS, table)
    return table
