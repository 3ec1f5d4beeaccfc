"""What resonators reflect, against the frequency of the light."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float

from ._style import GRAY, LINES, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reflection_spectrum(
    frequency: Float[AnyArray, " frequencies"],
    reflected: Float[AnyArray, "examples frequencies outputs"],  # dimensionless
    titles: Sequence[str],
    *,
    probe: float,
    unit: str,
    names: Sequence[str] | None = None,
) -> "Figure":
    """One quadrature of each output's reflection; a line marks where it is read.

    **Arguments:** `titles`: one for each example; `probe`: the frequency of the light
    that reads the outputs; `unit`: of all frequencies; `names`: of the outputs, which
    are counted unless they have some.
    **Raises:** `ValueError` if titles, names or frequencies do not fit.
    """
    values, place = (
        checked(reflected, "reflected", 3),
        checked(frequency, "frequency", 1),
    )
    examples, frequencies, outputs = values.shape
    names = [str(k) for k in range(outputs)] if names is None else list(names)
    if (len(titles), len(place), len(names)) != (examples, frequencies, outputs):
        raise ValueError(
            f"`reflected` is of shape {values.shape}, to which {len(titles)} titles, "
            f"{len(place)} frequencies and {len(names)} names do not fit."
        )
    with style():
        fig = figure(3.3 * examples + 0.8, 3.2)
        axes = fig.subplots(1, examples, sharey=True, squeeze=False)[0]
        for ax, title, one in zip(axes, titles, values):
            ax.axvline(probe, color=GRAY, linewidth=0.8)
            for k, name in enumerate(names):
                ax.plot(
                    place,
                    one[:, k],
                    color=PALETTE[k % len(PALETTE)],
                    linestyle=LINES[k // len(PALETTE) % len(LINES)],
                    linewidth=1.2,
                    label=name,
                )
            ax.set(title=title, xlabel=f"Frequency of the light ({unit})")
            ax.grid(True)
        axes[0].set_ylabel(r"$\mathrm{Im}\,S_{ll}$")
        fig.legend(
            *axes[0].get_legend_handles_labels(),
            loc="outside right center",
            title="Output",
        )
    return fig
