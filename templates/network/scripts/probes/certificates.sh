#!/bin/sh
# How long the certificates of the addresses of `checks` in ruche.yaml are good for, as the runtime has seen them.
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
    - | '') say unknown "the certificate of $url was not seen" ;;
    -*) say critical "the certificate of $url has ended" ;;
    *)
      if ! number "$days"; then
        say unknown "the certificate of $url: $days"
      elif [ "$days" -lt "${CERTIFICATE_CRITICAL:-7}" ]; then
        say critical "the certificate of $url ends in less than ${CERTIFICATE_CRITICAL:-7} days"
      elif [ "$days" -lt "${CERTIFICATE_WARN:-21}" ]; then
        say warn "the certificate of $url ends in less than ${CERTIFICATE_WARN:-21} days"
      else
        say ok "the certificate of $url"
      fi
      ;;
  esac
done <"$status"
[ "$found" = 1 ] || say ok "there are no certificates to look at (checks in ruche.yaml)"
exit "$worst"
