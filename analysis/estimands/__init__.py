"""Estimands E1 to E5 of a panel: estimate, error and design, or the reason for a refusal."""
