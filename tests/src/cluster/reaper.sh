#!/bin/sh
# Takes down everything that was started in one berth, when the pipe on standard input closes: at the
# end of the program that started it, however it ended.
#
# usage: reaper.sh DIRECTORY BRIDGE
#
# A process is ours if its environment says so (PRBUILD_BERTH), which containerd hands on to its shims.
# Standard output is the lock of the berth: it is only held, nothing is written there.
# Exit code 1: something is left.
berth=$1
bridge=$2
exec 3>&1 >/dev/null
# Where `ip` is on some systems, and not everybody who is root has it on PATH.
PATH=$PATH:/usr/sbin:/sbin
# Whoever wants the cluster to end ends its holder, on a terminal both at once.
trap '' HUP INT TERM
cat >/dev/null

# Process ids of the berth, one a line; "$1" filters on the command name, which the kernel cuts at 15 bytes.
ours() {
    for environ in $(grep -lzxF "PRBUILD_BERTH=$berth" /proc/[0-9]*/environ 2>/dev/null); do
        pid=${environ#/proc/}
        pid=${pid%/environ}
        [ "$pid" = $$ ] && continue
        case "$(cat /proc/"$pid"/comm 2>/dev/null)" in
            $1) echo "$pid" ;;
        esac
    done
}

# Ends every process of that name: asks, waits up to "$2" tenths of a second, then kills.
end() {
    kill -TERM $(ours "$1") 2>/dev/null
    tenths=$2
    while [ -n "$(ours "$1")" ]; do
        [ "$tenths" -le 0 ] && kill -KILL $(ours "$1") 2>/dev/null
        [ "$tenths" -le -50 ] && return
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

# The kubelet first, or it would start again what is killed next.
end kubelet 0
# Sockets of shims lie elsewhere, and containerd forgets them when it notices that a shim is gone.
sockets=$(cat "$berth"/containerd-state/io.containerd.runtime.v2.task/k8s.io/*/address 2>/dev/null | sed 's|unix://| |g')
# The first process of each container is a child of its shim, and takes the others of its container with it.
for shim in $(ours 'containerd-shim*'); do
    for child in $(cat /proc/"$shim"/task/*/children 2>/dev/null); do
        kill -KILL "$child" 2>/dev/null
    done
done
end 'containerd-shim*' 0
rm -f $sockets
end containerd 20
end kube-apiserver 0
end '*' 20

# Deepest mounts first.
while read -r _ point _; do
    case "$point" in "$berth"/*) printf '%s\n' "$point" ;; esac
done </proc/mounts | sort -r | while read -r point; do
    umount "$point" 2>/dev/null || umount -l "$point"
done
for netns in "$berth"/netns/*; do
    [ -e "$netns" ] && rm -f "$netns"
done
# What the network plugins remember of each pod.
for sandbox in "$berth"/containerd/io.containerd.grpc.v1.cri/sandboxes/*; do
    rm -f /var/lib/cni/results/*-"${sandbox##*/}"-*
done
# The router, and with it the cable to it and its rules.
[ -e "/run/netns/$bridge" ] && ip netns delete "$bridge"
[ -e "/sys/class/net/$bridge" ] && ip link delete "$bridge"

if [ -n "$(ours '*')" ] || grep -qF " $berth/" /proc/mounts; then
    echo "something is left in $berth" >&2
    exit 1
fi
rm -rf "$berth"
