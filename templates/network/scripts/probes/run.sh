#!/bin/sh
# Runs the named probes one after the other: probes/run.sh cpu memory disk load. Exits with the worst level:
# 0 ok, 1 warn, 2 critical, 3 unknown.
dir=$(dirname "$0")
worst=0
for name in "$@"; do
  if [ -x "$dir/$name.sh" ]; then
    said=$("$dir/$name.sh")
    level=$?
    printf '%s\n' "${said:-unknown: the probe $name printed nothing}"
    [ -n "$said" ] || level=3
  else
    echo "unknown: probe $name not found"
    level=3
  fi
  if [ "$level" -gt "$worst" ]; then worst=$level; fi
done
exit "$worst"
