"""Real models on real data, each with the verdict that must come out; run one with ``python -m experiments.digits``."""
