# What the scanner of an account runs, as /bin/sh -c: Prowler, with what the inlet laid down, and its exit code.
# shellcheck shell=sh

# Words become arguments: an option among them would make Prowler somebody else's.
plain() {
  for word in $1; do
    case $word in -* | *[!a-z0-9_-]*) ended 2 ;; esac
  done
}

[ -r "$in/environment" ] || ended 2
# shellcheck source=/dev/null
. "$in/environment"
regions=${GLOVEBOX_REGIONS:-}
services=${GLOVEBOX_SERVICES:-}
without=${GLOVEBOX_WITHOUT:-}
[ -n "$regions" ] || ended 2
plain "$regions $services $without"

# Prowler has a list of its own of what it mutes; ours is empty, because accepting a finding is our business.
printf 'Mutelist:\n  Accounts: {}\n' >"$scratch/mutelist.yaml" || ended 2

prowler=$(command -v prowler) || prowler=/home/prowler/.venv/bin/prowler
set -- aws -M json-ocsf -F report -o "$out" -b --no-color -z --log-level WARNING --log-file "$out/scanner.log" \
  --aws-retries-max-attempts 2 -w "$scratch/mutelist.yaml"
# Blanks part the names, and nothing else does: each list was looked at above.
# shellcheck disable=SC2086
{
  set -- "$@" -f $regions
  set -- "$@" -e @EXCLUDED_CHECKS@
  # Checks of other services that would ask S3 all the same.
  case " $without " in *" s3 "*) set -- "$@" @BUCKET_CHECKS@ ;; esac
  [ -z "$services" ] || set -- "$@" -s $services
  [ -z "$without" ] || set -- "$@" --excluded-services $without
}

export HOME="$scratch" PYTHONHASHSEED=0 PROWLER_AWS_PARTITION=aws
export AWS_ACCOUNT_ID_ENDPOINT_MODE=disabled AWS_EC2_METADATA_DISABLED=true
cd "$scratch" || ended 2
run "$prowler" "$@" >/dev/null 2>&1
rmdir "$out/compliance" 2>/dev/null # Prowler makes it for reports that nobody asked for.
ended "$code"
