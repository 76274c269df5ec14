#!/bin/sh
# Runs the process of one container and is all that watches over it while no agent runs; supervised.py starts it, through launcher.py.
#
#   supervisor.sh FOLDER LOG LIMIT ATTEMPT RESTARTS TOOLS COMMAND...
#
# LOG gets what the command writes; a full one (LIMIT bytes) becomes LOG.1. TOOLS is the PATH for the few programs that are used here:
# dd, mv, sleep and wc. ATTEMPT and RESTARTS are numbers that are only written down.
#
#   FOLDER/started  before the command runs: ATTEMPT RESTARTS BOOT UPTIME, then the /proc/PID/stat of the process that becomes the command
#   FOLDER/ended    after it: CODE UPTIME, and "swept" once nothing of it is left; 128 and more: 128 + the signal that ended it.
#                   Its room is taken before the command runs, so that a full disk cannot swallow the exit code.
#
# 6: the command's environment, as a script. 7 and 8: the two ends of the pipe that the command writes to. 9: the lock. It is held
# for as long as this runs, and nothing that is started here gets it. The launcher has made this process a child subreaper: what
# the command leaves behind becomes a child of this one, whatever it did to get away.
set -u
# Caught, not ignored: an ignored signal would stay ignored in the command.
trap : HUP INT QUIT TERM USR1 USR2 ALRM PIPE
folder=$1 log=$2 limit=$3 attempt=$4 restarts=$5
PATH=$6
shift 6
LC_ALL=C
export LC_ALL PATH

pause() { sleep 0.02 2>/dev/null || sleep 1; }

# Copies what the command writes until nobody can write any more. What cannot be written is dropped: a full disk stops no broker.
keep_log() {
    # Not as redirections of the call: some shells would keep the former descriptors open to have them back.
    exec <&7 >/dev/null 2>&1 6<&- 7<&- 8>&- 9>&-
    trap '' HUP INT QUIT TERM
    umask 077
    while :; do
        size=$(wc -c <"$log" 2>/dev/null) || size=0
        blocks=$(((limit - ${size:-0}) / 1024))
        if [ "$blocks" -lt 1 ]; then
            mv -f "$log" "$log.1" || : >"$log"
            blocks=$((limit / 1024))
        fi
        said=$(dd bs=1024 count="$blocks" 2>&1 >>"$log") || said=$(dd bs=1024 count=64 2>&1 >/dev/null)
        case $said in '0+0 records in'*) return ;; esac
    done
}

# Leaves in $kids the living and the dead children of this process.
children() {
    kids=
    if [ -r "/proc/$$/task/$$/children" ]; then
        read -r kids <"/proc/$$/task/$$/children"
        return
    fi
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        parent=${line##*) ? }
        if [ "${parent%% *}" = "$$" ]; then kids="$kids ${line%% *}"; fi
    done
}

# Kills all children but the log's writer, and those that come to light by that. Each round the shell takes in the dead.
sweep() {
    rounds=0
    while [ "$rounds" -lt 500 ]; do
        left=
        children
        for kid in $kids; do
            [ "$kid" = "${logger:-}" ] || left="$left $kid"
        done
        [ -n "$left" ] || return 0
        # shellcheck disable=SC2086  # several numbers
        kill -KILL $left 2>/dev/null
        rounds=$((rounds + 1))
        pause
    done
    return 1
}

uptime() { read -r up _ </proc/uptime; }

note_end() { printf '%-60s\n' "$1" 1<>"$folder/ended"; }

keep_log &
logger=$!
exec 7<&-

(
    uptime && read -r boot </proc/sys/kernel/random/boot_id && read -r stat </proc/self/stat || exit 125
    note_end '-' && printf '%s\n%s\n' "$attempt $restarts $boot $up" "$stat" >"$folder/started" || exit 125
    unset LC_ALL LC_CTYPE PATH PWD OLDPWD
    # shellcheck disable=SC1091  # not a file that could be looked at
    . /proc/self/fd/6
    exec 6<&-
    exec "$@"
) </dev/null >&8 2>&8 8>&- 9>&-
code=$?

exec 6<&- 8>&-
uptime
note_end "$code $up"
if sweep; then swept=swept; else swept=; fi
# The writer ends when the pipe is empty and closed; somebody outside may have been given the pipe, and does not hold this up for long.
rounds=0
while kill -0 "$logger" 2>/dev/null && [ "$rounds" -lt 100 ]; do
    rounds=$((rounds + 1))
    pause
done
if [ "$rounds" -ge 100 ]; then
    logger=
    sweep
fi
note_end "$code $up $swept"
