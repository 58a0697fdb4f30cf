"""``python -m lossacc_mlflow``: the same as ``lossacc``."""

from lossacc_mlflow.cli import main

if __name__ == "__main__":
    main(prog_name="lossacc")
