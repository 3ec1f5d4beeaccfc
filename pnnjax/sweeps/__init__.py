"""Many experiments: compiled together, over processes and clusters, compared."""

from ._code_version import code_version as code_version
from ._drive import drive as drive
from ._durable import FullDiskError as FullDiskError
from ._engine import AbstractEngine as AbstractEngine, Done as Done
from ._local_processes import LocalProcesses as LocalProcesses
from ._point import Job as Job, Point as Point, Row as Row
from ._rule import RuleError as RuleError, rule_of as rule_of
from ._store import Store as Store
