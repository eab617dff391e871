"""Estimands E1 to E5 for a panel: estimate, standard error and design, or the reason for a refusal."""
