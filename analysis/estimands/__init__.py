"""Estimands E1 to E5 for a panel: estimates with their standard errors and designs, or reasons for refusals."""
