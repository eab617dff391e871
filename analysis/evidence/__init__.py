"""The public record on 2021, as frames and estimates for the notebooks."""
