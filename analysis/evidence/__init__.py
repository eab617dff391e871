"""Public evidence about 2021, as data frames and estimates for the notebooks."""
