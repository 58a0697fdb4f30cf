"""The ``mlflow.model_evaluator`` entry point."""
