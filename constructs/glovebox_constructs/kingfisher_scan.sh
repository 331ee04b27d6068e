# What the scanner of a repository runs, as /bin/sh -c: Kingfisher on the tree, which asks nobody about a secret.
# shellcheck shell=sh
kingfisher=$(command -v kingfisher) || kingfisher=/usr/local/bin/kingfisher

said=$(bare command "$kingfisher" --version 2>/dev/null)
told "${said##* }"

# A validated secret is one that was sent to whom it belongs to.
set -- scan "$tree" --format json --no-validate --no-update-check
# Lines that say of themselves that they are no secret are told all the same, and each place of a secret is.
set -- "$@" --no-ignore --no-dedup
# A folder `.git` is files as others are: git would be run on what somebody else wrote.
set -- "$@" --git-history none
# The box is new, so there is nothing to find in a cache, and nobody to leave one to.
set -- "$@" --no-rule-cache
# Its defaults, so that a younger one does not change them: a file's MB, archives in archives, how sure it is.
set -- "$@" --max-file-size 256 --extraction-depth 2 --confidence medium

# What it prints are sums, which would make two texts of the report.
scan "$kingfisher" "$@" --output "$out/report.kingfisher.json" >/dev/null
# It ends so where it found secrets, and where it found valid ones.
case $code in 200 | 205) code=0 ;; esac
ended "$code"
