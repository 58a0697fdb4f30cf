import numpy as np
import pytest

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import Artifact, SearchResults, SearchScore
from lossacc_mlflow.store import decode_search, encode_search, keep_search, read_run
from lossacc_mlflow.store.searches import SEARCH_PATH
from tests.conftest import Tracking, log_artifacts


def results(best: int | None = 1) -> SearchResults:
    unknown = np.full(3, np.nan)
    return SearchResults(
        parameters={"C": (0.1, 10.0, np.nan), "kernel": ("rbf", 'a "b", c', ""), "norm": ("True", "False", "None")},
        scores=(
            SearchScore(
                "f1_macro",
                *map(np.array, ([0.5, 0.75, np.nan], [0.1, 0.0, np.nan], [1.0, 1 / 3, 0.9], [0.0, 0.1, 0.2])),
            ),
            SearchScore("neg_log_loss", np.array([-0.5, -1e-9, -3.0]), np.array([0.1, 0.2, 0.3]), unknown, unknown),
        ),
        best=best,
        n_splits=5,
    )


@pytest.mark.parametrize("best", [1, None])
def test_what_is_written_is_read_back(best: int | None) -> None:
    wanted = results(best)
    got = decode_search(encode_search(wanted))
    assert (got.best, got.n_splits, len(got)) == (best, 5, 3)
    np.testing.assert_array_equal(got.parameters["C"], wanted.parameters["C"])
    assert (got.parameters["kernel"], got.parameters["norm"]) == (
        wanted.parameters["kernel"],
        ("True", "False", "None"),
    )
    for score, expected in zip(got.scores, wanted.scores, strict=True):
        assert (score.metric, score.has_train) == (expected.metric, expected.has_train)
        for field in ("validation_mean", "validation_sd", "train_mean", "train_sd"):
            np.testing.assert_array_equal(getattr(score, field), getattr(expected, field))
    assert encode_search(got) == encode_search(wanted)


@pytest.mark.parametrize(
    "body",
    [b"", b"candidate,is_best,n_splits\n1,0,5\n", b"a\n1,2\n", b"\xff", b"is_best,n_splits,validation_mean_x\n1,5,y\n"],
)
def test_what_is_no_search_is_refused(body: bytes) -> None:
    with pytest.raises(InputError, match="these are not the candidates of a search"):
        decode_search(body)


def test_a_run_keeps_it_and_a_damaged_one_is_told_of(sqlite_store: Tracking) -> None:
    run_id = sqlite_store.new_run()
    keep_search(run_id, results(), tracking_uri=sqlite_store.uri)
    read = read_run(run_id, tracking_uri=sqlite_store.uri)
    assert read.search is not None
    assert encode_search(read.search) == encode_search(results())
    log_artifacts(run_id, [Artifact(SEARCH_PATH, b"what?")], tracking_uri=sqlite_store.uri)
    damaged = read_run(run_id, tracking_uri=sqlite_store.uri)
    assert damaged.search is None
    assert "lossacc/search.csv of run" in damaged.warnings[0]
