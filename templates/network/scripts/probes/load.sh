#!/bin/sh
# Measures the load average of fifteen minutes per processor.
. "$(dirname "$0")/level.sh"

proc=${PROC_ROOT:-/proc}
read -r _ _ load _ 2>/dev/null <"$proc/loadavg"
processors=$(grep -c '^processor' "$proc/cpuinfo" 2>/dev/null)
if ! number "$processors" || [ "$processors" -eq 0 ]; then processors=$(nproc 2>/dev/null || echo 1); fi
share=
case $load in
  *.??) hundredths=${load%.*}${load#*.} ;;
  *) hundredths= ;;
esac
# A leading zero would be read as octal.
while [ "${hundredths#0}" != "$hundredths" ] && [ ${#hundredths} -gt 1 ]; do hundredths=${hundredths#0}; done
if number "$hundredths"; then share=$((hundredths / processors)); fi
above "load per processor" "$share" "${LOAD_WARN:-150}" "${LOAD_CRITICAL:-300}" " %"
exit "$worst"
