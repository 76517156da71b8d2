"""Aligned faces by person: the data sets, the people held out, the training streams.

    python data.py                                          # cartoon people drawn by code
    python data.py --dataset folder --data_dir FOLDER       # FOLDER/Ann/1.png, of align.py

Prints the numbers of people and photographs, and draws some of them, augmented as in training.
"""

import argparse
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter06_face import cartoon, mtcnn
from chapter06_face.alignment import read_settings, resize
from chapter06_face.people import Photo, list_people, report_left_out
from common import cli, files, images, inputs, rundir
from common.errors import UserError, exit_status

CROP = 160 / 182  # side of a random or central crop: the book's numbers
ROTATION = 10  # degrees, of random_rotate
CACHE_BYTES = 2**31  # of images that are kept in memory
MOST_COMPARED = 5000  # photographs that are held out
MANY = 2000  # photographs, whose reading has a progress bar
CARTOON_SEED = 0  # all runs see the same people

OFFLINE = {"cartoon": "cartoon people in changing poses, lights and moods, drawn by code",
           "folder": "one folder per person with aligned faces, as align.py writes it, given by "
                     "`--data_dir`"}
SOURCES = {
    "LFW": files.Source(
        "The book's test set: Labeled Faces in the Wild, 13,233 photographs of 5,749 people, for "
        "research. Unpack [lfw.tgz](http://vis-www.cs.umass.edu/lfw/lfw.tgz) (180 MB), then "
        "`python align.py lfw lfw_aligned`; "
        "[pairs.txt](http://vis-www.cs.umass.edu/lfw/pairs.txt) lists the 6,000 pairs. "
        "tensorflow-datasets calls it lfw", ()),
    "CASIA-WebFace": files.Source(
        "The book's training set: 494,414 photographs of 10,575 people, for research, on request "
        "from its authors (Yi et al. 2014). `python align.py CASIA casia_aligned --image_size 182 "
        "--margin 44`", ()),
    "ORL": files.Source(
        "The Database of Faces of AT&T Laboratories Cambridge: 400 grey photographs of 40 people, "
        "free for research. Unpack [att_faces.zip](https://www.cl.cam.ac.uk/research/dtg/"
        "attarchive/facedatabase.html). The published runs used every second person", ()),
    "MTCNN": files.Source(
        "The weights of MTCNN (MIT), of the repository "
        "[davidsandberg/facenet](https://github.com/davidsandberg/facenet)",
        tuple(mtcnn.PUBLISHED.values())),
}


class Photos(NamedTuple):
    """Aligned faces of some people.

    Attributes:
        read: returns an image by its number, uint8 of shape (size, size, 3).
        people: the number of the person in each, from 0, int64 of shape (images,).
        names: of the people.
        paths: of the files; empty where the images are drawn.
    """

    read: Callable[[int], np.ndarray]
    people: np.ndarray
    names: tuple[str, ...]
    paths: tuple[Path, ...] = ()

    def take(self, people: Iterable[int]) -> "Photos":
        """Returns the photographs of some people, numbered anew."""
        people = sorted(people)
        chosen = np.flatnonzero(np.isin(self.people, people))
        number = {old: new for new, old in enumerate(people)}
        return Photos(lambda i: self.read(int(chosen[i])),
                      np.array([number[int(self.people[i])] for i in chosen], np.int64),
                      tuple(self.names[person] for person in people),
                      tuple(self.paths[i] for i in chosen) if self.paths else ())


class Data(NamedTuple):
    """A data set, divided by people: nobody is in both parts."""

    train: Photos
    validation: Photos
    digest: str
    alignment: dict[str, Any] | None = None  # of align.py, if it made the folder


def load_size(args: argparse.Namespace) -> int:
    """Returns the height and width of the images that `Photos.read` returns."""
    return round(args.image_size / CROP) if args.random_crop else args.image_size


def make_reader(paths: Sequence[Path], size: int) -> Callable[[int], np.ndarray]:
    """Returns a function that reads an image by its number, and keeps up to CACHE_BYTES of them."""
    kept: dict[int, np.ndarray] = {}
    limit = CACHE_BYTES // (3 * size**2)

    def read(number: int) -> np.ndarray:
        if (image := kept.get(number)) is None:
            image = resize(images.read_image(paths[number]), size)
            if len(kept) < limit:
                kept[number] = image
        return image

    return read


def read_all(read: Callable[[int], np.ndarray], photos: Sequence[Photo]) -> list[int]:
    """Reads all photographs; returns the numbers of those that can be read, lists the others."""
    def error_of(number: int) -> UserError | None:
        try:
            read(number)
        except UserError as error:
            return error
        return None

    with ThreadPoolExecutor(4) as pool:
        errors = list(tqdm(pool.map(error_of, range(len(photos))), "reading", len(photos),
                           unit="photo", disable=None if len(photos) > MANY else True))
    report_left_out([error for error in errors if error])
    return [number for number, error in enumerate(errors) if not error]


def load_folder(folder: Path, size: int, kept: Callable[[Photo], bool]) -> tuple[Photos, str]:
    """Loads a folder of people.

    Args:
        folder: one subfolder per person.
        size: height and width to which the images are resized.
        kept: whether a photograph is used.

    Returns:
        The photographs, and a sha256 of the names and sizes of all files.

    Raises:
        UserError: there are no photographs that can be read.
    """
    photos = [photo for photo in list_people(folder) if kept(photo)]
    read = make_reader([photo.path for photo in photos], size)
    good = read_all(read, photos)
    photos = [photos[number] for number in good]
    if not photos:
        raise UserError(f"no photograph in {folder} can be used",
                        "give images in folders of people")
    names = tuple(sorted({photo.person for photo in photos}))
    number = {name: i for i, name in enumerate(names)}
    people = np.array([number[photo.person] for photo in photos], np.int64)
    listing = "\n".join(f"{photo.person}/{photo.path.name} {photo.path.stat().st_size}"
                        for photo in photos)
    digest = hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()
    return Photos(lambda i: read(good[i]), people, names,
                  tuple(photo.path for photo in photos)), digest


def load_cartoon(num_people: int, num_photos: int, size: int) -> tuple[Photos, str]:
    """Draws cartoon people; returns them, and the sha256 of their pictures."""
    pictures, people = cartoon.draw_people(num_people, num_photos, size, CARTOON_SEED)
    names = tuple(f"person {number}" for number in range(num_people))
    return Photos(lambda i: pictures[i], people, names), files.sha256(pictures)


def make_filter(args: argparse.Namespace) -> Callable[[Photo], bool]:
    """Returns which photographs `--filter_filename` leaves: those near the centre of their person.

    Raises:
        UserError: the file is not one of filter_metrics.py.
    """
    if not args.filter_filename:
        return lambda photo: True
    try:
        with h5py.File(args.filter_filename) as file:
            paths = [os.fsdecode(name) for name in file["image_list"][:]]
            distances = np.array(file["distance_to_center"])
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{args.filter_filename} is not a file of filter_metrics.py ({error})",
                        "write it: python filter_metrics.py") from error
    limit = np.percentile(distances, args.filter_percentile)
    near = {tuple(Path(path).parts[-2:])
            for path, distance in zip(paths, distances, strict=True) if distance <= limit}
    counts: dict[str, int] = {}
    for person, _ in near:
        counts[person] = counts.get(person, 0) + 1
    return lambda photo: ((photo.person, photo.path.name) in near and
                          counts[photo.person] >= args.filter_min_nrof_images_per_class)


def held_out(num_people: int, folds: int, fold: int, seed: int) -> np.ndarray:
    """Returns the people of a fold; the folds divide all people, shuffled by the seed."""
    return np.array_split(np.random.default_rng(seed).permutation(num_people), folds)[fold]


def load(args: argparse.Namespace) -> Data:
    """Loads the data set that the flags of `add_flags` choose.

    Raises:
        UserError: it cannot be read, or has too few people to hold some of them out.
    """
    if args.dataset == "cartoon":
        if args.data_dir:
            raise UserError(f"--data_dir {args.data_dir}, but --dataset cartoon, which is drawn",
                            "add --dataset folder, or --preset folder, or omit --data_dir")
        cli.refuse_idle(args, ["filter_filename"], "--dataset cartoon")
        photos, digest = load_cartoon(args.cartoon_people, args.cartoon_photos, load_size(args))
    else:
        cli.refuse_idle(args, ["cartoon_people", "cartoon_photos"], "--dataset folder")
        if not args.data_dir:
            raise UserError("--dataset folder without --data_dir", "give a folder of people")
        photos, digest = load_folder(Path(args.data_dir), load_size(args), make_filter(args))
    if args.fold >= args.folds:
        raise UserError(f"--fold {args.fold}, but --folds {args.folds}",
                        "folds are numbered from 0")
    if len(photos.names) < 2 * args.folds:
        raise UserError(
            f"{len(photos.names)} people cannot make {args.folds} folds of at least two",
            "give photographs of more people, or fewer --folds")
    out = held_out(len(photos.names), args.folds, args.fold, args.split_seed)
    train = photos.take(set(range(len(photos.names))) - set(out.tolist()))
    # All pairs of these photographs are compared, a number that grows with its square.
    few = np.cumsum(np.bincount(photos.people)[out]) <= MOST_COMPARED
    validation = photos.take(out[: max(2, np.count_nonzero(few))].tolist())
    if np.bincount(validation.people).max() < 2:
        raise UserError("none of the people held out has two photographs",
                        "give at least two photographs per person")
    how = read_settings(Path(args.data_dir)) if args.data_dir else None
    return Data(train, validation, digest, how and how._asdict())


def prefetch(
    batches: Iterable[tuple[tf.Tensor, np.ndarray]], photos: Photos
) -> Iterator[tuple[np.ndarray, np.ndarray, tf.Tensor]]:
    """Yields images, people and step of batches of numbers; reads two batches ahead."""
    with ThreadPoolExecutor(4) as pool:
        ahead: deque = deque()
        for step, numbers in batches:
            ahead.append((step, numbers, [pool.submit(photos.read, int(i)) for i in numbers]))
            if len(ahead) > 2:
                step, numbers, results = ahead.popleft()
                yield np.stack([r.result() for r in results]), photos.people[numbers], step


def training_batches(
    photos: Photos, batch_size: int, seed: int, start_step: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray, tf.Tensor]]:
    """Yields shuffled batches without end; batch k is a pure function of (seed, k).

    Yields:
        Images, uint8 of shape (batch, size, size, 3); their people, int64 of shape (batch,); and k.
    """
    stream = inputs.index_batches(len(photos.people), batch_size, seed, start_step)
    return prefetch(((step, indices.numpy()) for step, indices in stream), photos)


def people_with_two(photos: Photos, least: int) -> list[np.ndarray]:
    """Returns the numbers of the photographs of each person who has two or more.

    Raises:
        UserError: there are fewer than `least` of them.
    """
    of_person = [np.flatnonzero(photos.people == p) for p in range(len(photos.names))]
    of_person = [numbers for numbers in of_person if len(numbers) > 1]
    if len(of_person) < least:
        raise UserError(f"{len(of_person)} people have two photographs or more, a batch needs "
                        f"{least}", "lower --people_per_batch")
    return of_person


def people_batches(
    photos: Photos, people: int, images_each: int, seed: int, start_step: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray, tf.Tensor]]:
    """Yields batches of `people` people with `images_each` photographs each, for triplets.

    Who has fewer photographs has some of them twice. Who has only one is left out.

    Raises:
        UserError: fewer people than that have two photographs.
    """
    of_person = people_with_two(photos, people)

    def numbers() -> Iterator[tuple[tf.Tensor, np.ndarray]]:
        for step, chosen in inputs.index_batches(len(of_person), people, seed, start_step):
            rng = np.random.default_rng([seed, int(step)])
            yield step, np.concatenate([
                np.resize(rng.permutation(of_person[person]), images_each)
                for person in chosen.numpy()])

    return prefetch(numbers(), photos)


def augment(
    photographs: tf.Tensor, seed: tf.Tensor, size: int, flip: bool, rotate: bool
) -> tf.Tensor:
    """Cuts random windows out of images, flips and rotates them: one bilinear transform each.

    Args:
        photographs: uint8 or float of shape (batch, side, side, 3).
        seed: int of shape (2,).
        size: of the windows; equal to the side, the images stay in place.
        flip: whether half of them are mirrored.
        rotate: whether they are rotated by up to ROTATION degrees.

    Returns:
        float32 of shape (batch, size, size, 3) in [0, 255].
    """
    batch, side = tf.shape(photographs)[0], photographs.shape[1]
    draws = tf.random.stateless_uniform((4, batch), seed)
    room = float(side - size)
    down, right = (tf.floor(draws[i] * (room + 1)) if room else tf.zeros(batch) for i in (0, 1))
    mirror = tf.where(draws[2] < 0.5, -1.0, 1.0) if flip else tf.ones(batch)
    angle = (draws[3] * 2 - 1) * (ROTATION * np.pi / 180 if rotate else 0.0)
    cosine, sine, middle = tf.cos(angle), tf.sin(angle), (size - 1) / 2
    # A pixel (x, y) of the result is taken from (a x + b y + c, d x + e y + f).
    a, b, d, e = mirror * cosine, -sine, mirror * sine, cosine
    c = middle - (a + b) * middle + right
    f = middle - (d + e) * middle + down
    zero = tf.zeros(batch)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(photographs, tf.float32),
        transforms=tf.stack([a, b, c, d, e, f, zero, zero], axis=1), output_shape=(size, size),
        fill_value=0.0, interpolation="BILINEAR", fill_mode="REFLECT")


def central(image: np.ndarray, size: int) -> np.ndarray:
    """Returns the central size × size pixels of an image."""
    top, left = ((side - size) // 2 for side in image.shape[:2])
    return image[top : top + size, left : left + size]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose the data set, the people held out and the augmentation."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=list(OFFLINE), default="cartoon",
                       help="cartoon: drawn by code, offline; folder: one folder per person")
    group.add_argument("--data_dir", type=cli.path, help="folder of the people, aligned")
    group.add_argument("--cartoon_people", type=cli.positive_int, default=400,
                       help="number of cartoon people")
    group.add_argument("--cartoon_photos", type=cli.positive_int, default=8,
                       help="photographs of each of them")
    group.add_argument("--image_size", type=cli.number(int, 32, 1024, "a number from 32 to 1024"),
                       default=160, help="height and width of the network's inputs in pixels")
    group.add_argument("--folds", type=cli.number(int, 2, 1000, "a number from 2 to 1000"),
                       default=5, help="the people are divided into this many folds")
    group.add_argument("--fold", type=cli.non_negative_int, default=0,
                       help="the fold that is held out for validation")
    group.add_argument("--split_seed", type=cli.seed, default=0, help="seed of the folds")
    group.add_argument("--filter_filename", type=cli.path, metavar="FILE.h5",
                       help="distances of filter_metrics.py: leaves out photographs that are far "
                            "from the centre of their person")
    group.add_argument("--filter_percentile", default=100.0,
                       type=cli.number(float, 0, 100, "a number from 0 to 100"),
                       help="photographs that are kept, in %%")
    group.add_argument("--filter_min_nrof_images_per_class", type=cli.non_negative_int, default=0,
                       help="people with fewer photographs left are left out")
    group = parser.add_argument_group("data augmentation")
    group.add_argument("--random_crop", action=argparse.BooleanOptionalAction, default=False,
                       help="random windows of 160/182 of the side; evaluation takes the central "
                            "one")
    group.add_argument("--random_flip", action=argparse.BooleanOptionalAction, default=False,
                       help="mirror half of the images")
    group.add_argument("--random_rotate", action=argparse.BooleanOptionalAction, default=False,
                       help=f"rotate by up to {ROTATION} degrees")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the batch that is drawn")
    return parser


def show(args: argparse.Namespace) -> None:
    """Prints the parts and draws a batch."""
    args.typed = {}
    data = load(args)
    for name, photos in (("train", data.train), ("validation", data.validation)):
        counts = np.bincount(photos.people)
        print(f"{name}: {len(photos.people):,} photographs of {len(photos.names):,} people, "
              f"{counts.min()} to {counts.max()} each ({', '.join(photos.names[:5])}, …)")
    batch, _, step = next(training_batches(data.train, 40, args.seed))
    seed = tf.stack([tf.constant(args.seed, tf.int64), step])
    drawn = augment(batch, seed, args.image_size, args.random_flip, args.random_rotate)
    png = rundir.runs_dir() / "chapter06_face" / f"batch-{args.dataset}.png"
    images.write_png(png, images.grid(drawn.numpy().round().astype(np.uint8), 10))
    print(f"a training batch: {png}")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: show(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
