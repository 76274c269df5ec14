#!/bin/sh
# Runs one container in containerd, as the process that a supervisor watches; runtimes.py composes what it is given.
#
#   containerd.sh ID IMAGE PULL ARGUMENT...     ARGUMENT...: those of `ctr run`; PULL: Always, Never or anything else
#   containerd.sh remove ID                     ends and removes it, however far it came
#
# `ctr run` ends with the container, with its exit code. A container outlives a `ctr run` that is killed: therefore it is removed
# before a start and after an end, and by whoever ends the pod.
set -u

remove() {
    ctr tasks kill -a -s KILL "$1"
    ctr tasks rm -f "$1"
    ctr containers rm "$1"
} >/dev/null 2>&1

if [ "$1" = remove ]; then
    remove "$2"
    exit 0
fi

id=$1 image=$2 pull=$3
shift 3
remove "$id"
if [ "$pull" != Always ] && [ -n "$(ctr images ls -q "name==$image")" ]; then
    :
elif [ "$pull" = Never ]; then
    echo "image $image is not there, and imagePullPolicy is Never" >&2
    exit 125
else
    ctr images pull "$image" || exit 125
fi
trap 'ctr tasks kill -s TERM "$id" >/dev/null 2>&1' TERM
ctr run "$@" &
pid=$!
while :; do
    wait "$pid"
    code=$?
    # Without its end `wait` returns when the signal above came.
    kill -0 "$pid" 2>/dev/null || break
done
remove "$id"
exit "$code"
