"""The words for every verdict, discrepancy, level and group of samples; each is said in one way everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from lossacc_mlflow.records import Discrepancy, Level, Verdict

__all__ = ["CAPTIONS", "DISCREPANCIES", "GROUPS", "KEY_ADVICE", "LEVELS", "VERDICTS", "Tone", "Words"]

Tone = Literal["good", "progress", "info", "caution", "bad", "unknown"]
"""How serious it is; decides colour and icon."""


@dataclass(frozen=True, slots=True)
class Words:
    """A short label, one sentence that says what it means, and how serious it is."""

    label: str
    meaning: str
    tone: Tone


VERDICTS: Mapping[Verdict, Words] = MappingProxyType(
    {
        "diverged": Words(
            "Diverged",
            "Training broke down: the loss stopped being finite, or the training loss itself rose and stayed up.",
            "bad",
        ),
        "not_enough_information": Words(
            "Not enough information",
            "Too little was logged to tell how training went.",
            "unknown",
        ),
        "not_learning": Words("Not learning", "The model does no better than chance.", "bad"),
        "overfitting": Words(
            "Overfitting",
            "The model got worse on new data while it still got better on its training data.",
            "bad",
        ),
        "loss_overfitting": Words(
            "Overfitting in the loss only",
            "Validation loss rose while accuracy held: right as often as before, but with worse probabilities.",
            "caution",
        ),
        "underfitting": Words(
            "Underfitting", "The model stays behind what a simple baseline reaches on the same data.", "caution"
        ),
        "unstable": Words("Unstable", "The curves swing too much for any single step to be trusted.", "caution"),
        "still_improving": Words(
            "Still improving", "Validation was still getting better when training ended.", "progress"
        ),
        "healthy": Words("Healthy", "Training settled, and none of the faults looked for was found.", "good"),
    }
)

DISCREPANCIES: Mapping[Discrepancy, Words] = MappingProxyType(
    {
        "infeasible_values": Words("Impossible values", "The logged loss and accuracy cannot both be right.", "bad"),
        "penalty_in_loss": Words(
            "Penalty in the loss",
            "The logged loss is not the plain mean over the samples: it includes a penalty, or it is a running mean.",
            "caution",
        ),
        "imbalance": Words(
            "Class imbalance",
            "The accuracy is about the share of the largest class, so it says little about the model.",
            "caution",
        ),
        "few_huge_errors": Words(
            "A few huge errors",
            "A handful of samples, whose true class got next to no probability, carry much of the loss.",
            "caution",
        ),
        "overconfident_errors": Words(
            "Over-confident errors",
            "Wrong answers are given with too much confidence: that costs loss and leaves the accuracy as it is.",
            "caution",
        ),
        "hesitant_correct": Words(
            "Hesitant correct answers",
            "Right answers are given with too little confidence: that costs loss and leaves the accuracy as it is.",
            "caution",
        ),
        "label_errors": Words(
            "Suspected label errors", "Much of the loss sits on samples whose label is probably wrong.", "caution"
        ),
        "calibration": Words(
            "Miscalibration", "The probabilities do not match how often the model is right.", "caution"
        ),
        "loss_up_accuracy_flat": Words(
            "Loss up, accuracy not down",
            "Validation loss rises while accuracy holds or rises; logged predictions say which samples pay for it.",
            "caution",
        ),
        "unknown": Words(
            "Unexplained",
            "Loss and accuracy prefer different steps, and what was logged does not tell why.",
            "unknown",
        ),
        "not_enough_information": Words(
            "Not enough information", "Loss or accuracy is missing, so one cannot be held against the other.", "unknown"
        ),
        "none": Words("None", "Loss and accuracy tell the same story.", "good"),
    }
)

LEVELS: Mapping[Level, Words] = MappingProxyType(
    {
        "error": Words("Error", "The result cannot be trusted or used as it is.", "bad"),
        "warning": Words("Warning", "Something costs accuracy, loss or time.", "caution"),
        "note": Words("Note", "Worth knowing; not a fault.", "info"),
    }
)

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "both_right": "both right",
        "only_a_right": "only A right",
        "only_b_right": "only B right",
        "both_wrong": "both wrong",
    }
)

KEY_ADVICE = (
    "Log train and validation loss and accuracy at every epoch, under keys such as 'train_loss', 'val_loss', "
    "'train_accuracy', 'val_accuracy'; or map your own key with --key 'my_key=validation:log_loss'."
)
"""What a person can do when too little is known about a run."""

CAPTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "curves": (
            "Loss and accuracy over training",
            (
                "Train against validation. Look where the validation loss turns while the training loss still "
                "falls, and whether the accuracy turns with it: if it does not, the model is as often right as "
                "before, but its probabilities get worse."
            ),
        ),
        "curves_overlay": (
            "The curves of all models",
            (
                "Validation loss and accuracy of every run on shared axes. Look for curves that cross: the order of "
                "the models then depends on when training stops, and on which of the two one looks at."
            ),
        ),
        "loss_accuracy_plane": (
            "Where loss and accuracy place the model",
            (
                "Each point is an accuracy with its log loss. A calibrated model lies within the band; above it, "
                "part of the loss could be removed without changing a single prediction. Outside the possible "
                "region something was logged wrongly, or a penalty was added."
            ),
        ),
        "reliability": (
            "Reliability diagram",
            (
                "How often the model is right against how sure it is. Below the diagonal it is over-confident, "
                "above it under-confident; within the noise floor a perfectly calibrated model would look the same."
            ),
        ),
        "search": (
            "What the search has tried",
            (
                "Mean score over the folds of the best candidate at each value of a parameter, and its standard "
                "deviation. Look whether the best value lies at the edge of those that were tried: then try beyond it. "
                "Where the train score is far above, the model overfits at these values; where both are low, it "
                "underfits."
            ),
        ),
        "predictions_by_step": (
            "What the loss is made of, step by step",
            (
                "Above: the log loss as refinement, which only a better model lowers, and calibration, which the best "
                "temperature of each step removes. Where the loss rises and refinement does not, the model still "
                "learns and only becomes too sure: take the step that is best after recalibration, and recalibrate. "
                "Below: the mean loss of wrong and of right answers, and the accuracy."
            ),
        ),
        "calibration": (
            "Calibration and refinement",
            (
                "Bars lead from zero to the log loss of each split. Grey remains at the best temperature; the rest is "
                "what wrong answers cost by being too sure, and right answers by being too unsure. A bar to the left "
                "is what the present confidence saves. A loss within the grey band is no evidence of miscalibration."
            ),
        ),
        "confidence": (
            "Confidence of right and of wrong answers",
            (
                "Both histograms share their bins and the scale of counts. Wrong answers far to the right are "
                "over-confident errors; right answers far to the left are hesitant."
            ),
        ),
        "class_loss": (
            "Loss by true class",
            (
                "A bar longer than the black mark beside it is a class that costs more than its share of the samples. "
                "A class that is never answered, or whose recall is far below the others', is one that the accuracy "
                "hides where it is rare."
            ),
        ),
        "regression": (
            "True against predicted values, and what the error is made of",
            (
                "On the dashed line a prediction is right. Bars add up to the mean squared error in units of the "
                "target's variance: a constant error and a wrong spread can be put right by a straight line, the "
                "residual cannot. At 1 the model is no better than always answering the mean."
            ),
        ),
        "loss_concentration": (
            "Who carries the loss",
            (
                "Samples from the largest loss to the smallest against the share of the loss that they carry. A "
                "steep start means that a few samples decide the loss, which the accuracy cannot see."
            ),
        ),
        "attribution": (
            "Which samples make the difference",
            (
                "Two models on the same samples; pairs whose losses contradict their accuracies come first. The bars "
                "lead from the loss of B to that of A: what samples that both, one or neither gets right add to it."
            ),
        ),
        "confusion": (
            "Confusion matrix",
            (
                "True class against predicted class. Coloured cells off the diagonal are classes that the model mixes "
                "up; a column full of them is a class that it answers too often."
            ),
        ),
    }
)
"""Title of each picture, and what to look for in it."""
