#!/bin/sh
# Checks whether the addresses in `checks` (ruche.yaml) answer. A script has no network, so the runtime requests them every
# five minutes, under the rules of ruche.yaml, and reports the results.
. "$(dirname "$0")/level.sh"

needs_status
found=0
while read -r key state code days url why; do
  [ "$key" = check ] || continue
  found=1
  case $state in
    ok) say ok "$url answers" ;;
    down) say critical "$url does not answer correctly ($([ "$code" = - ] && echo 'no answer' || echo "HTTP $code"))" ;;
    refused) say warn "$url may not be requested: $why" ;;
    *) say unknown "$url: $state" ;;
  esac
done <"$status"
[ "$found" = 1 ] || say ok "no addresses to check (add some to checks in ruche.yaml)"
exit "$worst"
