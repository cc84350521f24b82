#!/bin/sh
# Measures the share of the last five minutes in which something waited for a processor. If the kernel does not report that,
# measures how busy the processors are for a few seconds. For tests, takes two files like /proc/stat instead.
. "$(dirname "$0")/level.sh"

sample() {
  read -r _ user nice system idle iowait irq softirq steal _ <"$1" || return 1
  for each in "$user" "$nice" "$system" "$idle" "$iowait" "$irq" "$softirq" "$steal"; do
    number "$each" || return 1
  done
  total=$((user + nice + system + idle + iowait + irq + softirq + steal))
  free=$((idle + iowait))
}

proc=${PROC_ROOT:-/proc}
share=
if [ $# -eq 0 ] && read -r kind _ _ average _ 2>/dev/null <"$proc/pressure/cpu" && [ "$kind" = some ]; then
  average=${average#avg300=}
  share=${average%%.*}
elif sample "${1:-$proc/stat}" 2>/dev/null; then
  total_before=$total free_before=$free
  [ $# -ge 2 ] || sleep "${PROBE_SECONDS:-3}"
  if sample "${2:-$proc/stat}" 2>/dev/null && [ "$total" -gt "$total_before" ]; then
    share=$((100 - (free - free_before) * 100 / (total - total_before)))
  fi
fi
above "processor use" "$share" "${CPU_WARN:-85}" "${CPU_CRITICAL:-98}" " %"
exit "$worst"
