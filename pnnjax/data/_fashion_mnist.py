"""Pictures of clothes, 28 x 28 pixels."""

from ._dataset import Dataset
from ._idx import image_dataset
from ._source import RemoteFile

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def fashion_mnist() -> Dataset:
    """60,000 pictures of clothes to train with and 10,000 to test with, as published.

    Images are `28 x 28`, from 0 (background) to 1.

    **Source:** Xiao, Rasul, Vollgraf, arXiv:1708.07747 (2017). License: MIT.
    """
    return image_dataset(
        (
            _file(
                "train-images-idx3-ubyte.gz",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            _file(
                "train-labels-idx1-ubyte.gz",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
        ),
        (
            _file(
                "t10k-images-idx3-ubyte.gz",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            _file(
                "t10k-labels-idx1-ubyte.gz",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
        CLASSES,
    )


def _file(name: str, sha256: str) -> RemoteFile:
    repository = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist"
    commit = "949006594cc2f804a93b9155849734564c3545ec"
    url = f"{repository}/{commit}/data/fashion/{name}"
    return RemoteFile(f"fashion-mnist/{name}", (url,), sha256)
