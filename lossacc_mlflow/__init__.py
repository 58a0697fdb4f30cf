"""Why do the loss and the accuracy of a training run disagree, and is it overfitting? Answers in MLflow."""
