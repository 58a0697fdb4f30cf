"""Our wrappers stay outside of MLflow's patches, in any order, and leave nothing behind."""

import functools
import inspect
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from itertools import permutations
from threading import Barrier, Thread
from typing import Any
from unittest import mock

import cloudpickle
import joblib
import pytest
from mlflow.utils import gorilla
from mlflow.utils.autologging_utils import autologging_integration, safe_patch
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier

from lossacc_mlflow.loggers import hooks

_GORILLA = {name: getattr(gorilla, name) for name in ("apply", "revert", "get_original_attribute")}

_said: list[str] = []
"""Who was called, the outermost first."""


class Base:
    def fit(self, X: object) -> "Base":  # noqa: ARG002, N803
        """Fit a model."""
        _said.append("fit")
        return self

    @classmethod
    def load(cls, path: str) -> str:
        return f"{cls.__name__} of {path}"

    @staticmethod
    def train(params: dict[str, int]) -> dict[str, int]:
        return params

    partial = functools.partial(max, 1)


class Inheriting(Base):
    """Has no fit of its own."""


class Calling(Base):
    def fit(self, X: object) -> "Base":  # noqa: N803
        _said.append("calling")
        return super().fit(X)


def around(below: Callable[..., Any], *args: object, **kwargs: object) -> object:
    _said.append("ours")
    return below(*args, **kwargs)


@autologging_integration("toy")  # type: ignore[untyped-decorator]
def toy_autolog(disable: bool = False, silent: bool = False) -> None:  # noqa: ARG001
    def patched(original: Callable[..., Any], *args: object, **kwargs: object) -> object:
        _said.append("mlflow")
        return original(*args, **kwargs)

    for owner in (Base, Inheriting, Calling):
        safe_patch("toy", owner, "fit", patched)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[Callable[[], None]]:
    """Check that every function is what it was before the test; done after each."""
    before = {owner: dict(vars(owner)) for owner in (Base, Inheriting, Calling)}

    def check() -> None:
        assert {owner: dict(vars(owner)) for owner in before} == before

    yield check
    hooks.detach_all()
    toy_autolog(disable=True)
    check()
    assert {name: getattr(gorilla, name) for name in _GORILLA} == _GORILLA


def said_by(call: Callable[[], object]) -> list[str]:
    _said.clear()
    call()
    return list(_said)


def change(step: str) -> None:
    match step:
        case "attach":
            for owner in (Base, Inheriting, Calling):
                hooks.attach(owner, "fit", around)
        case "detach":
            hooks.detach_all()
        case _:
            toy_autolog(disable=step == "mlflow off")


STEPS = ("attach", "detach", "attach", "mlflow", "mlflow", "mlflow off")


def test_ours_is_outside_of_mlflows_in_any_order(as_it_was: Callable[[], None]) -> None:
    for steps in sorted(set(permutations(STEPS))):
        for step in steps:
            change(step)
        last = {step: i for i, step in enumerate(steps)}
        ours = ["ours"] * (last["detach"] < last["attach"])
        theirs = ["mlflow"] * (last["mlflow off"] < last["mlflow"])
        assert said_by(lambda: Base().fit(1)) == [*ours, *theirs, "fit"], steps
        assert len(hooks._ATTACHED[id(Base), "fit"].layers) == len(ours)
        inheriting, calling = said_by(lambda: Inheriting().fit(1)), said_by(lambda: Calling().fit(1))
        assert inheriting[: len(ours + theirs)] == ours + theirs, steps
        assert calling[: len(ours + theirs) + 1] == [*ours, *theirs, "calling"], steps
        assert [inheriting.count("fit"), calling.count("fit")] == [1, 1], steps
        for undone in permutations(("detach", "mlflow off")):
            for step in (*undone, "mlflow", *undone, "attach", "mlflow", *undone):
                change(step)
            as_it_was()


def test_what_mlflow_takes_away_is_what_was_there_before() -> None:
    own = vars(Base)["fit"]
    change("attach")
    assert hooks.is_attached(Inheriting, "fit")
    change("mlflow")
    hooks.detach_all()
    assert not hooks.is_attached(Inheriting, "fit")
    toy_autolog(disable=True)
    assert vars(Base)["fit"] is own
    assert "fit" not in vars(Inheriting)


def test_the_last_wrapper_counts() -> None:
    def newer(below: Callable[..., Any], *args: object) -> object:
        _said.append("newer")
        return below(*args)

    change("attach")
    hooks.attach(Base, "fit", newer)
    assert said_by(lambda: Base().fit(1)) == ["newer", "fit"]


def test_another_library_may_wrap_ours_and_unwrap_it() -> None:
    def theirs(self: Base, X: object) -> object:  # noqa: N803
        _said.append("theirs")
        return wrapped(self, X)

    change("attach")
    wrapped = Base.fit
    with mock.patch.object(Base, "fit", theirs):
        assert said_by(lambda: Base().fit(1)) == ["theirs", "ours", "fit"]
        change("mlflow")
        assert said_by(lambda: Base().fit(1)) == ["ours", "mlflow", "theirs", "fit"]
        change("mlflow off")
        assert said_by(lambda: Base().fit(1)) == ["ours", "theirs", "fit"]
    assert said_by(lambda: Base().fit(1)) == ["ours", "fit"]
    with mock.patch.object(Base, "fit", theirs):
        hooks.detach_all()
        assert said_by(lambda: Base().fit(1)) == ["theirs", "fit"]
        change("attach")
        assert said_by(lambda: Base().fit(1)) == ["ours", "theirs", "fit"]


def test_calls_that_the_function_makes_itself_are_wrapped_too() -> None:
    class Meta(Base):
        def fit(self, X: object) -> Base:  # noqa: N803
            return X.fit(1) if isinstance(X, Base) else super().fit(X)

    change("attach")
    change("mlflow")
    hooks.attach(Meta, "fit", around)
    assert said_by(lambda: Meta().fit(Meta()))[:2] == ["ours", "ours"]


def test_a_wrapper_is_of_the_kind_of_what_it_wraps() -> None:
    signatures = {name: inspect.signature(getattr(Base, name)) for name in ("fit", "load", "train")}
    for name in ("fit", "load", "train", "partial"):
        hooks.attach(Base, name, around)
    assert {name: inspect.signature(getattr(Base, name)) for name in signatures} == signatures
    assert inspect.isfunction(Base.fit)
    assert Base.fit.__doc__ == "Fit a model."
    params: dict[str, int] = {}
    assert said_by(lambda: Base.load("x")) == ["ours"]
    assert Inheriting.load("x") == "Inheriting of x"
    assert Base.train(params) is params
    assert said_by(lambda: Base().train(params)) == ["ours"]
    assert Base().partial(7) == 7
    assert Base().fit(X=1).fit(1)


def test_a_method_that_there_is_only_sometimes_is_there_then_only() -> None:
    hooks.attach(MLPClassifier, "partial_fit", around)
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    model = MLPClassifier(hidden_layer_sizes=2)
    assert said_by(lambda: model.partial_fit([[0.0], [1.0]], [0, 1], classes=[0, 1])) == ["ours"]
    assert inspect.signature(model.partial_fit).parameters.keys() == {"X", "y", "sample_weight", "classes"}
    assert inspect.isfunction(MLPClassifier.partial_fit)


def test_a_function_of_a_module_is_wrapped() -> None:
    module = types.ModuleType("boosting")
    module.train = lambda params, rounds: (params, rounds)  # type: ignore[attr-defined]
    hooks.attach(module, "train", around)
    assert said_by(lambda: module.train({"eta": 1}, rounds=2)) == ["ours"]
    hooks.detach_all()
    assert module.train({}, 3) == ({}, 3)
    with pytest.raises(AttributeError):
        hooks.attach(module, "no_such_function", around)


def test_only_the_outermost_training_is_the_users() -> None:
    seen: list[bool] = []

    def nested() -> None:
        with hooks.outermost() as is_mine:
            seen.append(is_mine)

    with hooks.outermost() as is_mine:
        assert is_mine
        nested()
        joblib.Parallel(2, backend="threading")(joblib.delayed(nested)() for _ in range(2))
    assert seen == [False] * 3
    with pytest.raises(KeyboardInterrupt), hooks.outermost():
        raise KeyboardInterrupt
    assert not hooks.is_nested()
    seen.clear()
    joblib.Parallel(2, backend="threading")(joblib.delayed(nested)() for _ in range(2))
    assert seen == [True] * 2


def test_trainings_in_several_threads_are_all_the_users() -> None:
    seen, together = [], Barrier(2, timeout=20)

    def train() -> None:
        with hooks.outermost() as is_mine:
            together.wait()
            seen.append(is_mine)

    threads = [Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True, True]


def test_wrapped_classes_and_methods_can_be_pickled() -> None:
    hooks.attach(RandomForestClassifier, "fit", around)
    model = RandomForestClassifier(n_estimators=2, bootstrap=False)
    for dumped in (pickle.dumps, cloudpickle.dumps):
        assert pickle.loads(dumped(RandomForestClassifier.fit)) is RandomForestClassifier.fit  # noqa: S301
        assert pickle.loads(dumped(model.fit)).__self__.n_estimators == 2  # noqa: S301
    fitted = joblib.Parallel(2)(joblib.delayed(model.fit)([[0.0], [1.0]], [0, 1]) for _ in range(2))
    assert [one.predict([[1.0]]).tolist() for one in fitted] == [[1], [1]]


def test_a_class_of_a_script_is_pickled_by_value_while_it_is_wrapped() -> None:
    script = """
import cloudpickle
from sklearn.linear_model import SGDClassifier
from lossacc_mlflow.loggers import hooks

class Mine(SGDClassifier):
    def fit(self, X, y):
        return super().fit(X, y)

def around(below, *args):
    return below(*args)

for owner, name in ((SGDClassifier, "fit"), (Mine, "fit"), (Mine, "partial_fit"), (Mine, "predict_proba")):
    hooks.attach(owner, name, around)
again = cloudpickle.loads(cloudpickle.dumps(Mine()))
print(again.fit([[0.0], [1.0]], [0, 1]).predict([[1.0]]))
"""
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[1]\n"  # noqa: S603
