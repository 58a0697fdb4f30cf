"""What the loggers of XGBoost and LightGBM share: when to score, what is logged, which evaluation set is which."""
