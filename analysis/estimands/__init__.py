"""Estimands E1 to E5 and the functions that estimate them for a panel."""
