"""Prediction files are read in blocks, say what is wrong with them, and never fill the memory."""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from lossacc_mlflow.errors import PredictionFileError
from lossacc_mlflow.files import PredictionFile, read_prediction_file

Y = np.array([0, 2, 1, 1])
PROBA = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3], [0.5, 0.25, 0.25]])
NAMES = np.array(["cat", "dog", "eel"])


def npz(folder: Path, **arrays: NDArray[Any]) -> Path:
    np.savez(folder / "a.npz", **arrays)  # type: ignore[arg-type]  # numpy names a flag of its own
    return folder / "a.npz"


def table(folder: Path, name: str, columns: dict[str, Any]) -> Path:
    path = folder / name
    frame = pd.DataFrame(columns)
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return path


def whole(file: PredictionFile) -> list[NDArray[Any]]:
    """Join the blocks."""
    return [np.concatenate(parts) for parts in zip(*file, strict=True)]


def read_all(path: Path) -> None:
    file = read_prediction_file(path)
    whole(file)
    file.sample_ids()


def columns_of(proba: NDArray[Any] = PROBA, prefix: str = "proba_") -> dict[str, NDArray[Any]]:
    return {f"{prefix}{k}": proba[:, k] for k in range(proba.shape[1])}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_npz_in_blocks_whatever_its_layout(
    tmp_path: Path, save: Callable[..., None], order: Literal["C", "F"], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proba = np.asarray(np.random.default_rng(0).dirichlet(np.ones(5), 1003), dtype=dtype, order=order)
    y = np.arange(1003) % 5
    save(tmp_path / "a.npz", y_true=y.astype(np.uint8), y_proba=proba, other=np.arange(3))
    monkeypatch.setattr("lossacc_mlflow.files.predictions._BLOCK_ENTRIES", 500)
    file = read_prediction_file(tmp_path / "a.npz")
    assert {len(block[0]) for block in file} == {100, 3}
    truth, read = whole(file)
    assert truth.dtype == np.int64
    assert read.dtype == proba.dtype.newbyteorder("=")
    assert np.array_equal(truth, y)
    assert np.array_equal(read, proba)
    assert (file.n_classes, file.n_rows, file.has_probabilities, file.classes) == (5, 1003, True, None)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_with_columns_in_any_order(tmp_path: Path, suffix: str) -> None:
    shuffled = {"extra": list("wxyz"), **dict(reversed(columns_of().items())), "y_true": Y, "sample_id": list("dcba")}
    file = read_prediction_file(table(tmp_path, f"a.{suffix}", shuffled))
    truth, proba = whole(file)
    assert np.array_equal(truth, Y)
    assert np.array_equal(proba, PROBA)
    assert (file.n_rows, file.classes) == (4, None)
    assert file.sample_ids() == tuple("dcba")
    assert file.sample_ids([3, 0]) == ("a", "d")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_ids_stay_as_they_are(tmp_path: Path, suffix: str) -> None:
    columns = {"y_true": [0, 1], "proba": [0.5, 0.5]}
    texts = read_prediction_file(table(tmp_path, f"a.{suffix}", {**columns, "sample_id": ["007", "x y"]}))
    numbers = read_prediction_file(table(tmp_path, f"b.{suffix}", {**columns, "sample_id": [7, 8]}))
    assert (texts.sample_ids(), numbers.sample_ids()) == (("007", "x y"), ("7", "8"))
    assert read_prediction_file(table(tmp_path, f"c.{suffix}", columns)).sample_ids() == ("0", "1")


def test_binary_is_one_column(tmp_path: Path) -> None:
    for path in (
        npz(tmp_path, y_true=np.array([[0], [1]]), y_proba=np.array([0.25, 0.5], np.float32)),
        table(tmp_path, "a.csv", {"y_true": [0, 1], "proba": [0.25, 0.5]}),
        table(tmp_path, "a.parquet", {"y_true": [False, True], "proba": np.array([0.25, 0.5], np.float32)}),
    ):
        file = read_prediction_file(path)
        truth, proba = whole(file)
        assert (file.n_classes, truth.tolist(), proba.tolist()) == (2, [0, 1], [0.25, 0.5])


def test_answers_and_their_confidence_are_enough(tmp_path: Path) -> None:
    columns = {"y_true": [3, 0], "y_pred": [3, 1], "confidence": [0.9, 0.6]}
    file = read_prediction_file(table(tmp_path, "a.csv", columns))
    assert not file.has_probabilities
    assert [part.tolist() for part in whole(file)] == [[3, 0], [3, 1], [0.9, 0.6]]
    assert (file.n_classes, file.classes) == (4, None)
    known = read_prediction_file(table(tmp_path, "b.parquet", {**columns, "p_true": [0.9, 0.2]}))
    assert whole(known)[3].tolist() == [0.9, 0.2]
    words = {"y_true": ["b", "a"], "y_pred": ["b", "c"], "confidence": [0.9, 0.6]}
    named = read_prediction_file(table(tmp_path, "c.csv", words))
    assert (named.classes, whole(named)[1].tolist()) == (("a", "b", "c"), [1, 2])
    signs = {"y_true": [-1, 1], "y_pred": [1, 1], "confidence": [0.9, 0.6]}
    assert read_prediction_file(table(tmp_path, "d.csv", signs)).classes == ("-1", "1")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_words_are_classes(tmp_path: Path, suffix: str) -> None:
    """Without names in sorted order; named by the file where it can; named by the caller above that."""

    def write(y: NDArray[Any], proba: NDArray[Any], prefixes: list[str], **given: NDArray[Any]) -> Path:
        if suffix == "npz":
            return npz(tmp_path, y_true=y, y_proba=proba, **given)
        columns = {f"proba_{name}": proba[:, k] for k, name in enumerate(prefixes)}
        return table(tmp_path, f"a.{suffix}", {"y_true": y, **columns})

    by_order = read_prediction_file(write(NAMES[Y], PROBA, ["0", "1", "2"]))
    assert (by_order.classes, whole(by_order)[0].tolist()) == (("cat", "dog", "eel"), Y.tolist())
    turned = ["eel", "dog", "cat"]
    named = read_prediction_file(write(NAMES[Y], PROBA[:, ::-1], turned, labels=np.array(turned)))
    truth, proba = whole(named)
    assert np.array_equal(truth, 2 - Y)
    assert np.array_equal(proba[np.arange(4), truth], PROBA[np.arange(4), Y])
    by_index = read_prediction_file(write(Y, PROBA, list(NAMES), labels=NAMES))
    assert (by_index.classes, whole(by_index)[0].tolist()) == (tuple(NAMES), Y.tolist())
    by_value = read_prediction_file(write(Y * 10 - 10, PROBA, ["-10", "0", "10"], labels=np.array([-10, 0, 10])))
    assert (by_value.classes, whole(by_value)[0].tolist()) == (("-10", "0", "10"), Y.tolist())
    asked = read_prediction_file(write(Y * 10, PROBA, ["0", "1", "2"]), labels=["0", "10", "20"])
    assert whole(asked)[0].tolist() == Y.tolist()


def test_words_that_appear_late_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes are those of the whole file, whatever the first block holds."""
    monkeypatch.setattr("lossacc_mlflow.files.predictions._MAX_BLOCK_ROWS", 2)
    labels = ["b", "b", "10", "c"]
    for suffix in ("csv", "parquet"):
        file = read_prediction_file(table(tmp_path, f"a.{suffix}", {"y_true": labels, **columns_of()}))
        assert (file.classes, whole(file)[0].tolist()) == (("10", "b", "c"), [1, 1, 0, 2])


def test_a_separator_and_spaces(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf y_true ; proba\n 1;0.5\n0; 0.25\n")
    truth, proba = whole(read_prediction_file(path))
    assert (truth.tolist(), proba.tolist()) == ([1, 0], [0.5, 0.25])


def test_small_files_are_read_once_and_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    path = npz(tmp_path, y_true=Y, y_proba=PROBA)
    file = read_prediction_file(path, progress=lambda *now: told.append(now))
    assert np.array_equal(whole(file)[1], whole(file)[1])
    assert told == [("a.npz", 4, 4)]


def write_text(text: str | bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "a.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def write_npz(**arrays: NDArray[Any]) -> Callable[[Path], Path]:
    return lambda folder: npz(folder, **({"y_true": Y, "y_proba": PROBA} | arrays))


def cut(suffix: str, *, to: float) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        n = 2000
        arrays = {"y_true": np.zeros(n, int), "proba": np.random.default_rng(0).random(n)}
        if suffix == "npz":
            path = npz(folder, y_true=arrays["y_true"], y_proba=arrays["proba"])
        else:
            path = table(folder, "a.parquet", arrays)
        path.write_bytes(path.read_bytes()[: int(to * path.stat().st_size)])
        return path

    return write


def damaged(folder: Path) -> Path:
    """Flip a byte within the data: the checksum of the archive no longer fits."""
    path = npz(folder, y_true=Y, y_proba=PROBA)
    content = bytearray(path.read_bytes())
    content[content.index(PROBA.tobytes())] ^= 255
    path.write_bytes(bytes(content))
    return path


def not_an_array(folder: Path) -> Path:
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("y_true.npy", b"nothing of numpy")
    return path


def twice(folder: Path) -> Path:
    pq.write_table(
        pa.table([pa.array([0]), pa.array([0.5]), pa.array([0.5])], names=["y_true", "proba", "proba"]),
        path := folder / "a.parquet",
    )
    return path


def renamed(folder: Path) -> Path:
    path = folder / "a.npz"
    with path.open("wb") as file:
        np.save(file, Y)
    return path


NAN = PROBA.copy()
NAN[2, 1] = np.nan

BAD: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "suffix": (lambda folder: folder / "a.pkl", ("'.pkl'", ".npz, .parquet, .csv")),
    "missing": (lambda folder: folder / "b.npz", ("does not exist",)),
    "directory": (lambda folder: (folder / "d.npz").mkdir() or folder / "d.npz", ("is a directory",)),  # type: ignore[func-returns-value]
    "empty": (write_text(""), ("is empty",)),
    "no npz": (renamed, ("no file of numpy.savez",)),
    "cut npz": (cut("npz", to=0.9), ("cut off",)),
    "cut parquet": (cut("parquet", to=0.9), ("cut off",)),
    "damaged npz": (damaged, ("cut off", "CRC")),
    "not an array": (not_an_array, ("y_true.npy", "no array of numpy")),
    "objects": (write_npz(y_true=np.array(["a", None], dtype=object)), ("y_true", "Python objects", "astype(str)")),
    "complex": (write_npz(y_proba=PROBA * 1j), ("y_proba", "complex128")),
    "text probabilities": (write_npz(y_proba=PROBA.astype(str)), ("y_proba", "wanted are numbers")),
    "no y_true": (lambda folder: npz(folder, y_proba=PROBA, x=Y), ("'y_proba', 'x'", "'y_true'", "'confidence'")),
    "no columns": (write_text("a,b\n1,2\n"), ("'a', 'b'", "'y_true'", "'proba_0'")),
    "answers only": (write_text("y_true,y_pred\n1,1\n"), ("'y_true', 'y_pred'", "'confidence'")),
    "one-hot": (write_npz(y_true=np.eye(3)), ("(3, 3)", "argmax")),
    "three axes": (write_npz(y_proba=PROBA[None]), ("(1, 4, 3)", "(n, n_classes)")),
    "no axis": (write_npz(y_true=np.array(3)), ("y_true has shape ()",)),
    "rows": (write_npz(y_true=Y[:3]), ("y_true 3, y_proba 4",)),
    "zero rows npz": (write_npz(y_true=Y[:0], y_proba=PROBA[:0]), ("no rows",)),
    "zero rows csv": (write_text("y_true,proba\n"), ("no rows",)),
    "zero rows parquet": (
        lambda folder: table(folder, "a.parquet", {"y_true": Y[:0], "proba": PROBA[:0, 0]}),
        ("no rows",),
    ),
    "NaN": (write_npz(y_proba=NAN), ("row 3 (index 2)", "NaN")),
    "NaN in parquet": (lambda f: table(f, "a.parquet", {"y_true": Y, **columns_of(NAN)}), ("row 3 of proba_1",)),
    "empty cell": (write_text("y_true,proba\n1,0.5\n0,\n"), ("row 2 of proba",)),
    "no number": (write_text("y_true,proba\n1,0.5\n0,many\n"), ("many",)),
    "ragged": (write_text("y_true,proba\n1,0.5\n0,0.5,9\n"), ("Expected 2 columns, got 3",)),
    "label outside": (write_npz(y_true=Y + 1), ("row 2 (index 1)", "y_true 3", "0 to 2", "--labels")),
    "label outside csv": (write_text("y_true,proba\n1,0.5\n2,0.5\n"), ("row 2 has y_true '2'", "0 to 1")),
    "fraction": (write_npz(y_true=Y + 0.5), ("row 1 (index 0)", "0.5")),
    "no label": (write_text("y_true,proba\n1,0.5\n,0.5\n"), ("row 2 has no value in y_true",)),
    "NaN label": (write_npz(y_true=np.array([0, np.nan, 1, 1])), ("row 2 (index 1) has no value in y_true",)),
    "unknown word": (
        write_text("y_true,proba_a,proba_b\na,0.5,0.5\nc,0.5,0.5\n"),
        ("row 2 has y_true 'c'", "'a', 'b'"),
    ),
    "words without columns": (
        write_text("y_true,proba\na,0.5\nb,0.5\nc,0.5\n"),
        ("3 different labels ('a', 'b', 'c') for 2 columns", "--labels"),
    ),
    "measurements": (write_text("y_true,proba\n0.31,0.5\n0.27,0.5\n1.5,0.5\n"), ("3 different labels",)),
    "labels": (write_npz(labels=NAMES[:2]), ("labels names 2 classes for 3 columns",)),
    "labels twice": (write_npz(labels=np.array(["a", "b", "a"])), ("'a' twice",)),
    "label table": (write_npz(labels=np.eye(3)), ("labels has shape (3, 3)",)),
    "columns twice": (write_text("y_true,proba,proba\n1,0.5,0.5\n"), ("'proba' is there 2 times",)),
    "columns twice in parquet": (twice, ("'proba' is there 2 times",)),
    "not UTF-8": (write_text("y_true,proba\nJosé,0.5\nb,0.5\n".encode("latin-1")), ("UTF-8",)),
    "not UTF-8 header": (write_text("y_true,proba_José,proba_b\nb,0.5,0.5\n".encode("latin-1")), ("UTF-8",)),
    "percent": (write_text("y_true,y_pred,confidence\n1,1,98\n"), ("row 1 has confidence 98", "not percent")),
    "id missing": (write_text("y_true,proba,sample_id\n1,0.5,a\n1,0.5,\n"), ("row 2 has no value in sample_id",)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_say_what_is_wrong(case: str, tmp_path: Path) -> None:
    write, told = BAD[case]
    path = write(tmp_path)
    with pytest.raises(PredictionFileError) as caught:
        read_all(path)
    message = str(caught.value)
    assert message.startswith(f"prediction file {str(path)!r}: ")
    assert "\n" not in message
    for part in told:
        assert part in message


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak of the memory")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Eight times as many rows take little more memory (buffers fill up), far less than they are on disk."""
    small, large, random = 800_000, 6_400_000, np.random.default_rng(0)
    for n in (small, large):
        y, proba = random.integers(0, 2, n), random.random(n)
        np.savez(tmp_path / f"{n}.npz", y_true=y, y_proba=proba)
        columns = pa.table({"y_true": y, "noise": random.random(n, np.float32), "proba": proba})
        pq.write_table(columns, tmp_path / f"{n}.parquet", row_group_size=small // 2)
        pa_csv.write_csv(columns, tmp_path / f"{n}.csv")
    program = (
        "import re, sys; from pathlib import Path; from lossacc_mlflow.files import read_prediction_file\n"
        # Not getrusage: its peak is at least that of the process which starts this one.
        "peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
        "for path in sys.argv[1:]:\n"
        "    before = peak(); n = sum(len(b[0]) for _ in range(2) for b in read_prediction_file(Path(path)))\n"
        "    print(n, peak() - before)\n"
    )
    for suffix in ("npz", "parquet", "csv"):
        files = [str(tmp_path / f"{n}.{suffix}") for n in (small, large)]
        run = subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True, check=True)  # noqa: S603  (our own program)
        n_read, kilobytes = map(int, run.stdout.split()[-2:])
        assert n_read == 2 * large
        assert 1000 * kilobytes < Path(files[1]).stat().st_size / 4, (suffix, run.stdout)
