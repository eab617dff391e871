# The outcome of a run as metrics of Prometheus.
"market_impact_run_timestamp_seconds \(now | floor)",
"market_impact_failures \((.failures + .standing) | length)",
"market_impact_stale \(.stale | length)",
"market_impact_outcome{outcome=\(.outcome | tojson)} 1",
(.reports | to_entries[] | "market_impact_report_failed{report=\(.key | tojson)} \(if .value.state == "failed" then 1 else 0 end)")
