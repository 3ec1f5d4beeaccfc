"""Many experiments: compiled together, over processes and clusters, compared."""

from ._engine import AbstractEngine as AbstractEngine, Done as Done
from ._point import Job as Job, Point as Point, Row as Row
from ._rule import RuleError as RuleError, rule_of as rule_of
