"""From schedule to published PDFs: the runner and the room that sets a notebook as a PDF."""
