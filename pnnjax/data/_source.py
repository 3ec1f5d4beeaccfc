"""Where the files of data sets come from: a folder at hand, or a checked download."""

import os
from pathlib import Path
from typing import NamedTuple

FOLDER = "PNNJAX_DATA"


class RemoteFile(NamedTuple):
    """A public file: its place in a folder of data, where it is offered, its bytes."""

    path: str
    urls: tuple[str, ...]
    sha256: str


def locate(file: RemoteFile) -> Path:
    """The file in the folder that `PNNJAX_DATA` names; without that, downloaded once.

    Downloads are kept in the user's cache, and their checksum is verified at each use.

    **Raises:** `FileNotFoundError`, which says what would help.
    """
    folder = os.environ.get(FOLDER)
    if not folder:
        return _download(file)
    path = Path(folder) / file.path
    if not path.is_file():
        raise FileNotFoundError(
            f"{FOLDER} is set to `{folder}`, but there is no file `{path}`. Put it "
            f"there (it is offered at {file.urls[0]}), or unset {FOLDER} to have it "
            "downloaded."
        )
    return path


def _download(file: RemoteFile) -> Path:
    import pooch

    place = Path(pooch.os_cache("pnnjax")) / file.path
    failures: list[str] = []
    for url in file.urls:
        try:
            pooch.retrieve(
                url, f"sha256:{file.sha256}", fname=place.name, path=place.parent
            )
            return place
        except (OSError, ValueError) as failure:
            failures.append(f"{url}: {failure}")
    raise FileNotFoundError(
        f"`{file.path}` is not at hand and could not be downloaded. Either set {FOLDER}"
        f" to a folder that holds `{file.path}`, or connect to the network. What was "
        "tried:\n" + "\n".join(failures)
    )
