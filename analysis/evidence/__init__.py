"""Public evidence about the closures of 2021, as data frames and estimates."""
