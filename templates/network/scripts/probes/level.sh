# Levels for the probes in this folder. A probe prints one line per item. For numbers it prints only the threshold that was
# crossed, so that its output changes only when something has happened.

worst=0

# say LEVEL TEXT
say() {
  printf '%s: %s\n' "$1" "$2"
  case $1 in
    ok) level=0 ;;
    warn) level=1 ;;
    critical) level=2 ;;
    *) level=3 ;;
  esac
  if [ "$level" -gt "$worst" ]; then worst=$level; fi
}

# above WHAT VALUE WARN CRITICAL UNIT
above() {
  if ! number "$2"; then
    say unknown "$1 cannot be read"
  elif [ "$2" -ge "$4" ]; then
    say critical "$1 is at $4$5 or more"
  elif [ "$2" -ge "$3" ]; then
    say warn "$1 is at $3$5 or more"
  else
    say ok "$1"
  fi
}

# Succeeds for a whole number that the shell can calculate with.
number() {
  case $1 in
    '' | *[!0-9]* | ????????????????*) return 1 ;;
  esac
}

# fact KEY: the first value of that key in the runtime's status file.
status=${RUCHE_STATUS:-/run/status}
fact() {
  [ -r "$status" ] || return 0
  while read -r key value; do
    if [ "$key" = "$1" ]; then
      printf '%s\n' "$value"
      return 0
    fi
  done <"$status"
}

# Ends the probe if the runtime's status is missing or old.
needs_status() {
  now=${NOW:-$(date +%s)}
  at=$(fact at)
  if ! number "$at"; then
    say unknown "the runtime reports no status ($status)"
    exit "$worst"
  fi
  if [ $((now - at)) -gt 900 ]; then
    say critical "the runtime has reported no status for 15 minutes or more"
    exit "$worst"
  fi
}
