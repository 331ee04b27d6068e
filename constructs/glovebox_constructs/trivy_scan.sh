# What the scanner of a repository runs, as /bin/sh -c: Trivy, offline, on the tree and by our options alone.
# shellcheck shell=sh
cache=${GLOVEBOX_TRIVY_CACHE:-/trivy-cache}
trivy=$(command -v trivy) || trivy=/usr/local/bin/trivy

# With the age of the database.
bare command "$trivy" version -f json -c '' --cache-dir "$cache" >"$out/version.json" 2>/dev/null

set -- fs --scanners vuln,secret,misconfig,license --list-all-pkgs -f json --no-progress
# No file decides what is told.  Each of these is otherwise looked for, and these are the switches that say so.
set -- "$@" -c '' --secret-config '' --ignorefile ''
# No question leaves the box: advisories, checks, exceptions, news and habits of use.
set -- "$@" --offline-scan --skip-db-update --skip-java-db-update --skip-check-update --skip-vex-repo-update
set -- "$@" --skip-version-check --disable-telemetry --cache-dir "$cache" --cache-backend memory
# Before the task is stopped, which would leave no reason in the log.
set -- "$@" --timeout 25m

scan "$trivy" "$@" "$tree" >"$out/report.trivy.json"
ended "$code"
