# Levels for the probes beside this file. A probe prints a line for each thing it has looked at, and of numbers only the
# bound they have crossed: what it prints changes when something has happened, and not with every breath of the machine.

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

# Whether it is a whole number that the shell can count with.
number() {
  case $1 in
    '' | *[!0-9]* | ????????????????*) return 1 ;;
  esac
}

# fact KEY: the first line of that key of what the runtime says of itself.
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

# Ends the probe if the runtime says nothing, or has said nothing for long.
needs_status() {
  now=${NOW:-$(date +%s)}
  at=$(fact at)
  if ! number "$at"; then
    say unknown "the runtime says nothing of itself ($status)"
    exit "$worst"
  fi
  if [ $((now - at)) -gt 900 ]; then
    say critical "the runtime has said nothing of itself for 15 minutes or more"
    exit "$worst"
  fi
}
