"""Closure effects, spillovers and displacement on online marketplaces."""
