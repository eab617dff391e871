"""Estimators, one per file, independent of platforms and claims."""
