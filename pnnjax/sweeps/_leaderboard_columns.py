"""What the columns of the leaderboard are."""

from ._page import Column

COLUMNS = {
    "layer": (Column("layer"), "A small specimen of a physical system, by its name."),
    "estimator": (Column("estimator"), "How its gradient is obtained, by its name."),
    "domain": (Column("domain"), "Which physics the layer is."),
    "claim": (
        Column("claim"),
        "What the estimator promises where its conditions hold: the exact gradient, an "
        "error of some order in a small parameter, a mean that is exact, or a least "
        "cosine.",
    ),
    "cosine": (
        Column("cosine", shaded=True),
        "Between the estimated and the exact gradient of parameters and inputs "
        "together: 1 is the same direction, 0 a right angle.",
    ),
    "relative_error": (
        Column("relative error"),
        "Norm of the difference of the two gradients, in parts of the exact one's.",
    ),
    "cosine_of_mean": (
        Column("cosine of the mean", shaded=True),
        "The same of the mean gradient of all draws, for rules that draw directions.",
    ),
    "relative_error_of_mean": (
        Column("its error"),
        "The relative error of that mean.",
    ),
    "draws": (Column("draws"), "How many gradients the mean is of."),
    "runs": (
        Column("runs"),
        "Passes of a signal through the physical system, in any direction, for one "
        "gradient of one example.",
    ),
    "relaxations": (
        Column("relaxations"),
        "Times that the system is left to settle for that.",
    ),
    "measured": (Column("measured", ""), "Real numbers read from sensors for that."),
    "flops": (
        Column("digital", "FLOP"),
        "Digital floating-point operations for that, those of a model included.",
    ),
    "seconds": (
        Column("time", "s"),
        "Median time of one gradient of a batch of 30, all of the physics simulated; "
        "random numbers are hashes, which are sooner made than JAX's own.",
    ),
    "compile_seconds": (Column("to compile", "s"), "Time before the first gradient."),
    "bytes": (
        Column("memory", "B"),
        "Scratch memory of the compiled program, besides its inputs and outputs.",
    ),
    "accuracy": (
        Column("accuracy", shaded=True),
        "On test data of one task, after training with a fixed budget, with the best "
        "linear scores of two numbers that are read.",
    ),
    "accuracy_untrained": (
        Column("untrained", shaded=True),
        "The same of the layer as it is.",
    ),
    "physical_runs": (
        Column("runs to train", ""),
        "Runs and relaxations of the physical system in that training.",
    ),
    "parameters": (Column("parameters"), "Trained numbers of the layer."),
    "inputs": (Column("inputs"), "Numbers in one example; a complex one counts two."),
    "outputs": (Column("outputs"), "Numbers in one response; likewise."),
    "kind": (Column("layer's class", picked=False), "In pnnjax."),
    "rule": (Column("estimator's class", picked=False), "In pnnjax.estimators."),
    "error": (Column("error", picked=False), "What went wrong, if anything did."),
}
"""By their names in the table, in the order in which they are shown: how they are
headed and formatted, and a sentence of explanation."""
