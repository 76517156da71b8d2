"""Features of regions of interest: from one shared feature map to a fixed size per box."""

import tensorflow as tf


def crop(features: tf.Tensor, boxes: tf.Tensor, crop_size: int, pool: int = 2) -> tf.Tensor:
    """Returns the features of boxes by bilinear sampling and max pooling, as Faster R-CNN here.

    Args:
        features: float32 of shape (batch, rows, columns, channels).
        boxes: float32 of shape (batch, n, 4), in fractions of the image.
        crop_size: rows and columns of the sampled grid.
        pool: size and stride of the max pooling; 1 for none.

    Returns:
        float32 of shape (batch * n, crop_size / pool, crop_size / pool, channels).
    """
    batch, count = tf.unstack(tf.shape(boxes)[:2])
    owners = tf.repeat(tf.range(batch), count)
    crops = tf.image.crop_and_resize(features, tf.reshape(boxes, (-1, 4)), owners,
                                     (crop_size, crop_size))
    return tf.nn.max_pool2d(crops, pool, pool, "VALID")


def adaptive_max_pool(region: tf.Tensor, bins: int) -> tf.Tensor:
    """Returns the maxima of a region of any size in bins × bins cells.

    Args:
        region: float32 of shape (rows, columns, channels), each at least 1.
        bins: cells per side. If there are fewer rows or columns than cells, the cells overlap.

    Returns:
        float32 of shape (bins, bins, channels).
    """
    def pool(values: tf.Tensor) -> tf.Tensor:  # (length, ...) -> (bins, ...)
        length = tf.shape(values)[0]
        ends = [(i * length // bins, -(-(i + 1) * length // bins)) for i in range(bins)]
        return tf.stack([tf.reduce_max(values[low:high], axis=0) for low, high in ends])

    rows = pool(region)  # (bins, columns, channels)
    return tf.transpose(pool(tf.transpose(rows, (1, 0, 2))), (1, 0, 2))


def roi_max_pool(features: tf.Tensor, boxes: tf.Tensor, bins: int = 7) -> tf.Tensor:
    """Returns the features of boxes by the RoI max pooling of Fast R-CNN (Girshick 2015, § 2.1).

    Args:
        features: of one image, float32 of shape (rows, columns, channels).
        boxes: float32 of shape (n, 4) within the image; rounded outwards to whole cells.
        bins: cells per side.

    Returns:
        float32 of shape (n, bins, bins, channels).
    """
    size = tf.shape(features)[:2]
    channels = features.shape[-1]

    def pool(box: tf.Tensor) -> tf.Tensor:
        ends = tf.reshape(box, (2, 2)) * tf.cast(size, tf.float32)
        low = tf.minimum(tf.cast(tf.floor(ends[0]), tf.int32), size - 1)
        high = tf.minimum(tf.maximum(tf.cast(tf.math.ceil(ends[1]), tf.int32), low + 1), size)
        return adaptive_max_pool(features[low[0]:high[0], low[1]:high[1]], bins)

    return tf.map_fn(pool, boxes, fn_output_signature=tf.TensorSpec((bins, bins, channels)))


def spatial_pyramid(features: tf.Tensor, levels: tuple[int, ...] = (4, 2, 1)) -> tf.Tensor:
    """Returns the pooled pyramid of SPPNet (He et al. 2014, § 2.2): one length for any input size.

    Args:
        features: of one image or region, float32 of shape (rows, columns, channels).
        levels: cells per side; 4 × 4 + 2 × 2 + 1 × 1 are 21.

    Returns:
        float32 of shape (21 * channels,).
    """
    return tf.concat([tf.reshape(adaptive_max_pool(features, bins), [-1]) for bins in levels],
                     axis=0)


def position_sensitive_crop(
    features: tf.Tensor, boxes: tf.Tensor, bins: int = 3, crop_size: int = 18
) -> tf.Tensor:
    """Returns the position-sensitive scores of boxes of R-FCN (Dai et al. 2016, § 3).

    Each of the bins × bins cells of a box is averaged over channels of its own; a box gets the mean
    of its cells.

    Args:
        features: float32 of shape (1, rows, columns, bins * bins * channels); the channels of the
            first cell come first, by row.
        boxes: float32 of shape (n, 4).
        bins: cells per side.
        crop_size: sampled points per side of the box, divided among its cells.

    Returns:
        float32 of shape (n, channels).
    """
    corner, steps = boxes[:, :2], (boxes[:, 2:] - boxes[:, :2]) / bins
    owners = tf.zeros([tf.shape(boxes)[0]], tf.int32)
    points, cells = crop_size // bins, []
    for number, group in enumerate(tf.split(features, bins * bins, axis=-1)):
        place = tf.constant([number // bins, number % bins], tf.float32)
        cell = tf.concat([corner + place * steps, corner + (place + 1) * steps], axis=1)
        sampled = tf.image.crop_and_resize(group, cell, owners, (points, points))
        cells.append(tf.reduce_mean(sampled, axis=(1, 2)))  # (n, channels)
    return tf.add_n(cells) / bins**2
