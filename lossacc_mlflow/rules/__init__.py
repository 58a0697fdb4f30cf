"""The rules, in the order in which their findings are listed."""

from lossacc_mlflow.records import Finding, RunData
from lossacc_mlflow.rules.base import Question, Rule
from lossacc_mlflow.rules.dis import BestStepsDiffer, LossUpAccuracyFlat
from lossacc_mlflow.rules.dis_calibration import HesitantCorrect, Miscalibration, OverconfidentErrors
from lossacc_mlflow.rules.dis_imbalance import MajorityAccuracy
from lossacc_mlflow.rules.dis_samples import FewHugeErrors, LossHangsOnClip, SuspectedLabelErrors
from lossacc_mlflow.rules.fit import AccuracyOverfitting, LossOverfitting
from lossacc_mlflow.rules.fit_baseline import NoBetterThanBaseline
from lossacc_mlflow.rules.fit_level import GeneralizationGap, TrainedPastBest
from lossacc_mlflow.rules.log import AccuracyOutOfRange, MissingCurve, StepsDoNotMatch
from lossacc_mlflow.rules.meaning import AccuracyOnRegression, LossIsScore
from lossacc_mlflow.rules.plane import LossAboveCeiling, LossBelowFloor
from lossacc_mlflow.rules.train_loss import TrainLossDiffers
from lossacc_mlflow.rules.trn import LateDivergence, NonFinite, NotLearning
from lossacc_mlflow.rules.trn_course import Oscillating, SaturatedEarly, StillImproving
from lossacc_mlflow.rules.verdict import decide_discrepancy, decide_verdict, headline

__all__ = ["RULES", "Question", "Rule", "apply_rules", "decide_discrepancy", "decide_verdict", "headline"]

RULES: tuple[Rule, ...] = (
    AccuracyOutOfRange(),
    LossBelowFloor(),
    LossAboveCeiling(),
    StepsDoNotMatch(),
    MissingCurve(),
    TrainLossDiffers(),
    AccuracyOnRegression(),
    LossIsScore(),
    NonFinite(),
    LateDivergence(),
    NotLearning(),
    Oscillating(),
    SaturatedEarly(),
    StillImproving(),
    LossOverfitting(),
    AccuracyOverfitting(),
    GeneralizationGap(),
    NoBetterThanBaseline(),
    TrainedPastBest(),
    LossUpAccuracyFlat(),
    BestStepsDiffer(),
    OverconfidentErrors(),
    HesitantCorrect(),
    FewHugeErrors(),
    Miscalibration(),
    MajorityAccuracy(),
    SuspectedLabelErrors(),
    LossHangsOnClip(),
)


def apply_rules(run: RunData, rules: tuple[Rule, ...] = RULES) -> tuple[Finding, ...]:
    """Ask every rule about one run.

    Parameters
    ----------
    run : RunData
    rules : tuple of Rule

    Returns
    -------
    tuple of Finding
        One for each rule, in order.
    """
    return tuple(rule.ask(run) for rule in rules)
