# What the scanner of a repository runs, as /bin/sh -c: TruffleHog on the tree, which asks nobody about a secret.
# shellcheck shell=sh
trufflehog=$(command -v trufflehog) || trufflehog=/usr/bin/trufflehog

said=$(bare command "$trufflehog" --version --no-update 2>&1)
told "${said##* }"

# A verified secret is one that was sent to whom it belongs to.
set -- filesystem "$tree" --json --no-color --no-update --no-verification
# An archive of archives of zeros ends here.
set -- "$@" --archive-max-size 64MB --archive-max-depth 3 --archive-timeout 30s
# Otherwise it ends with 0 whatever it could not read; younger ones alone can be asked to tell.
case $(bare command "$trufflehog" filesystem --help 2>&1) in
*fail-on-scan-errors*) set -- "$@" --fail-on-scan-errors ;;
esac

scan "$trufflehog" "$@" >"$out/report.trufflehog.jsonl"
ended "$code"
