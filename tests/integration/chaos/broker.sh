#!/bin/sh
# A broker that keeps account of itself:  broker.sh FOLDER NUMBER, with POD (its uid), NAME and NODE in its environment.
#
# Each of its devices is known by a variable SLOTS_<DIGEST>, which says how many may use the device at one time. It takes one of so
# many locks of each of them, and one that is its own pod's, and holds them for its life; whatever it starts holds them with it. One
# that is not free is a violation. NUMBER is how long it sleeps, which nobody else does.
set -u
folder=$1 number=$2

violation() { echo "$(date +%s.%N) $1 $POD $NAME $NODE $2" >>"$folder/violations"; }

exec 3>>"$folder/pods/$POD"
flock -n 3 || violation twice "$(cat "$folder/pods/$POD")"
echo $$ >&3

# At most four devices: descriptors have one digit in a POSIX shell.
descriptor=4
taken=
for device in $(env | sed -n 's/^SLOTS_\([0-9A-F]*\)=\([0-9]*\)$/\1:\2/p' | sort); do
    digest=${device%%:*}
    slot=0
    while [ "$slot" -lt "${device##*:}" ]; do
        file=$folder/slots/$digest-$slot
        eval "exec $descriptor>>\"\$file\""
        if flock -n "$descriptor"; then
            echo "$POD" >"$file"
            taken="$taken $digest-$slot"
            break
        fi
        slot=$((slot + 1))
    done
    if [ "$slot" -ge "${device##*:}" ]; then
        violation slot "$digest $(cat "$folder/slots/$digest-"* | tr '\n' ' ')"
    fi
    descriptor=$((descriptor + 1))
done
echo "$(date +%s.%N) $$ $POD $NAME $NODE$taken" >>"$folder/lives"
echo "I have$taken"

# Every other broker starts something that tries to get away, and holds the locks as well.
case $POD in
    *[02468ace]) setsid sh -c 'trap "" HUP TERM; sh -c "setsid sleep '"$number"'.5 & " ' & ;;
esac
exec sleep "$number"
