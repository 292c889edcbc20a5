#!/bin/sh
# Runs a command in another root file system as if it were this machine's own: inside.sh ROOT COMMAND...
# It sees its own /proc, a /dev with nothing in it but what every program needs, an empty /run, and who
# answers for names on the net. All of that, and every process it leaves behind, is gone when it ends.
set -eu
if [ "${YTM_INSIDE:-}" != yes ]; then
  [ $# -ge 2 ] || { echo "usage: inside.sh ROOT COMMAND..." >&2 && exit 2; }
  exec env YTM_INSIDE=yes unshare --mount --pid --fork --kill-child "$0" "$@"
fi
unset YTM_INSIDE
root=$1
shift
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755,nosuid,noexec dev "$root/dev"
for node in null zero full random urandom; do
  : >"$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir -m 1777 "$root/dev/shm"
mount -t tmpfs -o mode=0755,nosuid,nodev run "$root/run"
mkdir -p "$root/run/systemd/resolve" "$root/run/lock"
if [ -r /etc/resolv.conf ]; then
  cat /etc/resolv.conf >"$root/run/systemd/resolve/stub-resolv.conf"
fi
# Of this machine's environment, only how the net is reached.
# shellcheck disable=SC2086
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
  ${http_proxy:+http_proxy=$http_proxy} ${https_proxy:+https_proxy=$https_proxy} ${no_proxy:+no_proxy=$no_proxy} \
  chroot "$root" "$@"
