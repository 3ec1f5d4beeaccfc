"""`pnnjax compare`: two runs, two sweeps or two estimators, on the same seeds."""

import os
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from .. import zoo
from ..sweeps import GridError, LocalProcesses, RuleError, WorkerError
from ..sweeps._compare import Comparison, compare as compare_folders, compare_estimators
from ..sweeps._sides import CompareError, is_folder
from ._terminal import broken, console, fail, stopped, table

WRONG = (
    zoo.UnknownExperimentError,
    zoo.SettingError,
    zoo.FolderError,
    CompareError,
    GridError,
    RuleError,
)
SEEDS = 8


class Asked(NamedTuple):
    """The options that were given."""

    experiment: str | None
    seeds: int | None
    settings: list[str]
    out: Path | None
    workers: int | None
    alignment: bool | None

    def options(self) -> dict[str, Any]:
        """By the names under which they are typed."""
        return {
            "--experiment": self.experiment,
            "--seeds": self.seeds,
            "--out": self.out,
            "--workers": self.workers,
            "--set": self.settings,
            "--alignment": self.alignment is True,
            "--no-alignment": self.alignment is False,
        }


def compare(
    a: Annotated[
        str,
        typer.Argument(
            help="A folder of runs or of a sweep, DIR:name=value for a part of it, or "
            'an estimator such as "SPSA(samples=8)".'
        ),
    ],
    b: Annotated[str, typer.Argument(help="Another one, of the same experiment.")],
    experiment: Annotated[
        str | None, typer.Option(help="For estimators: what they train.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help=f"For estimators: how many. {SEEDS}.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="For estimators: a setting, as key=value."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Of what is written, or else runs/compare-NAME.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="For estimators: processes. All cores.")
    ] = None,
    alignment: Annotated[
        bool | None,
        typer.Option(
            help="Train each once more to see where its gradients point; unless said "
            "otherwise, estimators only."
        ),
    ] = None,
) -> None:
    """Two methods side by side: curves, paired differences, alignment, cost."""
    asked = Asked(experiment, seeds, set_ or [], out, workers, alignment)
    try:
        both = is_folder(a) and is_folder(b)
        found, folder = (_folders if both else _estimators)(a, b, asked)
        _show(found, found.write(folder))
    except WRONG as error:
        raise fail(2, str(error)) from error
    except (WorkerError, OSError) as error:
        raise broken(error) from error
    except KeyboardInterrupt as error:
        command = ["pnnjax", "compare", a, b]
        raise stopped(error, command, asked.options()) from error


def _folders(a: str, b: str, asked: Asked) -> tuple[Comparison, Path]:
    if asked.experiment or asked.seeds or asked.settings or asked.workers is not None:
        raise CompareError(
            "`--experiment`, `--seeds`, `--set` and `--workers` are for estimators: "
            "what folders hold is done."
        )
    found = compare_folders(a, b, alignment=bool(asked.alignment))
    return found, asked.out or Path("runs") / "compare"


def _estimators(a: str, b: str, asked: Asked) -> tuple[Comparison, Path]:
    name = _experiment(a, b, asked.experiment)
    folder = asked.out or Path("runs") / f"compare-{name.rpartition(':')[2]}"
    # The workers need the accelerator's memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    found = compare_estimators(
        a,
        b,
        experiment=name,
        seeds=SEEDS if asked.seeds is None else asked.seeds,
        settings=_settings(asked.settings),
        out=folder,
        engine=LocalProcesses(asked.workers),
        alignment=asked.alignment is not False,
    )
    return found, folder


def _experiment(a: str, b: str, experiment: str | None) -> str:
    for text, other in ((a, b), (b, a)):
        if is_folder(text):
            raise CompareError(
                f"`{text}` is a folder, and `{other}` is none: give two folders, or "
                "two estimators."
            )
    for text in (a, b):
        if "(" not in text and text != "own":
            raise CompareError(
                f"`{text}` is neither a folder nor an estimator such as `Autodiff()`."
            )
    if experiment is None:
        raise CompareError(
            "Say what the estimators train: `--experiment digits-ep`, or another one "
            "of `pnnjax list`."
        )
    return experiment


def _settings(assignments: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in assignments]
    for text, (_, equals, _) in zip(assignments, pairs, strict=True):
        if not equals:
            raise zoo.SettingError(f"`--set {text}` must be `--set key=value`.")
    return {name.strip(): value for name, _, value in pairs}


def _show(found: Comparison, written: list[Path]) -> None:
    terminal = console()
    terminal.print(f"A: {found.a.label}\nB: {found.b.label}", soft_wrap=True)
    rows = [
        (row["quantity"], *(_cell(row[n]) for n in ("a", "b", "difference")))
        + (_interval(row["low"], row["high"]),)
        for row in found.table().iter_rows(named=True)
    ]
    headers = ("", "A", "B", "B − A", "95 % interval")
    terminal.print(table(headers, rows))
    for line in (found.difference.in_words(), *found.notes):
        terminal.print(line, soft_wrap=True)
    names = ", ".join(path.name for path in written)
    terminal.print(f"Written to {written[0].parent}: {names}", soft_wrap=True)


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _interval(low: float | None, high: float | None) -> str:
    if low is None or high is None or low != low:
        return "–"
    return f"{low:.3g}, {high:.3g}"
