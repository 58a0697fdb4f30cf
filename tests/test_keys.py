from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossacc_mlflow import keys
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.keys import METRICS, parse_key, parse_keys, parse_override, spell_key
from lossacc_mlflow.records import Split, StepUnit

KNOWN = """
train_loss                          loss                    train       -
val_loss                            loss                    validation  -
test_accuracy                       accuracy                test        -
train_rmse                          root_mean_squared_error train       -
val_r2                              r2                      validation  -
train_loss_by_n_samples             loss                    train       n_samples
val_accuracy_by_n_samples           accuracy                validation  n_samples
loss                                loss                    train       -
accuracy                            accuracy                train       -
val_accuracy                        accuracy                validation  -
validation_loss                     loss                    validation  -
validation_accuracy                 accuracy                validation  -
sparse_categorical_accuracy         accuracy                train       -
val_sparse_categorical_accuracy     accuracy                validation  -
val_binary_crossentropy             log_loss                validation  -
epoch_val_loss                      loss                    validation  epoch
train_loss_epoch                    loss                    train       epoch
train_loss_step                     loss                    train       global_step
val_acc_epoch                       accuracy                validation  epoch
train-mlogloss                      log_loss                train       iteration
eval-merror                         ~accuracy               validation  iteration
train-rmse                          root_mean_squared_error train       iteration
validation_0-logloss                log_loss                validation  iteration
validation_1-auc                    roc_auc                 validation  iteration
training-multi_logloss              log_loss                train       iteration
valid_0-binary_logloss              log_loss                validation  iteration
valid_1-multi_error                 ~accuracy               validation  iteration
train-l2                            mean_squared_error      train       iteration
eval_loss                           loss                    validation  -
eval_accuracy                       accuracy                validation  -
valid_loss                          loss                    validation  -
valid_acc                           accuracy                validation  -
training_log_loss                   log_loss                train       -
training_accuracy_score             accuracy                train       -
training_f1_score                   f1                      train       -
training_r2_score                   r2                      train       -
training_root_mean_squared_error    root_mean_squared_error train       -
accuracy_score_X_test               accuracy                test        -
log_loss_X_val                      log_loss                validation  -
accuracy_score_X_test_scaled        accuracy                test        -
r2_score_Xval                       r2                      validation  -
accuracy_score_x_valid_std          accuracy                validation  -
train_err                           ~accuracy               train       -
val/error                           ~accuracy               validation  -
dev.nll                             log_loss                validation  -
holdout cross entropy               log_loss                validation  -
test:ce                             log_loss                test        -
loss/val                            loss                    validation  -
accuracy_train                      accuracy                train       -
Train Loss                          loss                    train       -
Loss/train                          loss                    train       -
valLoss                             loss                    validation  -
trainCrossEntropyLoss               log_loss                train       -
VAL_ACC                             accuracy                validation  -
val_top1                            accuracy                validation  -
val_acc@1                           accuracy                validation  -
test_bce                            log_loss                test        -
test/brier_score                    brier_score_loss        test        -
eval_balanced_accuracy              balanced_accuracy       validation  -
train/cls_loss                      loss                    train       -
val/cls_loss                        loss                    validation  -
metrics/accuracy_top1               accuracy                validation  -
metrics/val/loss                    loss                    validation  -
"""

UNKNOWN = """
lr learning_rate epoch step time best_iteration system/cpu_utilization_percentage lossacc/best_loss training_score
best_val_loss val_loss_best valid_acc_best val_loss_scale loss_scale val_loss_std min_val_loss ema_val_loss
top5 val_top5_accuracy top_k_categorical_accuracy val_acc@5 metrics/accuracy_top5 eval-error_at_0.7 val_accuracy_1
mean_test_accuracy split0_test_accuracy eval_mean_accuracy val_output_accuracy precision_recall_auc
train_val_loss val_loss_accuracy log_loss accuracy_score r2 rmse error l2 grad_norm kl_loss val_perplexity
accuracy_score_unknown_dataset LogisticRegression_score_X_test accuracy_score_features_test x_val val_loss_scaled
best_cv_score mean_train_score rank_test_score mean_fit_time train_loss_batch valid_batch_size
train_1_loss fold_0_val_loss train/box_loss metrics/mAP50(B) neg_log_loss accuracy_score-2_X_test übertrain_loss
"""


@pytest.mark.parametrize("line", KNOWN.strip().splitlines())
def test_known_spellings(line: str) -> None:
    *words, metric, split, unit = line.split()
    parsed = parse_key(" ".join(words))

    assert parsed is not None
    assert ("~" * parsed.complement + parsed.metric.name, parsed.split, parsed.step_unit or "-") == (
        metric,
        split,
        unit,
    )


@pytest.mark.parametrize("separator", "/._-")
@pytest.mark.parametrize(
    ("split", "names"),
    [("train", ("train", "training")), ("validation", ("val", "valid", "validation", "eval")), ("test", ("test",))],
)
@pytest.mark.parametrize(
    ("metric", "spellings"),
    [
        ("loss", ("loss",)),
        ("accuracy", ("acc", "accuracy", "top1", "top_1", "acc1")),
        ("~accuracy", ("error", "err", "merror", "error_rate")),
        ("log_loss", ("nll", "cross_entropy", "logloss", "log_loss", "mlogloss", "nll_loss")),
        ("root_mean_squared_error", ("rmse",)),
    ],
)
def test_metric_and_split_by_hand_in_either_order(
    metric: str, spellings: tuple[str, ...], split: str, names: tuple[str, ...], separator: str
) -> None:
    for spelling, name in product(spellings, names):
        for words in (spelling, spelling.replace("_", separator)):
            for key in (f"{name}{separator}{words}", f"{words}{separator}{name}"):
                for written in (key, key.title(), key.upper()):
                    parsed = parse_key(written)
                    assert parsed is not None, written
                    assert ("~" * parsed.complement + parsed.metric.name, parsed.split) == (metric, split), written


@pytest.mark.parametrize(
    "key", [*UNKNOWN.split(), "", " ", "_" * 300, "val_loss" * 40, "<script>loss</script>", "val_loss'; --x"]
)
def test_what_is_not_understood_whole_is_not_read(key: str) -> None:
    assert parse_key(key) is None


@pytest.mark.parametrize(
    ("metric", "split", "unit"), list(product(METRICS, get_args(Split), [None, *get_args(StepUnit)]))
)
def test_our_own_spelling_is_read_back(metric: str, split: Split, unit: StepUnit | None) -> None:
    parsed = parse_key(spell_key(metric, split, unit))

    assert parsed is not None
    assert parsed.metric.name == ("loss" if metric == "log_loss" else metric)
    assert parsed.split == split
    assert parsed.step_unit == (unit if unit == "n_samples" else None)
    assert not parsed.complement


def test_an_unknown_metric_cannot_be_spelled() -> None:
    with pytest.raises(InputError, match="unknown metric 'lol'; known are loss, log_loss"):
        spell_key("lol", "train")


@given(st.text(max_size=40))
def test_any_text_is_read_or_not_but_never_breaks(text: str) -> None:
    parse_key(text)
    assert parse_keys([text]).get(text) == parse_key(text)


def test_xgboost_validation_0_is_the_training_set_beside_validation_1() -> None:
    alone = parse_keys(["validation_0-logloss"])
    both = parse_keys(["validation_0-logloss", "validation_1-logloss", "validation_0-merror"])

    assert alone["validation_0-logloss"].split == "validation"
    assert [parsed.split for parsed in both.values()] == ["train", "validation", "train"]


def test_of_several_numbered_sets_the_last_is_the_validation_set() -> None:
    assert set(parse_keys(["valid_0-auc", "valid_10-auc", "valid_2-auc"])) == {"valid_10-auc"}
    parsed = parse_keys(["validation_0-auc", "validation_1-auc", "validation_2-auc"])
    assert {key: one.split for key, one in parsed.items()} == {
        "validation_0-auc": "train",
        "validation_2-auc": "validation",
    }


def test_later_calls_of_a_metric_are_read_where_they_are_the_first_of_their_split() -> None:
    keys = ["accuracy_score-4_X_test", "accuracy_score_X_val", "accuracy_score-2_X_val", "accuracy_score-3_X_test", "a"]

    assert {key: parsed.split for key, parsed in parse_keys(keys).items()} == {
        "accuracy_score_X_val": "validation",
        "accuracy_score-3_X_test": "test",
    }


def test_a_bare_accuracy_is_not_guessed_where_fastai_means_the_validation_one() -> None:
    assert "accuracy" not in parse_keys(["train_loss", "valid_loss", "accuracy"])
    assert "accuracy" in parse_keys(["loss", "val_loss", "accuracy"])
    assert "accuracy" in parse_keys(["train_loss", "accuracy", "val_accuracy"])
    assert list(parse_keys(["loss", "eval_loss", "train_loss"])) == ["loss", "eval_loss", "train_loss"]


def test_override() -> None:
    key, parsed = parse_override("my_key=validation:log_loss")

    assert (key, parsed.metric, parsed.split) == ("my_key", METRICS["log_loss"], "validation")
    assert parse_override("a=b:c=val:merror")[0] == "a=b:c"
    assert parse_override("a=val:merror")[1].complement


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read"),
        ("my_key", "cannot read"),
        ("=val:loss", "cannot read"),
        ("k=val", "cannot read"),
        ("k=vol:loss", "unknown split 'vol'.*use train, validation or test"),
        ("k=loss:val", "unknown split 'loss'"),
        ("k=val:lss", "unknown metric 'lss'.*known are loss, log_loss, accuracy"),
        ("k=val:", "unknown metric ''"),
    ],
)
def test_an_unusable_override_says_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_override(text)
    assert "my_key=validation:log_loss" in str(caught.value)


def test_all_is_exact() -> None:
    defined = {name for name, thing in vars(keys).items() if getattr(thing, "__module__", "") == keys.__name__}
    public = {name for name in defined if not name.startswith("_")}

    assert public <= set(keys.__all__)
    assert all(hasattr(keys, name) for name in keys.__all__)
