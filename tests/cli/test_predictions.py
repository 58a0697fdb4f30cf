"""``lossacc predictions``: the answer first, JSON alone on stdout, and one line for what cannot be used."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result
from referencing import Registry, Resource

from lossacc_mlflow.cli import EXIT_INPUT, main
from tests.files.test_judging import A, B, N, Y, save
from tests.files.test_predictions import npz, table


def lossacc(*arguments: object) -> Result:
    result = CliRunner().invoke(main, ["predictions", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result


def loads(text: str) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    payload: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return payload


def validate(payload: dict[str, Any]) -> None:
    folder = files("lossacc_mlflow").joinpath("schemas")
    schemas = [json.loads(folder.joinpath(f"{n}.schema.json").read_text()) for n in ("findings", "comparison")]
    schema = json.loads(folder.joinpath("predictions.schema.json").read_text())
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema, registry=registry).validate(payload)


def test_text_of_one_file_leads_with_the_answer(tmp_path: Path) -> None:
    result = lossacc(save(tmp_path, "net.csv", A, sample_id=[f"image-{i}" for i in range(N)]))
    lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines[0].startswith("net: accuracy ")
    assert "log loss" in lines[0]
    assert "(60 samples, 3 classes)" in lines[0]
    assert lines[1].split("  ")[1] == "loss vs accuracy"
    text = " ".join(result.stdout.split())
    for part in ("% right", "Best temperature", "Samples with the largest loss", "image-"):
        assert part in text
    worst = int(np.argmin(A[np.arange(N), Y]))
    after = text[text.index("Samples with the largest loss") :]
    assert after[after.index("image-") :].startswith(f"image-{worst} {Y[worst]} ")


def test_text_of_two_files_explains_the_difference(tmp_path: Path) -> None:
    text = " ".join(lossacc(save(tmp_path, "a.csv", A), save(tmp_path, "b.csv", B)).stdout.split())
    for part in ("A = a, B = b, on the same 60 samples", "both right", "only A right", "both wrong", "exact McNemar"):
        assert part in text
    assert text.index("b: accuracy") < text.index("A = a, B = b") < text.index("How good it is")


def test_names_from_files_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    evil = "evil\x1b[31m\u202e"
    path = table(
        tmp_path,
        "a.parquet",
        {
            "y_true": np.array([evil, "b"])[Y % 2],
            f"proba_{evil}": A[:, 0],
            "proba_b": 1 - A[:, 0],
            "sample_id": [evil] * N,
        },
    )
    assert all(line.isprintable() for line in lossacc(path.rename(tmp_path / f"{evil}.parquet")).stdout.splitlines())


def test_json_is_alone_on_stdout_and_satisfies_its_schema(tmp_path: Path) -> None:
    paths = [save(tmp_path, "a.csv", A), npz(tmp_path, y_true=Y, y_proba=B)]
    for asked, n_pairs in ((paths, 1), (paths[:1], 0), ([*paths, paths[0]], 3)):
        result = lossacc(*asked, "--format", "json")
        payload = loads(result.stdout)
        validate(payload)
        assert (result.exit_code, result.stderr) == (0, "")
        assert [file["path"] for file in payload["files"]] == list(map(str, asked))
        assert len(payload["summaries"]) == len(payload["findings"]) == len(asked)
        assert len(payload["pairs"]) == n_pairs
    with pytest.raises(jsonschema.ValidationError):
        validate(payload | {"pairs": [{}]})


def test_options(tmp_path: Path) -> None:
    path = npz(tmp_path, y_true=10 * Y, y_proba=A)
    refused = lossacc(path)
    assert (refused.exit_code, refused.stderr.count("\n")) == (EXIT_INPUT, 1)
    assert "--labels" in refused.stderr
    out = tmp_path / "out.json"
    result = lossacc(path, "--labels", "0, 10,20", "--no-temperature", "--format", "json", "--output", out)
    assert (result.exit_code, result.output) == (0, "")
    assert loads(out.read_text())["summaries"][0]["temperature"] is None
    without = lossacc(path, "--labels", "0,10,20", "--no-temperature").stdout
    assert "not asked for" not in without
    assert "emperature" not in without.split("figure")[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.npz"], "nowhere.npz"),
        (["a.pkl"], ".npz, .parquet, .csv"),
        ([], "FILE"),
        (["nowhere.npz", "--format", "yaml"], "yaml"),
        (["nowhere.npz", "--labels", "a,a"], "nowhere.npz"),
    ],
)
def test_bad_arguments(arguments: list[str], told: str) -> None:
    result = lossacc(*arguments)
    assert (result.exit_code, result.stdout) == (EXIT_INPUT, "")
    assert told in result.stderr
    assert result.stderr.splitlines()[-1].count(told) or "Error" in result.stderr


def test_a_bad_file_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, npz(tmp_path, y_true=Y, y_proba=np.log(A)), npz(tmp_path, y_true=Y[:3], y_proba=A)):
        result = lossacc(save(tmp_path, "good.csv", B), path)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (EXIT_INPUT, "", 1)
        assert result.stderr.startswith(f"lossacc: prediction file {str(path)!r}: ")


def test_a_report_of_each_file(tmp_path: Path) -> None:
    paths = [save(tmp_path, "a.csv", A), save(tmp_path, "b.csv", B)]
    folder = tmp_path / "reports"
    assert lossacc(*paths, "--report", folder, "--format", "json").exit_code == 0
    for name in ("a", "b"):
        written = {path.name for path in (folder / name).iterdir()}
        assert {"report.html", "reliability.png", "loss_concentration.png", "worst_predictions.csv"} <= written
        assert (folder / name / "worst_predictions.csv").read_text().count("row ") == N
    refused = lossacc(paths[0], "--report", paths[1] / "x")
    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (EXIT_INPUT, "", 1)


def test_a_report_takes_all_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossacc_mlflow.files.judging._MAX_WHOLE", 0)
    refused = lossacc(save(tmp_path, "a.csv", A), "--report", tmp_path / "x")
    assert (refused.exit_code, (tmp_path / "x").exists()) == (EXIT_INPUT, False)
    assert "too large for a report" in refused.stderr
