"""Peers have the cases' functions in their own words, and do each task they are entered for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from benchmarks import apart, functions, measure, peers
from benchmarks.cases import CASES, Case
from benchmarks.contenders import BASELINE, TASKS, entered

# of PyTorch's own modules, when they are imported
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

FRAMEWORKS = {c.framework for task in TASKS.values() for c in task.values()} - {"jax"}
SIZES = {"n": 4, "v": 16, "b": 2, "l": 2, "m": 6, "k": 2, "d": 3, "c": 2, "t": 3, "p": 4, "q": 2}


def members() -> Iterator[tuple[str, str]]:
    for framework in sorted(FRAMEWORKS):
        for name in sorted(peers.functions(framework)):
            yield framework, name


def module(framework: str) -> Any:
    pytest.importorskip(framework)
    return importlib.import_module(f"benchmarks.peers.{framework}")


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_peers_have_words_for_functions_of_cases_only(framework: str) -> None:
    known = {name for name, _ in inspect.getmembers(functions, inspect.isfunction)}
    assert peers.functions(framework) <= known


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_peers_do_the_tasks_they_are_entered_for(framework: str) -> None:
    asked = {c.build for task in TASKS.values() for c in task.values() if c.framework == framework}
    assert asked == set(module(framework).TASKS)


def small(case: Case) -> Case:
    return case.at(**{letter: SIZES[letter] for letter in case.sizes})


@pytest.mark.parametrize(("framework", "name"), [*members()])
def test_functions_of_peers_are_those_of_the_cases(framework: str, name: str) -> None:
    peer = module(framework)
    case = small(next(case for case in CASES if case.function.__name__ == name))
    arrays = [np.asarray(a) for a in case.arguments("float32")]
    frame = peer.Framework("cpu")
    found = frame.leave(peers.function(framework, name)(*map(frame.enter, arrays)))
    with jax.disable_jit():
        expected = case.function(*case.arguments("float32"))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_tasks_of_peers_give_the_answers_of_the_baseline(framework: str) -> None:
    peer = module(framework)
    for task, contenders in TASKS.items():
        for name, contender in contenders.items():
            case = next(
                (c for c in CASES if c.task == task and name in entered(task, c.function)), None
            )
            if contender.framework != framework or case is None:
                continue
            case = small(case)
            arguments = case.arguments("float32")
            arrays = [np.asarray(a) for a in arguments]
            there = apart.Peer(framework, contender.build, case.function.__name__, arrays, "cpu")
            baseline = contenders[BASELINE]
            call = jax.jit(baseline.build(case.function))
            truth = call(*baseline.prepare(case.function, *arguments))
            answers = {BASELINE: [np.asarray(a) for a in jax.tree.leaves(truth)]}
            answers["peer"], taken = there.first()
            error = measure.check(answers, measure.tolerance("float32"))["peer"]
            assert not isinstance(error, str), (task, error)
            assert set(taken) <= {"peak", "why"}
    with pytest.raises(RuntimeError, match=r"tpu|CPU only"):
        peer.Framework("tpu")
