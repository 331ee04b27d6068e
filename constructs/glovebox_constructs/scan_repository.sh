# What the scripts of scanners of repositories have in common: a tree, and a scanner that nothing steers.
# shellcheck shell=sh
tree=$in/tree
log=$scratch/log

[ -d "$tree" ] || ended 2
# Not in the tree: scanners take settings from the folder that they are started in.
cd "$scratch" || ended 2

# bare HOW COMMAND…: the command with no environment but this, because each of the scanners takes options from it,
# and with no program to be found: Trivy would run git, with words of the repository, to fetch Terraform's modules.
bare() {
  how=$1
  shift
  "$how" env -i PATH=/nowhere HOME="$scratch" TMPDIR="$scratch" "$@"
}

# told VERSION: what Trivy says by itself, in its form.
# shellcheck disable=SC2329
told() { printf '{"Version":"%s"}\n' "$(printf %s "$1" | tr -cd 'A-Za-z0-9.+-')" >"$out/version.json"; }

# scan COMMAND… >REPORT: runs it with its log bounded.  It is one MiB more than the outlet reads, which thereby
# notices that there was more; and what is left over is read, because a full pipe would stop the scanner.
scan() {
  mkfifo "$log" || ended 2
  { head -c 68157440 && cat >/dev/null; } <"$log" >"$out/scanner.log" &
  keeper=$!
  bare run "$@" 2>"$log"
  wait "$keeper"
}
