"""Suspected label errors, by confident learning."""
