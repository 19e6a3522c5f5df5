#!/bin/sh
# Puts back what backup.sh copied, into volumes that are empty and with nothing running; `up` comes after it.
#
#   sh ops/compose/restore.sh FOLDER
#
# COMPOSE is the command to speak to, if it is another: COMPOSE="docker compose -p shop".
set -eu
folder=${1:?name the folder that backup.sh made}

compose() {
    ${COMPOSE:-docker compose} "$@"
}

alone() {
    compose run --rm -T --no-deps "$@"
}

[ -f "$folder/redis.tar" ] && [ -f "$folder/state.tar" ] || { echo "$folder: no whole backup" >&2; exit 1; }
trap 'echo "not restored, start nothing on it: docker compose down -v, and once more" >&2' EXIT

# By the services' own users, so that all is theirs. Its server makes this folder when it starts: where it is, there is
# something to lose.
alone --entrypoint sh valkey -c 'test ! -e /data/appendonlydir' </dev/null ||
    { trap - EXIT; echo "the volume of valkey holds something: nothing was restored" >&2; exit 1; }
alone --entrypoint tar web -x -C /var/lib/whatshooked <"$folder/state.tar"
alone --entrypoint sh valkey -c \
    'rm -rf /data/new && mkdir /data/new && tar -x -C /data/new && mv /data/new /data/appendonlydir' <"$folder/redis.tar"

compose up -d valkey
until compose exec -T valkey valkey-cli -e ping >/dev/null 2>&1; do sleep 1; done
# What waited to be sent may have been sent since the backup: it waits for somebody's decision.
alone web restore --doubt /var/lib/whatshooked/copy </dev/null
alone --entrypoint rm web -r /var/lib/whatshooked/copy </dev/null
trap - EXIT
