"""How right and how fast the judge of training curves is, beside its peers; see docs/benchmarks.md."""
