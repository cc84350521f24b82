#!/bin/sh
# Checks Ruche itself: how long tasks wait that could run, and how many runs have failed within an hour.
. "$(dirname "$0")/level.sh"

needs_status
above "the longest wait of a task" "$(fact oldest_queued_seconds)" "${QUEUE_WARN:-300}" "${QUEUE_CRITICAL:-1800}" " s"
above "the number of runs that failed within an hour" "$(fact failed_1h)" "${FAILED_WARN:-1}" "${FAILED_CRITICAL:-10}" ""
exit "$worst"
