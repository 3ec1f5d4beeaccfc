"""Another estimator in an experiment, given as text."""

import ast
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import optax
from jaxtyping import PRNGKeyArray

from .. import estimators, zoo
from .._estimator import AbstractEstimator
from .._physical import Physical
from ..zoo._settings import near

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RuleError(ValueError):
    """A text that names no estimator, or one that this experiment can't have."""


def rule_of(text: str) -> AbstractEstimator:
    """The estimator that a call such as `"SPSA(samples=8)"` makes.

    Names are those of `pnnjax.estimators`, arguments are literals or such calls. Where
    a key is wanted, a whole number is its seed.

    **Raises:** `RuleError` that says which names are near, or what the class objects.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise RuleError(f"`{text}` is no call such as `SPSA(samples=8)`.") from error
    made = _made(tree, text)
    if not isinstance(made, AbstractEstimator):
        raise RuleError(f"`{text}` is no estimator.")
    return made


def with_rule(study: zoo.AbstractStudy, text: str) -> zoo.AbstractStudy:
    """`study` with that estimator in every `Physical` of its model.

    **Raises:** `RuleError` if it is no training run of one model.
    """
    if not isinstance(study, zoo.AbstractTraining):
        raise RuleError(
            f"`{study.name}` is no training run of one model: its estimator can't be "
            "replaced."
        )
    return WithRule(study, rule_of(text))


def replaced(model: Any, rule: AbstractEstimator) -> Any:
    """`model` with `rule` in the place of every estimator.

    **Raises:** `RuleError` if there is none.
    """
    found = []

    def swap(node: Any) -> Any:
        if not isinstance(node, Physical):
            return node
        found.append(node)
        return Physical(node.layer, rule)

    swapped = jax.tree.map(swap, model, is_leaf=lambda n: isinstance(n, Physical))
    if not found:
        raise RuleError("The model has no `Physical` whose estimator can be replaced.")
    return swapped


class WithRule(zoo.AbstractTraining):
    """A training run with another estimator in every `Physical` of its model."""

    study: zoo.AbstractTraining
    estimator: AbstractEstimator

    name: ClassVar[str] = "with-rule"
    summary: ClassVar[str] = "an experiment with another estimator"
    reference: ClassVar[str] = "that of the experiment"
    figure: ClassVar[str] = "figure of the experiment"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 0.0

    def __init__(self, study: zoo.AbstractTraining, estimator: AbstractEstimator):
        self.study = study
        self.estimator = estimator

    @property
    def epochs(self) -> int:
        return self.study.epochs

    @property
    def batch_size(self) -> int:
        return self.study.batch_size

    def data(self) -> Any:
        return self.study.data()

    def model(self, *, key: PRNGKeyArray) -> Any:
        return replaced(self.study.model(key=key), self.estimator)

    def rule(self) -> Any:
        return self.study.rule()

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return self.study.optimizer(steps)

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return self.study.metrics()

    def picture(self, model: Any, data: Any) -> "Figure":
        return self.study.picture(model, data)


def _made(node: ast.expr, text: str) -> Any:
    if not isinstance(node, ast.Call):
        try:
            return ast.literal_eval(node)
        except ValueError as error:
            raise RuleError(
                f"`{ast.unparse(node)}`, in `{text}`, is no literal."
            ) from error
    name = ast.unparse(node.func)
    known = tuple(n for n in dir(estimators) if n[0].isupper())
    if name not in known:
        raise RuleError(f"`pnnjax.estimators` has no `{name}`.{near(name, known)}")
    make = getattr(estimators, name)
    given = [_made(argument, text) for argument in node.args]
    named = {k.arg: _made(k.value, text) for k in node.keywords if k.arg is not None}
    if isinstance(named.get("key"), int):
        named["key"] = jax.random.key(named["key"])
    try:
        return make(*given, **named)
    except (TypeError, ValueError) as error:
        raise RuleError(f"`{text}`: {error}") from error
