"""Estimators, each in a file of its own; they know nothing of platforms and claims."""
