#!/bin/sh
# How full the disk is that holds Ruche's home. Takes a file with what `df -P` prints in place of asking.
. "$(dirname "$0")/level.sh"

used=
{ if [ $# -ge 1 ]; then cat "$1"; else df -Pk .; fi; } 2>/dev/null | {
  set -f
  while read -r line; do
    # Names of devices may hold spaces.
    for word in $line; do
      case $word in
        [0-9]*%) used=${word%\%} ;;
      esac
    done
  done
  above "disk use" "$used" "${DISK_WARN:-85}" "${DISK_CRITICAL:-95}" " %"
  exit "$worst"
}
