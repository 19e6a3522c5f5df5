#!/bin/sh
# Plays the customers' conversation over and over, whatever becomes of a round, until told to stop.
trap 'exit 0' TERM INT
while :; do
    whatshooked simulate script /etc/whatshooked/talk.json &
    wait $!
    sleep 3 &
    wait $!
done
