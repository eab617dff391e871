"""The public record on 2021, put into the frames and estimates that the notebooks show.

Each file serves one group of questions: `claims` (who said and counted what, and the verdict on it), `prices`
and `revenue` (of listed sellers), `growth` (totals and shares on Amazon), `platforms` (eBay, AliExpress,
Walmart and the mix of single firms). Everything comes from ``data/`` through `analysis.facts`.
"""
