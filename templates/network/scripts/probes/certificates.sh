#!/bin/sh
# Checks how long the certificates of the addresses in `checks` (ruche.yaml) remain valid, as the runtime has seen them.
. "$(dirname "$0")/level.sh"

needs_status
found=0
while read -r key state code days url why; do
  [ "$key" = check ] || continue
  case $url in
    https://*) found=1 ;;
    *) continue ;;
  esac
  case $days in
    - | '') say unknown "the certificate of $url is unknown" ;;
    -*) say critical "the certificate of $url has expired" ;;
    *)
      if ! number "$days"; then
        say unknown "the certificate of $url: $days"
      elif [ "$days" -lt "${CERTIFICATE_CRITICAL:-7}" ]; then
        say critical "the certificate of $url expires in less than ${CERTIFICATE_CRITICAL:-7} days"
      elif [ "$days" -lt "${CERTIFICATE_WARN:-21}" ]; then
        say warn "the certificate of $url expires in less than ${CERTIFICATE_WARN:-21} days"
      else
        say ok "the certificate of $url"
      fi
      ;;
  esac
done <"$status"
[ "$found" = 1 ] || say ok "no certificates to check (add addresses to checks in ruche.yaml)"
exit "$worst"
