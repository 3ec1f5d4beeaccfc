"""The command line: `pnnjax list`, `pnnjax train` and `pnnjax serve-device`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from . import zoo
from ._checkpoint import CheckpointError
from ._commands._bench import bench
from ._commands._compare import compare
from ._commands._report import report
from ._commands._sweep import sweep
from ._commands._terminal import console, duration, fail, stopped, table
from ._diagnose import NonFiniteError
from .devices import DeviceError
from .devices._hosting import NotServableError, open_server
from .zoo._run import discard, stored_result, stored_settings
from .zoo._settings import explicit, settings_of, values_of

app = typer.Typer(
    name="pnnjax",
    help="Train physical neural networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Pem = Annotated[Path | None, typer.Option(help="A PEM file, for TLS.")]
Allowed = Annotated[
    tuple[float, float] | None, typer.Option(help="Refuse what is beyond.")
]


def main() -> None:
    """The entry point."""
    app()


@app.command("list")
def list_experiments() -> None:
    """The experiments that there are."""
    kinds = [(name, zoo.find(name)) for name in zoo.names()]
    rows = [
        (name, kind.summary, _published(kind), duration(kind.duration))
        for name, kind in kinds
    ]
    headers = ("name", "what", "published figure", "time on 2 cores")
    console().print(table(headers, rows))


app.command()(sweep)
app.command()(bench)
app.command()(compare)
app.command()(report)


@app.command()
def train(
    name: Annotated[
        str, typer.Argument(help="An experiment of `pnnjax list`, or `module:Class`.")
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the experiment, as key=value."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder, or else runs/NAME-SEED.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="0, unless given.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Delete the run in the folder first.")
    ] = False,
) -> None:
    """Run an experiment, and write its settings, metrics and pictures to a folder."""
    if resume and force:
        raise fail(2, "Give `--resume` or `--force`, not both.")
    try:
        _train(name, set_ or [], out, seed, resume, force)
    except (zoo.UnknownExperimentError, zoo.SettingError) as error:
        raise fail(2, str(error)) from error
    except zoo.FolderError as error:
        ways = "--resume goes on with it, --force starts over, --out takes another"
        raise fail(2, f"{error} ({ways}.)") from error
    except (NonFiniteError, DeviceError, CheckpointError, OSError) as error:
        raise fail(1, str(error)) from error
    except KeyboardInterrupt as error:
        options = {"--out": out, "--seed": seed, "--resume": True}
        raise stopped(error, ["pnnjax", "train", name], options) from error


@app.command("serve-device")
def serve_device(
    name: Annotated[
        str,
        typer.Argument(
            help="MODULE:NAME of a function `run(parameters, x)`, a `CallbackDevice`, "
            "or a `DeviceLayer`."
        ),
    ],
    host: Annotated[
        str, typer.Option(help="Where to listen; on a network, with a certificate.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for a free one.")] = 0,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="Holds the token, and is written if it isn't there. Or else the "
            "token is PNNJAX_DEVICE_TOKEN, or a new one, shown once."
        ),
    ] = None,
    certificate: Pem = None,
    private_key: Pem = None,
    plain_text: Annotated[
        bool,
        typer.Option(
            "--plain-text", help="Let token and arrays cross the network readable."
        ),
    ] = False,
    parameter_range: Allowed = None,
    input_range: Allowed = None,
    batch_limit: Annotated[
        int | None, typer.Option(help="Examples in one run.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="For the noise of a simulated device.")
    ] = None,
) -> None:
    """Serve a device to training processes elsewhere, until Ctrl-C."""
    try:
        server, where = open_server(
            name,
            token_file=token_file,
            seed=seed,
            parameter_range=parameter_range,
            input_range=input_range,
            batch_limit=batch_limit,
            host=host,
            port=port,
            certificate=certificate,
            private_key=private_key,
            plain_text=plain_text,
        )
    except (NotServableError, ValueError, ImportError) as error:
        raise fail(2, str(error)) from error
    except OSError as error:
        raise fail(1, str(error)) from error
    console().print(f"{name} is served at {server.address}\n{where}", soft_wrap=True)
    try:
        server.wait()
    except KeyboardInterrupt as error:
        server.close()
        raise fail(130, f"Stopped after {server.made} runs.") from error


def _train(
    name: str,
    assignments: list[str],
    out: Path | None,
    seed: int | None,
    resume: bool,
    force: bool,
) -> None:
    kind = zoo.find(name)
    folder = out or Path("runs") / f"{kind.name}-{seed or 0}"
    experiment, seed = _configured(kind, assignments, folder, seed, resume)
    if force:
        discard(folder)
    result = stored_result(folder, experiment, seed) if resume else None
    _show(experiment, seed, folder)
    if result is None:
        zoo.run(experiment, seed=seed, out=folder, resume=resume)
        result = stored_result(folder, experiment, seed)
    _show_result(experiment, result, folder)


def _configured(
    kind: type[zoo.AbstractStudy],
    assignments: list[str],
    folder: Path,
    seed: int | None,
    resume: bool,
) -> tuple[zoo.AbstractStudy, int]:
    """What is asked for; a run that goes on keeps what is not."""
    pairs = [assignment.partition("=") for assignment in assignments]
    for assignment, (_, equals, _) in zip(assignments, pairs):
        if not equals:
            raise zoo.SettingError(f"`--set {assignment}` must be `--set key=value`.")
    given = explicit(kind, {key.strip(): value for key, _, value in pairs})
    stored = stored_settings(folder) if resume else None
    if stored is not None and stored["experiment"] == kind.name:
        given = {**stored["settings"], **given}
        seed = stored["seed"] if seed is None else seed
    return zoo.configure(kind, given), seed or 0


def _show(experiment: zoo.AbstractStudy, seed: int, folder: Path) -> None:
    known = settings_of(type(experiment))
    rows = [
        (name, f"{v}", known[name].text) for name, v in values_of(experiment).items()
    ]
    rows += [("seed", f"{seed}", ""), ("folder", f"{folder}", "")]
    terminal = console()
    terminal.print(f"{experiment.name}: {experiment.summary}", style="bold")
    terminal.print(experiment.reference)
    terminal.print(table((), rows))


def _show_result(experiment: zoo.AbstractStudy, result: Any, folder: Path) -> None:
    terminal = console()
    published = f"(published: {_published(type(experiment))})"
    figure = f"{experiment.figure} {result['value']:.4g}"
    terminal.print(f"{figure} {published}, {duration(result['seconds'])}", style="bold")
    terminal.print(f"Written to {folder}", soft_wrap=True)


def _published(kind: type[zoo.AbstractStudy]) -> str:
    return "none" if kind.published is None else f"{kind.figure} {kind.published:g}"
