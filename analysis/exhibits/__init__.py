"""Report exhibits: figures, tables and sentences.

No module of this package computes an estimate or refers to one by name.
"""
