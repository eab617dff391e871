"""The estimands of the closures on a panel: E1 to E5, each with its design, its error or the reason why it has none."""
