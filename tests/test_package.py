"""The package as a stranger meets it: public names, cost of importing, version."""

import json
import subprocess
import sys

import lossacc_mlflow


def test_every_public_name_is_there() -> None:
    for name in lossacc_mlflow.__all__:
        assert getattr(lossacc_mlflow, name).__doc__
    assert set(lossacc_mlflow.__all__) <= set(dir(lossacc_mlflow))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(lossacc_mlflow, "no_such_name")


def test_importing_costs_nothing_that_one_does_not_use() -> None:
    code = "import json, sys, lossacc_mlflow; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))  # noqa: S603
    heavy = {"mlflow", "numpy", "scipy", "sklearn", "pandas", "matplotlib", "torch", "rich"}
    assert not heavy & {name.partition(".")[0] for name in modules}
