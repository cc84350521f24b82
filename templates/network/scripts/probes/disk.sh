#!/bin/sh
# Checks how full the disk with Ruche's home is. For tests, takes a file with the output of `df -P` instead.
. "$(dirname "$0")/level.sh"

used=
{ if [ $# -ge 1 ]; then cat "$1"; else df -Pk .; fi; } 2>/dev/null | {
  set -f
  while read -r line; do
    # Device names may contain spaces.
    for word in $line; do
      case $word in
        [0-9]*%) used=${word%\%} ;;
      esac
    done
  done
  above "disk use" "$used" "${DISK_WARN:-85}" "${DISK_CRITICAL:-95}" " %"
  exit "$worst"
}
