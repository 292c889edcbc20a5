#!/usr/bin/env bash
# Sets up this clone, for make: system packages, .venv, and the project in it, editable.
#   setup.sh device   what the mirror needs: no torch, nothing of training
#   setup.sh all      training and the tests as well
#   setup.sh image    system packages for ytm-image and its virtual machine, and nothing else
# What is there already is left alone, so running it again takes a second.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PACKAGES=provisioning/packages.txt
# The build that the tests ran with. PyPI's for Linux on x86-64 brings several gigabytes of CUDA.
readonly TORCH=torch==2.13.0
readonly TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { echo "setup: $*"; }

fail() {
  echo "setup: error: $*" >&2
  exit 1
}

wanted_packages() {
  awk -v scope="$scope" '!/^#/ && (NF == 1 || $2 == scope) { print $1 }' "$PACKAGES"
}

missing_packages() {
  local installed
  # shellcheck disable=SC2046
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $(wanted_packages) 2>/dev/null |
    awk '$2 == "installed" { print $1 }') || true
  wanted_packages | grep -vxF "$installed" || true
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    say "no apt-get here; install what your system calls these:" $(wanted_packages)
    return
  fi
  local missing install
  missing=$(missing_packages | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  install="apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes"
  install="$install --no-install-recommends $missing"
  if [ "$(id -u)" = 0 ]; then
    say "system packages: $missing"
    sh -c "$install"
  elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    say "system packages (sudo may ask for your password): $missing"
    sudo sh -c "$install"
  else
    fail "system packages are missing and sudo cannot ask; have an administrator run" \
      "this line, then try again:  sudo sh -c '$install'"
  fi
}

make_venv() {
  local python=${PYTHON:-python3}
  if .venv/bin/python -m pip --version >/dev/null 2>&1; then
    return
  fi
  "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null ||
    fail "$python: not a Python of 3.10 to 3.13; name one, as in" \
      "make setup PYTHON=/usr/bin/python3"
  say ".venv with $("$python" --version)"
  "$python" -m venv --clear .venv
}

# A torch that is there stays, whichever it is: somebody may have chosen the one for their GPU.
install_torch() {
  if .venv/bin/python -c 'from importlib.metadata import version; version("torch")' 2>/dev/null; then
    return
  fi
  say "$TORCH, the CPU build, about 200 MB (for an NVIDIA GPU see the README)"
  if .venv/bin/python -m pip install --no-deps --timeout 15 --retries 1 \
    --index-url "$TORCH_CPU_INDEX" "$TORCH"; then
    return
  fi
  say "the CPU build cannot be had from $TORCH_CPU_INDEX, so PyPI's build comes in its place."
  say "On Linux x86-64 that brings CUDA, ABOUT 5 GB. To avoid it press Ctrl-C, download the CPU"
  say "build elsewhere into FOLDER, and:  .venv/bin/pip install --find-links FOLDER $TORCH"
  .venv/bin/python -m pip install "$TORCH"
}

install_project() {
  local extras=$1 stamp=.venv/setup-$scope.sha256 key
  key=$(cat pyproject.toml provisioning/setup.sh .venv/pyvenv.cfg hatch_build.py \
    device/ytm_device/sound/streaming/kernel.c <(pwd) | sha256sum)
  if grep -qsxF "$key" "$stamp" .venv/setup-all.sha256; then
    return
  fi
  rm -f "$stamp"
  [ "$scope" = device ] || install_torch
  say "Python packages: the project with its extras $extras"
  .venv/bin/python -m pip install --editable ".[$extras]"
  echo "$key" >"$stamp"
}

scope=${1:-}
case $scope in
  device) extras=device ;;
  all) extras=training,dev ;;
  image) install_packages && exit ;;
  *) fail "'$scope' is not device, all or image" ;;
esac
install_packages
make_venv
install_project "$extras"
say "ready ($scope)"
