"""Keras reads its backend when it is imported, by whichever test or module comes first."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
