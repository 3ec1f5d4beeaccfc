"""Many experiments: compiled together, over processes and clusters, compared."""

from ._code_version import code_version as code_version
from ._compare import (
    Comparison as Comparison,
    compare as compare,
    compare_estimators as compare_estimators,
)
from ._drive import drive as drive
from ._durable import FullDiskError as FullDiskError
from ._engine import AbstractEngine as AbstractEngine, Done as Done
from ._grid import Grid as Grid, GridError as GridError, Sweep as Sweep
from ._leaderboard import (
    Leaderboard as Leaderboard,
    NoPairError as NoPairError,
    leaderboard as leaderboard,
)
from ._leaderboard_page import leaderboard_page as leaderboard_page
from ._local_processes import (
    LocalProcesses as LocalProcesses,
    WorkerError as WorkerError,
)
from ._page import (
    Column as Column,
    Image as Image,
    Picture as Picture,
    Table as Table,
    Terms as Terms,
    Text as Text,
    Tiles as Tiles,
    write_page as write_page,
)
from ._paired import Paired as Paired, paired as paired
from ._point import Job as Job, Point as Point, Row as Row
from ._ray_cluster import ClusterError as ClusterError, RayCluster as RayCluster
from ._read_sweep import SweepFile as SweepFile, read_sweep as read_sweep
from ._report import report as report
from ._rule import RuleError as RuleError, rule_of as rule_of
from ._run import TooManyPointsError as TooManyPointsError, run as run
from ._sides import CompareError as CompareError
from ._store import Store as Store
from ._table import summary as summary, table as table
