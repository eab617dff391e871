"""What a reader sees: figures, tables and sentences. Nothing here computes an estimate, or knows of one by name."""
