#!/bin/sh
# Measures how much of the memory is in use.
. "$(dirname "$0")/level.sh"

total= available=
while read -r key value rest; do
  case $key in
    MemTotal:) total=$value ;;
    MemAvailable:) available=$value ;;
  esac
done 2>/dev/null <"${PROC_ROOT:-/proc}/meminfo"
used=
if number "$total" && number "$available" && [ "$total" -gt 0 ] && [ "$available" -le "$total" ]; then
  used=$((100 - available * 100 / total))
fi
above "memory use" "$used" "${MEMORY_WARN:-85}" "${MEMORY_CRITICAL:-95}" " %"
exit "$worst"
