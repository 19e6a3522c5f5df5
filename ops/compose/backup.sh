#!/bin/sh
# Copies everything that compose.yaml's gateway keeps into a folder, while it runs; restore.sh puts it back.
#
#   sh ops/compose/backup.sh FOLDER
#
# COMPOSE is the command to speak to, if it is another: COMPOSE="docker compose -p shop".
set -eu
folder=${1:?name a folder for the backup}
part=$folder.part

inside() {
    service=$1
    shift
    ${COMPOSE:-docker compose} exec -T "$service" "$@"
}

rewrites() {
    inside valkey valkey-cli -e CONFIG SET auto-aof-rewrite-percentage "$1" >/dev/null
}

[ ! -e "$folder" ] || { echo "$folder is there already: name a folder that is not" >&2; exit 1; }
umask 077
rm -rf "$part"
mkdir -p "$part"

# Redis first, for it names files and rows that were there before it named them. While its file is not written anew, it
# is only appended to: a copy made then is whole up to some moment after its beginning.
trap 'rewrites 100' EXIT
rewrites 0
while inside valkey valkey-cli -e INFO persistence | grep -qE 'aof_rewrite_(in_progress|scheduled):1'; do sleep 1; done
inside valkey rm -rf /data/copy
# Within the container: what makes an archive stumbles over a file that grows.
inside valkey cp -r /data/appendonlydir /data/copy
rewrites 100
trap - EXIT
inside valkey tar -c -C /data/copy . >"$part/redis.tar"
inside valkey rm -r /data/copy

inside web rm -rf /var/lib/whatshooked/copy
inside web whatshooked backup --without-redis /var/lib/whatshooked/copy
inside web tar -c -C /var/lib/whatshooked copy >"$part/state.tar"
inside web rm -r /var/lib/whatshooked/copy

sync
mv "$part" "$folder"
echo "$folder: redis.tar, state.tar"
