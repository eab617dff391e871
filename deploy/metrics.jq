# The outcome of a run as metrics of Prometheus. A report that is not fine has the state failed, refused or not run.
"market_impact_run_timestamp_seconds \(now | floor)",
"market_impact_failures \((.failures + .standing) | length)",
"market_impact_stale \(.stale | length)",
"market_impact_outcome{outcome=\(.outcome | tojson)} 1",
(.reports | to_entries[] | "market_impact_report{report=\(.key | tojson),state=\(.value.state | tojson)} 1")
