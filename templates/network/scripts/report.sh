#!/bin/sh
# Writes the facts of the morning report to shared/reports/YYYY-MM-DD.md: the probes' results, the runtime's figures for the
# last 24 hours, and what waits for a person. The agent then says what they mean.
probes=$(dirname "$0")/probes
. "$probes/level.sh"

time=$(fact time)
[ -n "$time" ] || time=$(date -u +%Y-%m-%dT%H:%M:%SZ)
day=$(fact day)
[ -n "$day" ] || day=${time%%T*}
folder=${1:-shared/reports}
file=$folder/$day.md

found=$("$probes/run.sh" cpu memory disk load runtime http certificates)
lines() {
  [ -r "$status" ] || return 0
  while read -r key value; do
    if [ "$key" = "$1" ]; then echo "- $value"; fi
  done <"$status"
}
# section TITLE LINES
section() { printf '\n## %s\n\n%s\n' "$1" "${2:-Nothing.}"; }
bad=$(echo "$found" | grep -v '^ok: ' | sed 's/^/- /')

cost="$(fact cost_usd_24h) USD"
unpriced=$(fact unpriced_24h)
if [ "${unpriced:-0}" != 0 ]; then
  if [ "$cost" = '0.0000 USD' ]; then cost=unknown; else cost="at least $cost"; fi
  cost="$cost (the price of a model is unknown; runs that used it: $unpriced)"
fi

mkdir -p "$folder" || exit 1
{
  printf '# Report for %s\n\nFacts as of %s.\n' "$day" "$time"
  section 'Problems from the probes' "$bad"
  section 'What waits for a person' "$(lines waits)"
  section 'Failures of the last 24 hours' "$(lines failure)"
  section 'The last 24 hours' "- done: $(fact done_24h), failed: $(fact failed_24h), cancelled: $(fact cancelled_24h)
- cost: $cost
- queued now: $(fact queued), running: $(fact running), waiting: $(fact waiting); paused: $(fact paused)"
  section 'By agent (done, failed, cost in USD)' "$(lines agent)"
  [ "${unpriced:-0}" = 0 ] || section 'Runs whose cost is not fully known, by agent' "$(lines unpriced)"
  section 'Everything that was checked' "$(echo "$found" | sed 's/^/- /')"
} >"$file" || exit 1
echo "$file"
echo "$bad"
