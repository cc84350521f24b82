import { START_FORWARDER } from './network.ts';

/**
 * The shell programs around a command. They run outside the sandbox, in a session of their own, and need nothing of the
 * runtime: limits hold and the result is written even if the runtime has been killed. docs/formats/shells.md describes
 * the files they leave.
 */

/**
 * From its start to the runner's program. Arguments: process id of the wrapper, seconds, cgroup for memory and for
 * processes, then the program and its arguments. Entering a cgroup can take 15 ms, so it happens while the start is being
 * synced; opening the pipe waits until it is. Killing the wrapper kills this too: by its death signal, or because the
 * parent is another one already.
 */
const RUN = `
[ "$PPID" = "$1" ] || exit 125
seconds=$2 failed=
for group in "$3" "$4"; do
  [ -z "$group" ] || echo 0 >"$group/cgroup.procs" || failed=1
done 2>/dev/null
shift 4
exec >pipe 2>timer
[ -z "$failed" ] || { echo "cannot enter the cgroup that limits the command"; exit 125; }
exec timeout -v -k 1 "$seconds" /bin/sh -c "$@"
`;

/**
 * Cuts the output into segments and drops those in the middle. `dd` reads it because it writes at once what it has read, so
 * that it can be followed, and because its counts bound a segment.
 */
const COLLECT = `
collect() {
  exec 8>&- 9>&-
  n=0 total=0 head=0 tail=0 read=512
  while [ "$read" -ge 512 ]; do
    LC_ALL=C dd bs=16384 count=512 of=out.$n 2>count || { rest=$(wc -c); total=$((total + rest)); break; }
    read=0 size=0
    while read -r word rest; do
      case $rest in
        'records in') read=$((\${word%+*} + \${word#*+})) ;;
        *copied*) size=$word ;;
      esac
    done <count
    total=$((total + size))
    if [ "$head" -lt "$half" ]; then
      head=$((head + size))
    else
      set -- "$@" "$size"
      tail=$((tail + size))
      while [ $((tail - $1)) -ge "$half" ]; do
        tail=$((tail - $1))
        shift
        rm -f out.$((n - $#))
      done
    fi
    n=$((n + 1))
  done
  echo "$total" >size
}
`;

/**
 * Arguments: folder, seconds, bytes to keep at either end of the output, cgroup for memory and for processes ('' for none),
 * then the program of the runner and its arguments. `sweep` is a program that ends what may have strayed.
 *
 * Claim: only the holder of the lock may write `started`, and only once; a folder marked `void` is never started.
 * `exit` is not synced: the files it vouches for are not either, so after a power cut the answer is "in doubt".
 */
export const wrapper = (sweep: string): string => `
stop= pid=
# The group exists once \`timeout\` runs.
end() { kill -KILL "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null; }
trap '' HUP INT QUIT
trap 'stop=1; [ -z "$pid" ] || end' TERM
cd "$1" || exit 0
dir=$1 seconds=$2 half=$3 memory=$4 pids=$5
shift 5
exec 9>>lock && flock 9 || exit 0
[ ! -e void ] && [ ! -e started ] || exit 0
boot=-; read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id
mkfifo -m 600 pipe || exit 0
setpriv --pdeathsig KILL /bin/sh -c '${RUN}' ruche-run "$$" "$seconds" "$memory" "$pids" "$@" 9>&- &
pid=$!
echo "$$ $boot" >started && sync started . .. || { rm -f started; end; exit 0; }

${COLLECT}
code=137 total=0
if [ -z "$stop" ]; then
  # Held open until the runner has ended: it may be killed before it opens the pipe, and the collector must not wait for it.
  exec 8<>pipe
  collect <pipe &
  collector=$!
  wait "$pid"
  code=$?
  [ -z "$stop" ] || code=137
  trap '' TERM
  ${sweep}
  exec 8>&-
  wait "$collector"
  read -r total <size
else
  end
fi

killed=0
# A runner that has a cgroup of its own leaves in our folder what was in it.
for file in memory.events \${memory:+"$memory/memory.oom_control" "$memory/memory.events"}; do
  [ ! -r "$file" ] || while read -r name count; do
    [ "$name" != oom_kill ] || killed=$count
  done <"$file"
done
# Of a sandbox that was killed, the last process may still be on its way out.
for pause in 0.01 0.05 0.2 1; do
  [ -z "$memory$pids" ] || rmdir \${memory:+"$memory"} \${pids:+"$pids"} 2>/dev/null
  [ ! -e "$memory" ] && [ ! -e "$pids" ] && break
  sleep "$pause"
done
why=itself
[ "$killed" = 0 ] || why=memory
[ ! -s timer ] || why=timeout
[ -z "$stop" ] || why=aborted
echo "$code $total $why ." >exit
`;

/** Kills the processes whose entries in /proc a program lists, until there are none. */
export const killAll = (list: string): string => `
round=0
while [ "$round" -lt 20 ]; do
  found=
  for file in $(${list}); do
    stray=\${file#/proc/}
    kill -KILL "\${stray%%/*}" 2>/dev/null && found=1
  done
  [ -n "$found" ] || break
  round=$((round + 1))
done
`;

/** Where nothing confines a command: whatever still carries `$dir` in its environment. */
export const SWEEP_MARKED = killAll('grep -lsFxz "RUCHE_JOB=$dir" /proc/[0-9]*/environ');

/**
 * A sandbox dies with its outer process, but only once it is set up. Where that one was killed, what writes to our pipe is
 * killed too. An end below 124 is one that bubblewrap itself has reported.
 */
export const SWEEP_SANDBOX = `
if [ "\${code:-137}" -ge 124 ]; then
  pipe=$(pwd -P)/pipe
  ${killAll(`find /proc/[0-9]*/fd/1 -maxdepth 0 -printf '%p %l\\n' 2>/dev/null | while read -r link target; do
    [ "$target" != "$pipe" ] || echo "$link"
  done`)}
fi
`;

/** Arguments: folder. Prints what is known of a command. A shared lock, so that two who look do not take each other for it. */
export const LOOK = `
cd "$1" 2>/dev/null || { echo absent; exit; }
exec 9>>lock
flock -sn 9 || { echo running; exit; }
if [ ! -e started ]; then true >void && echo absent
elif [ -s exit ]; then echo finished
else echo doubt
fi
`;

/**
 * The first thing that runs inside: limits that a process sets for itself and its children. Arguments: processes, bytes of
 * memory ('' if a cgroup holds it), the file with the command, then folder and words of the forwarder if it has a network.
 */
export const LAUNCH = `
umask 022
ulimit -c 0
ulimit -n 4096 2>/dev/null
ulimit -f 4194304
ulimit -u "$1" 2>/dev/null || ulimit -p "$1" 2>/dev/null
[ -z "$2" ] || ulimit -d "$2"
shell=/bin/sh
[ ! -x /bin/bash ] || shell=/bin/bash
command=$3
shift 3
if [ "$#" -gt 0 ]; then
  ${START_FORWARDER}
fi
exec "$shell" "$command"
`;
