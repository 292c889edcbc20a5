#!/usr/bin/env bash
# Makes a root file system the mirror's: packages of Python, units, users, rules, settings, the door.
# Run it again and nothing changes. Nothing is downloaded: see --wheels.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: install.sh --wheels DIR [--root DIR] [--bundle DIR] [--ssh-key FILE] [--jetson] [--close]

  --wheels DIR     every Python package as a wheel, the project's own among them, as
                   `pip wheel --require-hashes` leaves them; built where there are none on the net
  --root DIR       the root file system to change; / unless given
  --bundle DIR     the bundle that it plays unless another is put on /data; the demo bundle unless given
  --ssh-key FILE   the public keys of those who may come in as root
  --jetson         NVIDIA's system on NVIDIA's board: its packages are held, its TensorRT is used, and what
                   lasts lies where its layouts leave room
  --close          an image: what only building needed is removed, and so is what two images would
                   have in common by mistake (host keys, machine id, random seed, caches); of a Jetson's
                   packages none is removed

The system packages of provisioning/appliance/packages.txt have to be there.
TEXT
}

readonly HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly VENV=/opt/ytm/venv
readonly ENABLED=(ytm.target ytm-reflect.service ytm-sound.service ytm-screen.service
  ytm-usb-reset.path ytm-engines.path ytm-engines.service ytm-data.service ytm-door.service ytm-console.service ytm-boots.service ytm-settled.timer)
# Nobody logs in at a console, and nothing looks for news or calls anybody.
readonly MASKED=(getty.target getty@.service autovt@.service serial-getty@.service console-getty.service
  container-getty@.service ctrl-alt-del.target debug-shell.service emergency.service rescue.service
  systemd-timesyncd.service systemd-resolved.service systemd-networkd-wait-online.service
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
  fstrim.timer man-db.timer motd-news.timer systemd-tmpfiles-clean.timer
  avahi-daemon.service avahi-daemon.socket bluetooth.service ModemManager.service wpa_supplicant.service
  NetworkManager.service NetworkManager-wait-online.service NetworkManager-dispatcher.service
  rpcbind.service rpcbind.socket nfs-client.target smbd.service nmbd.service
  cups.service cups.socket cups.path cups-browsed.service dnsmasq.service
  nvgetty.service nv-l4t-usb-device-mode.service nv-l4t-usb-device-mode-runtime.service
  nv-l4t-bootloader-config.service
  gdm.service gdm3.service lightdm.service display-manager.service nvweston.service
  plymouth-start.service plymouth-quit.service plymouth-quit-wait.service
  snapd.service snapd.socket snapd.seeded.service unattended-upgrades.service packagekit.service
  fwupd.service fwupd-refresh.timer update-notifier-download.timer update-notifier-motd.timer
  ua-timer.timer ubuntu-advantage.service esm-cache.service apt-news.service
  apport.service apport-autoreport.path apport-autoreport.timer whoopsie.service whoopsie.path kerneloops.service
  docker.service docker.socket containerd.service udisks2.service gnome-remote-desktop.service
  rsyslog.service syslog.socket cron.service anacron.service anacron.timer atd.service logrotate.timer
  switcheroo-control.service power-profiles-daemon.service
  systemd-rfkill.service systemd-rfkill.socket systemd-pstore.service
  sleep.target suspend.target hibernate.target hybrid-sleep.target
  keyboard-setup.service console-setup.service)

root=/ wheels='' bundle='' ssh_key='' jetson=no close=no

say() { echo "install: $*"; }
fail() {
  echo "install: error: $*" >&2
  exit "${2:-1}"
}

arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --close) close=yes && shift && continue ;;
      --jetson) jetson=yes && shift && continue ;;
      --root | --wheels | --bundle | --ssh-key)
        [ $# -gt 1 ] || { usage >&2 && exit 2; } ;;
      *) usage >&2 && exit 2 ;;
    esac
    case $1 in
      --root) root=$(realpath -- "$2") ;;
      --wheels) wheels=$(realpath -- "$2") ;;
      --bundle) bundle=$(realpath -- "$2") ;;
      --ssh-key) ssh_key=$(realpath -- "$2") ;;
    esac
    shift 2
  done
  [ "$(id -u)" = 0 ] || fail "only root can install; try again with sudo"
  [ -n "$wheels" ] || { usage >&2 && exit 2; }
}

# In the root file system, whichever it is.
inside() {
  if [ "$root" = / ]; then "$@"; else chroot "$root" "$@"; fi
}

packages() {
  awk -v scope="$1" '!/^#/ && NF && ((NF == 1 && scope == "") || $2 == scope) { print $1 }' \
    "$HERE/appliance/packages.txt"
}

wanted() {
  packages ""
  [ "$jetson" = no ] || packages jetson
}

check() {
  [ -d "$root/etc" ] && [ -d "$root/usr" ] || fail "$root: is no root file system"
  ls "$wheels"/youtube_mirror-*.whl >/dev/null 2>&1 ||
    fail "$wheels: holds no youtube_mirror-*.whl; make it with: pip wheel --no-deps -w $wheels ."
  local missing
  # A package may be there under a newer name, and provide the older one.
  missing=$(comm -23 <(wanted | sort) <(inside dpkg-query -W \
    -f '${db:Status-Status},${Package},${Provides}\n' | awk -F , '$1 == "installed" {
      for (i = 2; i <= NF; i++) if (split($i, word, " ")) print word[1]
    }' | sort -u))
  [ -z "$missing" ] || fail "$root: lacks the packages" $missing "; install them first"
  if [ -n "$bundle" ]; then
    [ -f "$bundle/SHA256SUMS" ] || fail "$bundle: is no bundle (a folder with SHA256SUMS)"
  fi
  if [ -n "$ssh_key" ]; then
    ssh-keygen -l -f "$ssh_key" >/dev/null 2>&1 || fail "$ssh_key: holds no public key"
    ! grep -q 'PRIVATE KEY' "$ssh_key" || fail "$ssh_key: is a private key; give the .pub file"
  fi
}

put_back() {
  rm -rf "${root:?}$VENV" "${root:?}/opt/ytm/wheels"
  [ ! -d "$root$VENV.old" ] || mv "$root$VENV.old" "$root$VENV"
}

# The environment that was there comes back if the new one cannot be made.
install_python() {
  local stamp=$root$VENV/wheels.sha256 key
  key=$(cd "$wheels" && sha256sum -- *.whl | sha256sum)
  if grep -qsxF "$key" "$stamp"; then
    return
  fi
  say "Python packages: $(find "$wheels" -name '*.whl' | wc -l)"
  mkdir -p "$root/opt/ytm"
  rm -rf "${root:?}$VENV.old"
  [ ! -d "$root$VENV" ] || mv "$root$VENV" "$root$VENV.old"
  trap put_back EXIT
  inside python3 -m venv "$VENV"
  cp -r "$wheels" "$root/opt/ytm/wheels"
  inside env PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    sh -c "$VENV/bin/python -m pip install --quiet --no-index --no-deps /opt/ytm/wheels/*.whl"
  # Nothing is installed at the gallery; pip stays behind.
  inside "$VENV/bin/python" -m pip --quiet uninstall --yes pip setuptools 2>/dev/null
  inside "$VENV/bin/python" -m compileall -q "$VENV/lib" || true
  rm -rf "${root:?}/opt/ytm/wheels"
  echo "$key" >"$stamp"
  trap - EXIT
  rm -rf "${root:?}$VENV.old"
}

install_files() {
  cp -r --no-preserve=mode,ownership,timestamps "$HERE/appliance/etc" "$HERE/appliance/opt" "$root/"
  chmod 755 "$root"/opt/ytm/libexec/*
  install -d "$root/etc/ytm" "$root/etc/sysusers.d" "$root/etc/tmpfiles.d"
  install -m 644 "$HERE"/units/* "$root/etc/systemd/system/"
  install -m 644 "$HERE"/sysusers.d/* "$root/etc/sysusers.d/"
  install -m 644 "$HERE"/tmpfiles.d/* "$root/etc/tmpfiles.d/"
  if [ -n "$bundle" ]; then
    rm -rf "${root:?}/opt/ytm/bundle.next"
    cp -r --no-preserve=mode,ownership "$bundle" "$root/opt/ytm/bundle.next"
    rm -rf "${root:?}/opt/ytm/bundle"
    mv "$root/opt/ytm/bundle.next" "$root/opt/ytm/bundle"
  fi
  install -m 644 "$HERE/mirror.toml" "$root/etc/ytm/mirror.toml"
  if [ -n "$ssh_key" ]; then
    install -m 600 "$ssh_key" "$root/etc/ytm/authorized_keys"
  fi
  # Where the partition for what lasts is mounted; empty, and nobody's, while it is not.
  install -d -m 555 "$root/data" "$root/boot/ytm"
}

install_users() {
  inside systemd-sysusers
  # No password opens anything, whoever had one.
  local user
  for user in root $(awk -F : '$2 !~ /^[!*]/ { print $1 }' "$root/etc/shadow"); do
    inside usermod --password '*' "$user"
  done
}

# NVIDIA's TensorRT, and of what else lies beside it nothing: the environment has its own NumPy.
link_tensorrt() {
  local found
  found=$(inside dpkg-query -L python3-libnvinfer | grep '/dist-packages/tensorrt$') ||
    fail "python3-libnvinfer holds no tensorrt; install it again"
  install -d "$root/opt/ytm/tensorrt"
  ln -sfn "$found" "$root/opt/ytm/tensorrt/tensorrt"
  echo /opt/ytm/tensorrt >"$(echo "$root$VENV"/lib/python3*/site-packages)/tensorrt.pth"
}

install_jetson() {
  cp -r --no-preserve=mode,ownership,timestamps "$HERE/appliance/jetson/." "$root/"
  link_tensorrt
  # An upgrade of these at the gallery would leave a board that does not start.
  # shellcheck disable=SC2046
  inside apt-mark hold $(inside dpkg-query -W -f '${Package}\n' 'nvidia-l4t-*') >/dev/null
}

install_units() {
  # Not by systemctl mask, which refuses where a unit lies in /etc itself, as NVIDIA's do.
  local unit
  for unit in "${MASKED[@]}"; do
    ln -sfn /dev/null "$root/etc/systemd/system/$unit"
  done
  systemctl --quiet --root="$root" enable "${ENABLED[@]}" ssh.service systemd-networkd.service
  systemctl --quiet --root="$root" disable ssh.socket 2>/dev/null || true
  systemctl --quiet --root="$root" set-default multi-user.target
}

remove_building() {
  local unwanted
  unwanted=$( (packages build
    inside dpkg-query -W -f '${Package}\n' | grep -E '^(gcc|cpp|g\+\+)-[0-9]+$|^binutils|-dev$') | tr '\n' ' ')
  say "removing what only building needed"
  # shellcheck disable=SC2086
  inside env DEBIAN_FRONTEND=noninteractive apt-get purge --yes --quiet --auto-remove $unwanted >/dev/null
  # On a Jetson these stay: NVIDIA's licences are among them.
  rm -rf "${root:?}"/usr/share/doc/* "${root:?}"/usr/share/man/* "${root:?}"/usr/share/locale/*
}

close_image() {
  [ "$jetson" = yes ] || remove_building
  inside apt-get clean
  # What the root has in its own folder for temporary files is not the image's.
  find "$root/tmp" -mindepth 1 -delete
  rm -rf "${root:?}"/var/lib/apt/lists/* "${root:?}"/var/cache/* "${root:?}"/var/log/*
  rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/lib/systemd/random-seed "$root"/var/lib/dbus/machine-id \
    "$root"/etc/hostname "$root"/etc/resolv.conf
  # Made anew, in memory, at each start: a board has no identity that two of them could share.
  : >"$root/etc/machine-id"
  echo mirror >"$root/etc/hostname"
}

arguments "$@"
check
install_python
install_files
install_users
[ "$jetson" = no ] || install_jetson
install_units
[ "$close" = no ] || close_image
say "done: $root"
