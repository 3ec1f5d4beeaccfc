"""A peer that can't share our environment: it runs in another, and takes its turns.

It answers requests, a line of JSON each, measures itself, and waits meanwhile.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from side_by_side import Case


class Elsewhere:
    """A program of another Python that calls `serve`."""

    def __init__(self, python: str, script: str, *arguments: str):
        path = Path(__file__).parent / script
        self.script = script
        self.process = subprocess.Popen(
            [python, str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        hello = self._answer()
        self.versions: dict[str, str] = hello["versions"]
        self.cases = {name: There(self, name) for name in hello["cases"]}
        self.notes: dict[str, str] = hello["notes"]

    def ask(self, **request: object) -> Any:
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self.process.communicate()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            self.close()
            raise RuntimeError(
                f"{self.script} ended with {self.process.returncode}: see its words "
                "above."
            )
        return json.loads(answer)


class There:
    """One of its cases."""

    def __init__(self, where: Elsewhere, name: str):
        self.where = where
        self.name = name

    def seconds(self, calls: int) -> list[tuple[float, float]]:
        return self.where.ask(name=self.name, calls=calls)

    def memory(self) -> float | None:
        return self.where.ask(name=self.name, calls=0)


def serve(
    cases: Mapping[str, Case],
    versions: Mapping[str, str],
    notes: Mapping[str, str],
) -> None:
    """Run what is asked for, until nothing is asked any more."""
    answers = os.fdopen(os.dup(1), "w")
    # What a library prints is no answer.
    os.dup2(2, 1)
    hello = {"cases": list(cases), "versions": dict(versions), "notes": dict(notes)}
    print(json.dumps(hello), file=answers, flush=True)
    for request in map(json.loads, sys.stdin):
        case = cases[request["name"]]
        calls = request["calls"]
        answer = case.seconds(calls) if calls else case.memory()
        print(json.dumps(answer), file=answers, flush=True)
