#!/bin/sh
# Whether the addresses of `checks` in ruche.yaml answer. A script has no network: the runtime asks them every five minutes,
# under the rules of ruche.yaml, and says what it found.
. "$(dirname "$0")/level.sh"

needs_status
found=0
while read -r key state code days url why; do
  [ "$key" = check ] || continue
  found=1
  case $state in
    ok) say ok "$url answers" ;;
    down) say critical "$url does not answer as it should ($([ "$code" = - ] && echo 'no answer' || echo "HTTP $code"))" ;;
    refused) say warn "$url may not be asked: $why" ;;
    *) say unknown "$url: $state" ;;
  esac
done <"$status"
[ "$found" = 1 ] || say ok "there are no addresses to look at (checks in ruche.yaml)"
exit "$worst"
