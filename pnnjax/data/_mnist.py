"""Handwritten digits, 28 x 28 pixels."""

from ._dataset import Dataset
from ._idx import image_dataset
from ._source import RemoteFile


def mnist() -> Dataset:
    """60,000 handwritten digits to train with and 10,000 to test with, as published.

    Images are `28 x 28`, from 0 (paper) to 1 (ink).

    **Source:** LeCun, Bottou, Bengio, Haffner, *Proc. IEEE* 86, 2278 (1998),
    doi:10.1109/5.726791. License: CC BY-SA 3.0.
    """
    return image_dataset(
        (
            _file(
                "train-images-idx3-ubyte.gz",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            _file(
                "train-labels-idx1-ubyte.gz",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
        ),
        (
            _file(
                "t10k-images-idx3-ubyte.gz",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            _file(
                "t10k-labels-idx1-ubyte.gz",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
        tuple("0123456789"),
    )


def _file(name: str, sha256: str) -> RemoteFile:
    mirrors = (
        f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}",
        f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}",
    )
    return RemoteFile(f"mnist/{name}", mirrors, sha256)
