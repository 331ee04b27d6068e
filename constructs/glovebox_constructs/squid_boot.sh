#!/bin/bash
# Starts the egress gateway on a fresh instance.  What it cannot do it does not half do: any failure turns the
# instance off, which ends it, and its group starts another one.
set -euo pipefail
trap 'echo "gateway: boot failed in line $LINENO" >/dev/console; shutdown -h now' ERR

# Two programs that could do something here and are not needed.
systemctl disable --now ecs.service amazon-ssm-agent.service || true

# 512 MiB hold Squid and its helpers; the swap is for the pull.
[ -e /swap ] || { fallocate -l 512M /swap; chmod 600 /swap; mkswap /swap; swapon /swap; }

folder=@FOLDER@ region=@REGION@ image=@IMAGE@
mkdir -p "$folder"
base64 -d <<'FILES' | tar -xzf - -C "$folder"
@FILES@
FILES

cat >/usr/local/sbin/gateway-refresh <<'PROGRAM'
#!/bin/bash
# Fetches the leaf and the keys that sign tickets; the gateway is told only when something has changed.  What is
# not there, or is a deployment's placeholder, changes nothing: it fails, and is tried again.
set -euo pipefail
umask 077
ask() { # service, target, body, host
  token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
  role=http://169.254.169.254/latest/meta-data/iam/security-credentials/
  mine=$(curl -sf -H "X-aws-ec2-metadata-token: $token" "$role$(curl -sf -H "X-aws-ec2-metadata-token: $token" "$role")")
  word() { printf '%s' "$mine" | python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
  # By standard input, so that no list of processes shows the key.
  curl -sf --config - --aws-sigv4 "aws:amz:@REGION@:$1" -X POST \
    -H 'Content-Type: application/x-amz-json-1.1' -H "X-Amz-Target: $2" -d "$3" \
    "https://$4.@REGION@.amazonaws.com/" <<KEYS
user = "$(word AccessKeyId):$(word SecretAccessKey)"
header = "X-Amz-Security-Token: $(word Token)"
KEYS
}
if [ "${1:-}" = login ]; then
  ask ecr AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken '{}' api.ecr |
    python3 -c 'import base64,json,sys; print(base64.b64decode(json.load(sys.stdin)["authorizationData"][0]["authorizationToken"]).decode().split(":", 1)[1])'
  exit
fi
new=$(mktemp -d @FOLDER@/.new-XXXXXX)
trap 'rm -rf "$new"' EXIT
ask secretsmanager secretsmanager.GetSecretValue '{"SecretId":"@LEAF@","VersionStage":"AWSCURRENT"}' secretsmanager |
  python3 -c '
import json, pathlib, sys
leaf = json.loads(json.load(sys.stdin)["SecretString"])
for name, text in (("leaf.pem", leaf["certificate"]), ("leaf.key", leaf["key"])):
    pathlib.Path(sys.argv[1], name).write_text(text)' "$new"
ask ssm AmazonSSM.GetParameter '{"Name":"@KEYS@"}' ssm |
  python3 -c '
import json, sys
lines = json.load(sys.stdin)["Parameter"]["Value"].splitlines()
if "-----BEGIN PUBLIC KEY-----" not in lines:
    sys.exit("no key yet")
# Comments say when each key came and went: no reason to reload.
print(*(line for line in lines if not line.startswith("#")), sep="\n")' >"$new/ticket-keys.pem"
changed=
for each in leaf.pem leaf.key ticket-keys.pem; do
  cmp -s "$new/$each" "@FOLDER@/$each" && continue
  chown @USER@ "$new/$each"
  mv "$new/$each" "@FOLDER@/$each"
  changed=1
done
[ -z "$changed" ] || ! docker inspect gateway >/dev/null 2>&1 || docker kill --signal HUP gateway >/dev/null
PROGRAM

cat >/usr/local/sbin/gateway-watch <<'PROGRAM'
#!/bin/bash
# A gateway that stays ill is turned off; the group then starts a new instance with the same addresses.
ill=0
while sleep 20; do
  if [ "$(docker inspect -f '{{.State.Health.Status}}' gateway 2>/dev/null)" = healthy ]; then ill=0; else ill=$((ill + 1)); fi
  [ "$ill" -lt 6 ] || shutdown -h now
done
PROGRAM
chmod 700 /usr/local/sbin/gateway-*

# Hop limit 1 keeps containers from the instance's metadata; this says it once more.
iptables -I DOCKER-USER -d 169.254.0.0/16 -j DROP

# On the first day the machine may be faster than the function that mints: it waits, an hour at most.
for _ in $(seq 120); do
  if /usr/local/sbin/gateway-refresh; then break; fi
  sleep 30
done
[ -e "$folder/ticket-keys.pem" ]
/usr/local/sbin/gateway-refresh login | docker login --username AWS --password-stdin "${image%%/*}"
docker pull --quiet "$image"
docker logout "${image%%/*}"
docker run --detach --name gateway --restart always --read-only --user @USER@ --cap-drop ALL \
  --security-opt no-new-privileges --pids-limit 128 --memory 384m --ulimit nofile=65536:65536 \
  --tmpfs /tmp --tmpfs /run --shm-size 64m --stop-timeout 30 \
  --env GLOVEBOX_REGION="$region" --volume "$folder:$folder:ro" --publish 3128:3128 --publish 3129:3129 \
  --log-driver awslogs --log-opt awslogs-region="$region" --log-opt awslogs-group=@LOG@ \
  --log-opt mode=non-blocking "$image"

systemd-run --unit gateway-watch --property Restart=always /usr/local/sbin/gateway-watch
systemd-run --unit gateway-refresh --on-active 5min --on-unit-active 5min /usr/local/sbin/gateway-refresh
