"""The public record on 2021, put into the frames and estimates that the notebooks show."""
