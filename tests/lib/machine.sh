# shellcheck shell=bash disable=SC2154  # work and top are those of net.sh
# A machine of its own to install things in: this one's files under an overlay, namespaces for processes, mounts, network, host
# name and control groups, and systemd as its first process. Nothing of it outlives the script. Needs root, overlayfs and cgroup2.
#
#   machine_up             boots it; `machine COMMAND...` runs there, with its services
#   machine_down           ends it; net.sh's clean-up does so, too
#
# Sourced after net.sh. The repository and $work are the same folders inside.

machine_group=oakgate-machine-$$

machine_up() {
  machine=$work/machine
  mkdir -p "$machine"
  # shellcheck disable=SC2016  # for the shell inside
  background unshare --mount --propagation private bash -euc '
    mount -t tmpfs -o mode=755 tmpfs "$1"
    mkdir "$1/groups"
    mount -t cgroup2 cgroup2 "$1/groups"
    mkdir "$1/groups/$4"
    echo $$ >"$1/groups/$4/cgroup.procs"
    umount "$1/groups"
    exec unshare --mount --pid --fork --kill-child --cgroup --ipc --uts --net --propagation private bash -euc "$5" machine "$@"
  ' machine "$machine" "$top" "$work" "$machine_group" '
    root=$1 top=$2 work=$3
    mkdir "$root/upper" "$root/scratch" "$root/root"
    mount -t overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/scratch" overlay "$root/root"
    cd "$root/root"
    mkdir -p ".$top" ".$work"
    mount --bind "$top" ".$top"
    mount --bind "$work" ".$work"
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=755 tmpfs dev
    mkdir -p dev/pts dev/shm dev/net
    for node in null zero full random urandom tty net/tun; do
      touch "dev/$node"
      mount --bind "/dev/$node" "dev/$node"
    done
    ln -s /proc/self/fd dev/fd
    ln -s pts/ptmx dev/ptmx
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ip link set lo up
    hostname oakgate-machine
    : >etc/machine-id
    # The kernel is not its own: it sets up nothing there.
    for unit in systemd-udevd systemd-udev-trigger systemd-sysctl systemd-binfmt systemd-modules-load systemd-remount-fs \
      systemd-update-utmp apparmor; do
      ln -sf /dev/null "etc/systemd/system/$unit.service"
    done
    : >etc/fstab
    rm -f usr/sbin/policy-rc.d
    # The overlay becomes what "/" is, and what is mounted there reaches the namespaces of its services: credentials do so.
    mkdir -p mnt/outside
    pivot_root . mnt/outside
    cd /
    umount --lazy mnt/outside
    mount --make-rshared /
    exec env -i container=oakgate-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      chroot . /lib/systemd/systemd --unit=basic.target --log-target=console --show-status=no
  ' >"$work/machine.log" 2>&1 </dev/null
  machine_of=$!
  eventually 20 machine_runs || { tail -5 "$work/machine.log"; complain "systemd does not start in namespaces here: $(tail -1 "$work/machine.log")"; }
}

# The first process inside, seen from outside.
machine_pid() { pgrep -P "$machine_of" | head -1; }

machine() {
  nsenter --target "$(machine_pid)" --mount --pid --ipc --uts --net --cgroup --root --wd \
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TERM=dumb HOME=/root "$@"
}

machine_runs() { [ -n "$(machine_pid)" ] && machine systemctl is-active --quiet basic.target 2>/dev/null; }

machine_down() {
  [ -n "${machine_of:-}" ] || return 0
  kill -KILL "$machine_of" 2>/dev/null
  eventually 10 not running "$machine_of"
  machine_of=""
  # its control groups, which are empty now
  # shellcheck disable=SC2016
  eventually 10 unshare --mount --propagation private sh -c 'mount -t cgroup2 cgroup2 "$1" &&
    find "$1/$2" -depth -type d -exec rmdir {} +' sh "$machine" "$machine_group" 2>/dev/null
}
trap 'machine_down; cleanup' EXIT
