"""Exhibits: figures, tables and sentences. Nothing here computes an estimate or refers to one by name."""
