"""Records at the two ends: a run as it was logged, and all that is to be written to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lossacc_mlflow.records.arrays import freeze_mappings
from lossacc_mlflow.records.curves import Curve, Split
from lossacc_mlflow.records.predictions import PredictionSteps, PredictionSummary, SamplePredictions
from lossacc_mlflow.records.regression import RegressionSamples, RegressionSummary
from lossacc_mlflow.records.search import SearchResults

__all__ = ["Artifact", "RunData", "RunUpdate"]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class RunData:
    """One training run as it was logged.

    Parameters
    ----------
    run_id, name : str
    curves : tuple of Curve
        At most one for each (metric, split, step unit).
    predictions : mapping of split to PredictionSummary
    samples : mapping of split to SamplePredictions
        Empty unless they were asked for.
    by_step : mapping of split to PredictionSteps
        What the predictions said while the model was trained.
    regressions : mapping of split to RegressionSummary
    regression_samples : mapping of split to RegressionSamples
        Empty unless they were asked for.
    search : SearchResults or None
        The candidates that were tried, where the run is that of a search.
    params, tags : mapping of str to str
    n_classes : int or None
    class_counts : mapping of class label to count, or None
    majority_accuracy : float or None
        Accuracy of always answering the largest class.
    n_validation : int or None
        Number of validation samples.
    baseline_accuracy, baseline_loss : float or None
        What a rule reaches that needs no training, or hardly any, on the same validation data.
    other_keys : tuple of str
        Metric keys that were seen and not understood.
    own_metrics : mapping of str to float
        Latest values of what an earlier diagnosis wrote (``lossacc/...``).
    artifacts : tuple of str
        Paths of our artifacts that the run already has.
    fingerprint : str
        Of the latest steps and timestamps of what was read.
    warnings : tuple of str
        What could not be read and was left out, one sentence each.
    """

    run_id: str
    name: str
    curves: tuple[Curve, ...] = ()
    predictions: Mapping[Split, PredictionSummary] = field(default_factory=dict)
    samples: Mapping[Split, SamplePredictions] = field(default_factory=dict)
    by_step: Mapping[Split, PredictionSteps] = field(default_factory=dict)
    regressions: Mapping[Split, RegressionSummary] = field(default_factory=dict)
    regression_samples: Mapping[Split, RegressionSamples] = field(default_factory=dict)
    search: SearchResults | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    n_classes: int | None = None
    class_counts: Mapping[str, int] | None = None
    majority_accuracy: float | None = None
    n_validation: int | None = None
    baseline_accuracy: float | None = None
    baseline_loss: float | None = None
    other_keys: tuple[str, ...] = ()
    own_metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    experiment_id: str = ""
    fingerprint: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        freeze_mappings(self, "predictions", "samples", "by_step", "regressions", "regression_samples")
        freeze_mappings(self, "params", "tags", "own_metrics")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file to attach to a run: its path below the run's artifact root, and its bytes."""

    path: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class RunUpdate:
    """All that is to be written to one run; writing it twice leaves one of everything.

    Parameters
    ----------
    metrics : mapping of str to float
        The wanted value of every ``lossacc/`` metric; one that an earlier diagnosis wrote and that is absent here
        no longer holds.
    tags : mapping of str to str
    note : str
        Our Markdown block of ``mlflow.note.content``, without its delimiters.
    artifacts : tuple of Artifact
    tables : tuple of str
        Paths of those artifacts that MLflow shall list as logged tables.
    images : mapping of str to bytes
        PNG bytes by key, for MLflow's image grid.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    artifacts: tuple[Artifact, ...] = ()
    tables: tuple[str, ...] = ()
    images: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        freeze_mappings(self, "metrics", "tags", "images")
