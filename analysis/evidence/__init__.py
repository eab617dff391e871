"""Public evidence about 2021, as frames and estimates for the notebooks."""
