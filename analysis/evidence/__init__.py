"""Public evidence about the 2021 closures, as data frames and estimates."""
