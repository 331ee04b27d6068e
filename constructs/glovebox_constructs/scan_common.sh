# What the scripts of all scanners begin with: where things are, how a scanner is run, and how a script ends.
# shellcheck shell=sh
# Functions are called by a trap, by name, or by some scripts and not by others: SC2329 is about that.
set -uf
umask 027 # The outlet is of the same group, and reads.
in=${GLOVEBOX_IN:-/glovebox/in}
out=${GLOVEBOX_OUT:-/glovebox/out}
scratch=${TMPDIR:-/tmp}
child='' stopped='' code=2

ended() {
  printf '{"exit":%d}\n' "$1" >"$out/exit.json"
  exit "$1"
}

# A scanner may be several processes, and end by a signal in the middle of its work as if it were done.
# shellcheck disable=SC2329
over() { [ -z "$child" ] || kill -KILL "-$child" "$child" 2>/dev/null; }
trap 'stopped=143; over' TERM INT HUP

# run COMMAND…: its exit code is in `code`, and of what it started nothing is left.
# shellcheck disable=SC2329
run() {
  [ -z "$stopped" ] || ended "$stopped"
  setsid "$@" </dev/null &
  child=$!
  [ -z "$stopped" ] || over
  wait "$child"
  code=$?
  # A signal ends `wait`, and not yet the child.
  while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
  done
  over
  child=''
  code=${stopped:-$code}
}
