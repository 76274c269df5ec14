#!/bin/sh
# The boot of a node: runs as process 1 of the node's own process, mount, network and host name namespaces, gives it a root of its own
# (the programs and devices of the host; its own /etc, /var, /run and /tmp), and then only keeps the namespaces alive. Everything that
# is mounted or started here ends with this process, however it ends.
# Usage: node_init.sh NAME FOLDER PROGRAM
#   FOLDER holds etc, var, run, tmp, kubelet (becomes /var/lib/kubelet) and plugins (its device-plugins); PROGRAM becomes /opt/kubernetes.
set -eu
name=$1 folder=$2 program=$3
root=$folder/root

hostname "$name"
mount -t tmpfs -o mode=755 node "$root"
cd "$root"
mkdir -p usr etc var run tmp dev proc sys opt root home mnt

# Programs: folders of the host, read only. /bin and its like are links into /usr on most systems.
for entry in usr bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$entry" ]; then
        cp -P "/$entry" "$entry"
    elif [ -d "/$entry" ]; then
        mkdir -p "$entry"
        mount --rbind "/$entry" "$entry"
        mount -o remount,bind,ro "$entry"
    fi
done
touch opt/kubernetes
mount --bind "$program" opt/kubernetes
for entry in etc var run tmp; do mount --bind "$folder/$entry" "$entry"; done
[ ! -d /etc/alternatives ] || mount --bind /etc/alternatives etc/alternatives
mount --bind "$folder/kubelet" var/lib/kubelet
mount --bind "$folder/plugins" var/lib/kubelet/device-plugins
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup

# A boot of its own, and copies of what a kubelet sets for the whole machine: it shall not change this one.
cp proc/sys/kernel/random/uuid run/boot_id
mount --bind run/boot_id proc/sys/kernel/random/boot_id
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    [ -e "proc/sys/$setting" ] || continue
    copy=run/sysctl-$(basename "$setting")
    cp "proc/sys/$setting" "$copy"
    mount --bind "$copy" "proc/sys/$setting"
done

mkdir -p old
pivot_root . old
cd /
umount -l /old
rmdir /old
mount --make-rshared /
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
touch /run/booted
# Ended orphans are nobody's children but ours: an ignored SIGCHLD lets the kernel forget them.
trap '' CHLD
exec sleep infinity
